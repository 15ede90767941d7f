"""Names as people typed them, which change of address is the latest, and the networks that people come from."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account_states", sa.Column("typed_texts", sa.Text))
    op.add_column("account_states", sa.Column("email_change", sa.String(32)))
    op.add_column("audit_events", sa.Column("network", sa.String(49), nullable=False, server_default=""))
    op.create_index("ix_audit_events_network", "audit_events", ["user_id", "network", "kind"])


def downgrade() -> None:
    op.drop_index("ix_audit_events_network", "audit_events")
    op.drop_column("audit_events", "network")
    op.drop_column("account_states", "email_change")
    op.drop_column("account_states", "typed_texts")
