"""Let files be sent in parts at once: what is a part, what it was joined into, and where its bytes are since."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("uploads", sa.Column("is_partial", sa.Boolean, nullable=False, server_default="0"))
    op.add_column("uploads", sa.Column("joined_from", sa.Text))
    op.add_column("uploads", sa.Column("joined_into", sa.String(32)))
    op.add_column("upload_parts", sa.Column("stored_in", sa.String(32)))


def downgrade() -> None:
    op.drop_column("upload_parts", "stored_in")
    for name in ("joined_into", "joined_from", "is_partial"):
        op.drop_column("uploads", name)
