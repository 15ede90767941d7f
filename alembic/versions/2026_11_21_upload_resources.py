"""Let an upload be a resource: its bytes come in parts, it waits for its owner, it can be cancelled."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MYSQL = ("mysql", "mariadb")
OURS = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
}
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *MYSQL)


def _columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("total_bytes", sa.BigInteger),
        sa.Column("expected_sha256", sa.String(64)),
        # Every upload so far was meant to be published.
        sa.Column("publish_requested", sa.Boolean, nullable=False, server_default="1"),
        sa.Column("cancel_requested", sa.Boolean, nullable=False, server_default="0"),
        sa.Column("idempotency_key", sa.String(64)),
        sa.Column("request_digest", sa.String(64)),
        sa.Column("expires_at", MOMENT),
        sa.Column("duplicate_of", sa.String(32)),
        sa.Column("progress", sa.JSON),
        sa.Column("tus_metadata", sa.Text),
    ]


def upgrade() -> None:
    for column in _columns():
        op.add_column("uploads", column)
    op.create_index("ix_uploads_idempotency_key", "uploads", ["idempotency_key"], unique=True)
    op.create_index("ix_uploads_expires_at", "uploads", ["expires_at"])
    op.create_table(
        "upload_parts",
        sa.Column("upload_id", sa.String(32), primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("length", sa.BigInteger, nullable=False),
        **OURS,
    )


def downgrade() -> None:
    op.drop_table("upload_parts")
    op.drop_index("ix_uploads_expires_at", "uploads")
    op.drop_index("ix_uploads_idempotency_key", "uploads")
    for column in reversed(_columns()):
        op.drop_column("uploads", column.name)
