"""Keep what was changed in an upload so that OpenML could take it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("uploads", sa.Column("repairs", sa.JSON))


def downgrade() -> None:
    op.drop_column("uploads", "repairs")
