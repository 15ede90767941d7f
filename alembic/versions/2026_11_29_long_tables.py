"""Find what is asked about one user's uploads without reading all of them, and a page of everybody's."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

WORKS_FROM = "0010"
INDEXES = {
    "ix_uploads_page": ["user_id", "created_at", "id"],
    "ix_uploads_usage": ["user_id", "state", "reserved_bytes"],
    "ix_uploads_bytes": ["user_id", "received_sha256"],
    "ix_uploads_created_at": ["created_at", "id"],
}


def upgrade() -> None:
    for name, columns in INDEXES.items():
        op.create_index(name, "uploads", columns)


def downgrade() -> None:
    for name in reversed(INDEXES):
        op.drop_index(name, "uploads")
