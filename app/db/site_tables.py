"""Our tables about the site as a whole: announcements, reports, the store, and what the index has to look at."""

from sqlalchemy import Boolean, Column, Integer, String, Table, Text

from app.db.tables import BIG_ID, NOT_REUSED, OURS, UtcDateTime, metadata

notices = Table(
    "notices",
    metadata,
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("kind", String(20), nullable=False),
    Column("text", String(500), nullable=False),
    Column("begins_at", UtcDateTime, nullable=False),
    # None: until somebody ends it.
    Column("ends_at", UtcDateTime, index=True),
    **OURS,
    **NOT_REUSED,
)

reports = Table(
    "reports",
    metadata,
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("reporter_id", Integer, nullable=False, index=True),
    # What it is about: a kind, and the number or id of one of that kind.
    Column("kind", String(10), nullable=False),
    Column("subject", String(32), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime, index=True),
    **OURS,
    **NOT_REUSED,
)

store_marks = Table(
    "store_marks",
    metadata,
    # Always 1: there is one store.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("identity", String(32), nullable=False),
    # Whether it stands in the store: from then on it has to.
    Column("is_written", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    **OURS,
)

index_changes = Table(
    "index_changes",
    metadata,
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    # What was made or changed at OpenML, or is a user of ours: a kind of the index, and its number.
    Column("kind", String(10), nullable=False),
    Column("entity_id", Integer, nullable=False),
    # Who made it, where that is known: OpenML does not tell it of tasks.
    Column("user_id", Integer),
    Column("at", UtcDateTime, nullable=False, index=True),
    **OURS,
    **NOT_REUSED,
)
