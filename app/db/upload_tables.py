"""The tables of uploads: what each is and where it stands, the parts of its file, and its history."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from app.db.tables import BIG_ID, NOT_REUSED, OURS, UtcDateTime, metadata, traceparent_column

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user_id", Integer, nullable=False, index=True),
    Column("state", String(12), nullable=False),
    Column("file_name", String(255), nullable=False),
    Column("format", String(12), nullable=False),
    Column("description", JSON),
    # Of the description, which may be a mebibyte.
    Column("dataset_name", String(128)),
    # What it takes on the disk, or may take of it: source, working files, and what is still to come of it.
    Column("reserved_bytes", BigInteger, nullable=False, server_default="0"),
    # What of that is there, while it comes in.
    Column("stored_bytes", BigInteger, nullable=False, server_default="0"),
    Column("total_bytes", BigInteger),
    Column("received_bytes", BigInteger),
    Column("expected_sha256", String(64)),
    Column("publish_requested", Boolean, nullable=False, server_default="1"),
    Column("cancel_requested", Boolean, nullable=False, server_default="0"),
    Column("idempotency_key", String(64)),
    Column("request_digest", String(64)),
    Column("expires_at", UtcDateTime),
    Column("duplicate_of", String(32)),
    Column("progress", JSON),
    Column("tus_metadata", Text),
    Column("is_partial", Boolean, nullable=False, server_default="0"),
    Column("joined_from", Text),
    Column("joined_into", String(32)),
    Column("received_md5", String(32)),
    Column("received_sha256", String(64)),
    Column("arff_bytes", BigInteger),
    Column("arff_md5", String(32)),
    Column("arff_format", String(12)),
    Column("row_count", BigInteger),
    Column("column_count", Integer),
    Column("warnings", JSON),
    Column("repairs", JSON),
    # What is known of how the file is read, and of which choices the preview is.
    Column("reading", JSON),
    Column("sent_at", UtcDateTime),
    Column("newest_before", Integer),
    Column("dataset_id", Integer, index=True),
    Column("error", JSON),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("available_at", UtcDateTime, nullable=False),
    Column("lease_owner", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    # An administrator has stopped it, and its bytes are kept for whoever has to look at them.
    Column("quarantined_at", UtcDateTime),
    traceparent_column(),
    Index("ix_uploads_queue", "state", "available_at"),
    # Since when each user waits: MariaDB reads the first entry of each.
    Index("ix_uploads_turn", "state", "user_id", "available_at"),
    Index("ix_uploads_idempotency_key", "idempotency_key", unique=True),
    Index("ix_uploads_expires_at", "expires_at"),
    # Of somebody who has very many: a page of them, what they take, and which has the same bytes.
    Index("ix_uploads_page", "user_id", "created_at", "id"),
    Index("ix_uploads_usage", "user_id", "state", "reserved_bytes"),
    Index("ix_uploads_bytes", "user_id", "received_sha256"),
    # A page of everybody's, for administrators.
    Index("ix_uploads_created_at", "created_at", "id"),
    **OURS,
)

upload_parts = Table(
    "upload_parts",
    metadata,
    Column("upload_id", String(32), primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("stored_in", String(32)),
    **OURS,
)

upload_events = Table(
    "upload_events",
    metadata,
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("upload_id", String(32), nullable=False, index=True),
    Column("state", String(12), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("detail", String(500)),
    **OURS,
    **NOT_REUSED,
)
