"""Our tables about log-ins with providers."""

from sqlalchemy import Column, Integer, String, Table

from app.db.tables import OURS, UtcDateTime, metadata

linked_accounts = Table(
    "linked_accounts",
    metadata,
    # Of issuer and subject: a collation would hold two subjects for one.
    Column("identity_digest", String(64), primary_key=True),
    Column("user_id", Integer, nullable=False, index=True),
    # The id in the settings when it was linked.
    Column("provider", String(32), nullable=False),
    Column("issuer", String(255), nullable=False),
    Column("subject", String(255), nullable=False),
    # What the user was called there, to be shown; nothing is looked up by it.
    Column("label", String(254), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_used_at", UtcDateTime),
    **OURS,
)

provider_flows = Table(
    "provider_flows",
    metadata,
    Column("state_digest", String(64), primary_key=True),
    # Of the secret in the browser's cookie.
    Column("browser_digest", String(64), nullable=False),
    Column("provider", String(32), nullable=False),
    # Whose account is to be linked; NULL: somebody signs in.
    Column("user_id", Integer, index=True),
    # The identity whose mail link was opened before.
    Column("pending_digest", String(64)),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    **OURS,
)

pending_identities = Table(
    "pending_identities",
    metadata,
    # Of the ticket in a page, or of the token in a mail.
    Column("token_digest", String(64), primary_key=True),
    Column("identity_digest", String(64), nullable=False, index=True),
    Column("provider", String(32), nullable=False),
    # The address that was mailed; NULL: none yet.
    Column("email", String(254), index=True),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    **OURS,
)
