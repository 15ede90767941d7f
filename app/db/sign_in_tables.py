"""Our tables about ways in: log-ins that are half done, sessions that stay, and changes that can be undone."""

from sqlalchemy import JSON, Column, Integer, String, Table

from app.db.tables import BIG_ID, NOT_REUSED, OURS, UtcDateTime, metadata

sign_in_tickets = Table(
    "sign_in_tickets",
    metadata,
    Column("ticket_digest", String(64), primary_key=True),
    Column("user_id", Integer, nullable=False, index=True),
    # What was shown so far (core/methods.py).
    Column("methods", String(80), nullable=False),
    # Whether a session that stays was asked for.
    Column("stays", Integer, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    **OURS,
)

account_changes = Table(
    "account_changes",
    metadata,
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("link_digest", String(64), nullable=False, unique=True),
    Column("user_id", Integer, nullable=False, index=True),
    Column("kind", String(20), nullable=False),
    # What undoing it needs.
    Column("before", JSON, nullable=False),
    # The address that nobody else may take meanwhile.
    Column("email", String(254), index=True),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    **OURS,
    **NOT_REUSED,
)

refresh_families = Table(
    "refresh_families",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user_id", Integer, nullable=False, index=True),
    Column("methods", String(80), nullable=False),
    Column("token_digest", String(64), nullable=False),
    # Of the token before, which is taken for some seconds more.
    Column("previous_digest", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("rotated_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("ip_address", String(45), nullable=False),
    Column("user_agent", String(200), nullable=False),
    **OURS,
)
