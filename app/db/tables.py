"""The tables: three that belong to OpenML and are shared with its other servers, and our own.

OpenML's are described as the real server has them (MySQL, latin1); alembic creates them only where they are
missing and never alters them. Ours carry no foreign keys into them, for the type of `users.id` differs between
installations.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Enum,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import mysql

from app.core import tracing

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(column_0_label)s",
    }
)

MYSQL = ("mysql", "mariadb")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, kept as UTC with microseconds."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:  # noqa: ANN401 - SQLAlchemy's signature
        """Ask MySQL for microseconds, which it leaves out by default."""
        return dialect.type_descriptor(mysql.DATETIME(fsp=6) if dialect.name in MYSQL else DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Store UTC without its mark, for neither database keeps one."""
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Put the mark back."""
        return value.replace(tzinfo=UTC) if value else None


def _unsigned(mysql_type: Any) -> Any:  # noqa: ANN401 - SQLAlchemy's type objects share no useful base
    return Integer().with_variant(mysql_type(unsigned=True), *MYSQL)


def traceparent_column() -> Column[str]:
    """Return the column of work that names the trace of whoever asked for it; empty where no traces are made."""
    return Column(tracing.TRACEPARENT, String(tracing.LENGTH), default=tracing.traceparent)


def _nocase(length: int) -> Any:  # noqa: ANN401 - as above
    """Text that compares without regard to case, as latin1_swedish_ci does."""
    return String(length).with_variant(String(length, collation="NOCASE"), "sqlite")


BIG_ID = BigInteger().with_variant(Integer(), "sqlite")
_OPENML: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "latin1",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "latin1",
}
OURS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
}
NOT_REUSED: dict[str, Any] = {"sqlite_autoincrement": True}

# --- OpenML's

users = Table(
    "users",
    metadata,
    Column("id", _unsigned(mysql.MEDIUMINT), primary_key=True, autoincrement=True),
    Column("ip_address", String(45), nullable=False),
    Column("username", _nocase(100), nullable=False),
    Column("password", String(255), nullable=False),
    Column("email", _nocase(254), nullable=False),
    Column("activation_selector", String(255)),
    Column("activation_code", String(255)),
    Column("forgotten_password_selector", String(255)),
    Column("forgotten_password_code", String(255)),
    Column("forgotten_password_time", _unsigned(mysql.INTEGER)),
    Column("remember_selector", String(255)),
    Column("remember_code", String(255)),
    Column("created_on", _unsigned(mysql.INTEGER), nullable=False),
    Column("last_login", _unsigned(mysql.INTEGER)),
    Column("active", SmallInteger().with_variant(mysql.TINYINT(1, unsigned=True), *MYSQL)),
    Column("first_name", String(50)),
    Column("last_name", String(50)),
    Column("company", String(100), nullable=False),
    Column("phone", String(20)),
    Column("country", String(50), nullable=False),
    Column("image", String(128)),
    Column("bio", Text, nullable=False),
    Column("core", Enum("true", "false", native_enum=True, length=5), nullable=False, server_default="false"),
    Column("external_source", String(50)),
    Column("external_id", String(50)),
    Column("session_hash", String(40)),
    Column(
        "session_hash_date",
        DateTime().with_variant(mysql.TIMESTAMP(), *MYSQL),
        nullable=True,
        server_default=text("CURRENT_TIMESTAMP"),
    ),
    Column("gamification_visibility", String(32), nullable=False, server_default="show"),
    UniqueConstraint("username", "email", name="username"),
    UniqueConstraint("session_hash", name="session_hash"),
    UniqueConstraint("activation_selector", name="activation_selector"),
    UniqueConstraint("forgotten_password_selector", name="forgotten_password_selector"),
    UniqueConstraint("remember_selector", name="remember_selector"),
    **_OPENML,
    **NOT_REUSED,
)

users_groups = Table(
    "users_groups",
    metadata,
    Column("id", _unsigned(mysql.MEDIUMINT), primary_key=True, autoincrement=True),
    Column("user_id", _unsigned(mysql.MEDIUMINT), nullable=False),
    Column("group_id", _unsigned(mysql.MEDIUMINT), nullable=False),
    **_OPENML,
)

groups = Table(
    "groups",
    metadata,
    Column("id", _unsigned(mysql.MEDIUMINT), primary_key=True, autoincrement=True),
    Column("name", String(20), nullable=False),
    Column("description", String(100), nullable=False),
    **_OPENML,
)

Index("users_email", users.c.email).ddl_if(dialect="sqlite")

OPENML_TABLES = (users, users_groups, groups)
OPTIONAL_COLUMNS = frozenset({"session_hash_date", "gamification_visibility"})
"""Columns that some installations' `users` do without."""

# --- ours

revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("jti", String(32), primary_key=True),
    Column("user_id", Integer, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    **OURS,
)

account_tokens = Table(
    "account_tokens",
    metadata,
    Column("token_digest", String(64), primary_key=True),
    Column("user_id", Integer, nullable=False, index=True),
    Column("purpose", String(20), nullable=False),
    # The address that a change of address confirms.
    Column("email", String(254)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("used_at", UtcDateTime),
    **OURS,
)

account_states = Table(
    "account_states",
    metadata,
    Column("user_id", Integer, primary_key=True, autoincrement=False),
    # Access tokens issued up to this moment are dead.
    Column("tokens_valid_from", UtcDateTime),
    # When its address was confirmed here: an account that is closed after that was closed on purpose.
    Column("confirmed_at", UtcDateTime),
    # An operator has closed the account: mail links must not open it again.
    Column("deactivated_at", UtcDateTime),
    # What was typed of texts that `users` has in other letters (db/typed_texts.py).
    Column("typed_texts", Text),
    # The latest change of address that was asked for; an earlier one, or one before a reset, is none any more.
    Column("email_change", String(32)),
    # A digest of the secret of the browser that signed up, until the address is confirmed: only there counts the
    # password that came with it.
    Column("signup_browser", String(64)),
    **OURS,
)

sessions = Table(
    "sessions",
    metadata,
    Column("jti", String(32), primary_key=True),
    Column("user_id", Integer, nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("ip_address", String(45), nullable=False),
    Column("user_agent", String(200), nullable=False),
    # When the password was given once more; the login itself is `created_at`.
    Column("reauthenticated_at", UtcDateTime),
    # By which methods it began, and was confirmed since (core/methods.py).
    Column("methods", String(80), nullable=False, server_default="pwd"),
    # The session that stays of which it is a part.
    Column("family_id", String(32), index=True),
    **OURS,
)

address_locks = Table(
    "address_locks",
    metadata,
    Column("address_digest", String(64), primary_key=True),
    **OURS,
)

audit_events = Table(
    "audit_events",
    metadata,
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("user_id", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("kind", String(40), nullable=False),
    Column("ip_address", String(45), nullable=False),
    Column("user_agent", String(200), nullable=False),
    Column("network", String(49), nullable=False, server_default=""),
    Column("device", String(40)),
    # Why somebody else did it, for the owner to read; and which administrator that was, for other administrators.
    Column("detail", String(500)),
    Column("administrator_id", Integer),
    Index("ix_audit_events_visit", "user_id", "ip_address", "kind"),
    Index("ix_audit_events_network", "user_id", "network", "kind"),
    **OURS,
    **NOT_REUSED,
)

rate_counters = Table(
    "rate_counters",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("hits", Integer, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    **OURS,
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BIG_ID, primary_key=True, autoincrement=True),
    Column("kind", String(40), nullable=False),
    Column("recipient", String(254), nullable=False),
    # Emptied once the mail is out: it may hold a link that opens an account.
    Column("parameters", JSON, nullable=False),
    Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("available_at", UtcDateTime, nullable=False),
    Column("lease_owner", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("last_error", String(500)),
    traceparent_column(),
    Index("ix_outbox_queue", "state", "available_at"),
    **OURS,
    **NOT_REUSED,
)

task_requests = Table(
    "task_requests",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user_id", Integer, nullable=False, index=True),
    Column("dataset_id", Integer, nullable=False, index=True),
    Column("state", String(10), nullable=False),
    Column("request", JSON, nullable=False),
    Column("task_id", Integer),
    Column("error", JSON),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("available_at", UtcDateTime, nullable=False),
    Column("lease_owner", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    traceparent_column(),
    Index("ix_task_requests_queue", "state", "available_at"),
    **OURS,
)

worker_heartbeats = Table(
    "worker_heartbeats",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("host", String(64), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    # The kind of error that ended the process; empty while it works, and where it was killed.
    Column("fault", String(64), nullable=False, server_default=""),
    **OURS,
)
