"""Keep which browser signed up, until the address is confirmed."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

WORKS_FROM = "0010"


def upgrade() -> None:
    op.add_column("account_states", sa.Column("signup_browser", sa.String(64)))


def downgrade() -> None:
    op.drop_column("account_states", "signup_browser")
