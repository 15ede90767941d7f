"""Find who waits for longest by one entry for each user, not by all that waits."""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

WORKS_FROM = "0010"


def upgrade() -> None:
    op.create_index("ix_uploads_turn", "uploads", ["state", "user_id", "available_at"])


def downgrade() -> None:
    op.drop_index("ix_uploads_turn", "uploads")
