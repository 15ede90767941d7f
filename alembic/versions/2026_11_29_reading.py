"""Keep how the file of an upload is read, and of which choices its preview is."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("uploads", sa.Column("reading", sa.JSON))


def downgrade() -> None:
    op.drop_column("uploads", "reading")
