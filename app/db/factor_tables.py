"""Our tables about second factors: secrets of authenticator apps, recovery codes, removals that an operator began."""

from sqlalchemy import BigInteger, Column, Integer, String, Table

from app.db.tables import OURS, UtcDateTime, metadata

totp_secrets = Table(
    "totp_secrets",
    metadata,
    Column("user_id", Integer, primary_key=True, autoincrement=False),
    # The secret, encrypted (core/sealing.py).
    Column("sealed", String(255), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # The step of the latest code that was taken: it, and those before it, are taken no more.
    Column("last_step", BigInteger, nullable=False),
    **OURS,
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("user_id", Integer, primary_key=True, autoincrement=False),
    Column("code_digest", String(64), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
    **OURS,
)

factor_resets = Table(
    "factor_resets",
    metadata,
    Column("user_id", Integer, primary_key=True, autoincrement=False),
    # "an operator" or "an administrator"
    Column("asked_by", String(20), nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False, index=True),
    **OURS,
)
