"""Whether a passkey has verified its user, and how long before its end the owner of an API token was told of it."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

WORKS_FROM = "0010"


def upgrade() -> None:
    op.add_column(
        "passkeys", sa.Column("user_verified", sa.Boolean, nullable=False, server_default=sa.text("0"))
    )
    op.add_column("api_tokens", sa.Column("told_days", sa.Integer))


def downgrade() -> None:
    op.drop_column("api_tokens", "told_days")
    op.drop_column("passkeys", "user_verified")
