"""Our tables of what programs sign in with: API tokens, and the CI jobs that may exchange a token of theirs for one."""

from sqlalchemy import JSON, Column, Index, Integer, String, Table, UniqueConstraint

from app.db.tables import BIG_ID, NOT_REUSED, OURS, UtcDateTime, metadata

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("user_id", Integer, nullable=False, index=True),
    Column("name", String(100), nullable=False),
    Column("digest", String(64), nullable=False),
    # Between spaces.
    Column("scopes", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # None: until it is revoked.
    Column("expires_at", UtcDateTime, index=True),
    Column("last_used_at", UtcDateTime),
    Column("last_network", String(49)),
    # How many days before its end its owner was told last that it comes.
    Column("told_days", Integer),
    # Of one that a CI job got: for which trusted publisher.
    Column("publisher_id", BIG_ID),
    UniqueConstraint("digest"),
    **OURS,
    **NOT_REUSED,
)

trusted_publishers = Table(
    "trusted_publishers",
    metadata,
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("user_id", Integer, nullable=False, index=True),
    Column("issuer", String(200), nullable=False),
    # The pattern, and how every subject begins that it fits.
    Column("subject", String(255), nullable=False),
    Column("subject_key", String(255), nullable=False),
    Column("claims", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
    Index("ix_trusted_publishers_subject", "issuer", "subject_key"),
    **OURS,
    **NOT_REUSED,
)

used_subject_tokens = Table(
    "used_subject_tokens",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    **OURS,
)
