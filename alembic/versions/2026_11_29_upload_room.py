"""Keep what an upload takes on the disk, and its dataset's name beside the description, which may be large."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

HAVE_BYTES = ("receiving", "verifying", "ready", "received", "checked", "converted", "sending", "failed")


def upgrade() -> None:
    op.add_column("uploads", sa.Column("dataset_name", sa.String(128)))
    op.add_column("uploads", sa.Column("reserved_bytes", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("uploads", sa.Column("stored_bytes", sa.BigInteger, nullable=False, server_default="0"))
    names = (
        "state",
        "description",
        "dataset_name",
        "dataset_id",
        "total_bytes",
        "received_bytes",
        "arff_bytes",
    )
    uploads = sa.table("uploads", *map(sa.column, (*names, "reserved_bytes", "stored_bytes")))
    name = sa.func.json_extract(uploads.c.description, "$.dataset_name")
    if op.get_context().dialect.name != "sqlite":
        # JSON's null comes as a text.
        name = sa.func.left(sa.func.nullif(sa.func.json_unquote(name), "null"), 128)
    described = uploads.c.description.is_not(None)
    op.execute(sa.update(uploads).where(described).values(dataset_name=name))
    source = sa.func.coalesce(uploads.c.total_bytes, uploads.c.received_bytes, 0)
    kept = sa.and_(uploads.c.dataset_id.is_(None), uploads.c.state.in_(HAVE_BYTES))
    taken = source + sa.func.coalesce(uploads.c.arff_bytes, 0)
    op.execute(sa.update(uploads).where(kept).values(reserved_bytes=taken))
    op.execute(
        sa.update(uploads).where(kept).values(stored_bytes=sa.func.coalesce(uploads.c.received_bytes, 0))
    )


def downgrade() -> None:
    op.drop_column("uploads", "stored_bytes")
    op.drop_column("uploads", "reserved_bytes")
    op.drop_column("uploads", "dataset_name")
