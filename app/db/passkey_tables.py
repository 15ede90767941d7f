"""Our tables of passkeys, and `user_passkeys`, which other programs of OpenML make: no migration of ours knows it."""

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, Integer, String, Table, Text
from sqlalchemy.engine import Connection

from app.db.tables import BIG_ID, NOT_REUSED, OURS, UtcDateTime, metadata

passkeys = Table(
    "passkeys",
    metadata,
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("user_id", Integer, nullable=False, index=True),
    # SHA-256 of the credential's id: ids may have a kilobyte, and no two accounts may have the same one.
    Column("credential_digest", String(64), nullable=False, unique=True),
    # Both are bytes, as base64url.
    Column("credential_id", Text, nullable=False),
    Column("public_key", Text, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("transports", String(100), nullable=False),
    Column("name", String(100), nullable=False),
    # Which kind of authenticator it says it is; nobody vouches for it.
    Column("aaguid", String(36), nullable=False),
    Column("backup_eligible", Boolean, nullable=False),
    Column("backed_up", Boolean, nullable=False),
    # Whether its authenticator has ever verified its user, without which it opens nothing by itself.
    Column("user_verified", Boolean, nullable=False, server_default="0"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
    **OURS,
    **NOT_REUSED,
)

passkey_owners = Table(
    "passkey_owners",
    metadata,
    Column("user_id", Integer, primary_key=True, autoincrement=False),
    # What authenticators know the account by: random, for the account's number is public.
    Column("handle", String(43), nullable=False),
    # Whether one of their passkeys is asked for after the password.
    Column("is_second_factor", Boolean, nullable=False, server_default="0"),
    **OURS,
)

spent_challenges = Table(
    "spent_challenges",
    metadata,
    Column("challenge_digest", String(64), primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    **OURS,
)

foreign_passkeys = sa.table(
    "user_passkeys",
    # Without types: each row may have others, and SQLAlchemy would fail on them.
    sa.column("id"),
    sa.column("user_id"),
    sa.column("credential_id"),
    sa.column("public_key"),
    sa.column("sign_count"),
    sa.column("transports"),
    sa.column("device_name"),
    sa.column("created_at"),
    sa.column("last_used_at"),
)
HAS_FOREIGN_PASSKEYS = "has_foreign_passkeys"
"""What sessions are told by `Database.learn`: whether the database has that table."""


def has_foreign_passkeys(connection: Connection) -> bool:
    """Say whether there is a table that OpenML's other programs keep passkeys in, with all of its columns."""
    inspector = sa.inspect(connection)
    if not inspector.has_table(foreign_passkeys.name):
        return False
    found = {column["name"] for column in inspector.get_columns(foreign_passkeys.name)}
    return found.issuperset(foreign_passkeys.c.keys())
