"""Adopt OpenML's user tables, or create them where they are missing, and add our own.

The tables stand here as they were on that day, whatever app/db/tables.py says by the time this runs. OpenML's are
never altered and never dropped: other servers work on them.
"""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

from app.db.migrations import check_adopted

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MYSQL = ("mysql", "mariadb")
OPENML = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "latin1",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "latin1",
}
OURS = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
}
NOT_REUSED = {"sqlite_autoincrement": True}
OUR_TABLES = ("upload_events", "uploads", "outbox", "account_tokens", "revoked_tokens")

MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *MYSQL)
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def unsigned(mysql_type: type[mysql.MEDIUMINT | mysql.INTEGER]) -> sa.types.TypeEngine[int]:
    return sa.Integer().with_variant(mysql_type(unsigned=True), *MYSQL)


def nocase(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="NOCASE"), "sqlite")


def upgrade() -> None:
    # Not `op.get_bind()`, which is no connection where the SQL is printed only.
    adopted = check_adopted(context.config.attributes.get("connection") or op.get_bind())
    if "users" not in adopted:
        create_users()
        if op.get_context().dialect.name == "sqlite":
            # On a database of our own a login needs not look at every row.
            op.create_index("users_email", "users", ["email"])
    if "users_groups" not in adopted:
        create_users_groups()
    if "groups" not in adopted:
        create_groups()
    create_account_tables()
    create_outbox()
    create_uploads()


def downgrade() -> None:
    for table in OUR_TABLES:
        op.drop_table(table)


def create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", unsigned(mysql.MEDIUMINT), primary_key=True, autoincrement=True),
        sa.Column("ip_address", sa.String(45), nullable=False),
        sa.Column("username", nocase(100), nullable=False),
        sa.Column("password", sa.String(255), nullable=False),
        sa.Column("email", nocase(254), nullable=False),
        sa.Column("activation_selector", sa.String(255)),
        sa.Column("activation_code", sa.String(255)),
        sa.Column("forgotten_password_selector", sa.String(255)),
        sa.Column("forgotten_password_code", sa.String(255)),
        sa.Column("forgotten_password_time", unsigned(mysql.INTEGER)),
        sa.Column("remember_selector", sa.String(255)),
        sa.Column("remember_code", sa.String(255)),
        sa.Column("created_on", unsigned(mysql.INTEGER), nullable=False),
        sa.Column("last_login", unsigned(mysql.INTEGER)),
        sa.Column("active", sa.SmallInteger().with_variant(mysql.TINYINT(1, unsigned=True), *MYSQL)),
        sa.Column("first_name", sa.String(50)),
        sa.Column("last_name", sa.String(50)),
        sa.Column("company", sa.String(100), nullable=False),
        sa.Column("phone", sa.String(20)),
        sa.Column("country", sa.String(50), nullable=False),
        sa.Column("image", sa.String(128)),
        sa.Column("bio", sa.Text, nullable=False),
        sa.Column("core", sa.Enum("true", "false", length=5), nullable=False, server_default="false"),
        sa.Column("external_source", sa.String(50)),
        sa.Column("external_id", sa.String(50)),
        sa.Column("session_hash", sa.String(40)),
        sa.Column(
            "session_hash_date",
            sa.DateTime().with_variant(mysql.TIMESTAMP(), *MYSQL),
            nullable=True,
            server_default=sa.text("CURRENT_TIMESTAMP"),
        ),
        sa.Column("gamification_visibility", sa.String(32), nullable=False, server_default="show"),
        sa.UniqueConstraint("username", "email", name="username"),
        sa.UniqueConstraint("session_hash", name="session_hash"),
        sa.UniqueConstraint("activation_selector", name="activation_selector"),
        sa.UniqueConstraint("forgotten_password_selector", name="forgotten_password_selector"),
        sa.UniqueConstraint("remember_selector", name="remember_selector"),
        **OPENML,
        **NOT_REUSED,
    )


def create_users_groups() -> None:
    op.create_table(
        "users_groups",
        sa.Column("id", unsigned(mysql.MEDIUMINT), primary_key=True, autoincrement=True),
        sa.Column("user_id", unsigned(mysql.MEDIUMINT), nullable=False),
        sa.Column("group_id", unsigned(mysql.MEDIUMINT), nullable=False),
        **OPENML,
    )


def create_groups() -> None:
    groups = op.create_table(
        "groups",
        sa.Column("id", unsigned(mysql.MEDIUMINT), primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(20), nullable=False),
        sa.Column("description", sa.String(100), nullable=False),
        **OPENML,
    )
    op.bulk_insert(
        groups,
        [
            {"id": 1, "name": "admin", "description": "Administrator"},
            {"id": 2, "name": "members", "description": "General User (read-write)"},
            {"id": 3, "name": "readonly", "description": "General User (read-only)"},
        ],
    )


def create_account_tables() -> None:
    op.create_table(
        "revoked_tokens",
        sa.Column("jti", sa.String(32), primary_key=True),
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False, index=True),
        **OURS,
    )
    op.create_table(
        "account_tokens",
        sa.Column("token_digest", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.Integer, nullable=False, index=True),
        sa.Column("purpose", sa.String(20), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False, index=True),
        sa.Column("used_at", MOMENT),
        **OURS,
    )


def create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("recipient", sa.String(254), nullable=False),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("available_at", MOMENT, nullable=False),
        sa.Column("lease_owner", sa.String(64)),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT),
        sa.Column("last_error", sa.String(500)),
        sa.Index("ix_outbox_queue", "state", "available_at"),
        **OURS,
        **NOT_REUSED,
    )


def create_uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("user_id", sa.Integer, nullable=False, index=True),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("file_name", sa.String(255), nullable=False),
        sa.Column("format", sa.String(12), nullable=False),
        sa.Column("description", sa.JSON),
        sa.Column("received_bytes", sa.BigInteger),
        sa.Column("received_md5", sa.String(32)),
        sa.Column("received_sha256", sa.String(64)),
        sa.Column("arff_bytes", sa.BigInteger),
        sa.Column("arff_md5", sa.String(32)),
        sa.Column("arff_format", sa.String(12)),
        sa.Column("row_count", sa.BigInteger),
        sa.Column("column_count", sa.Integer),
        sa.Column("warnings", sa.JSON),
        sa.Column("sent_at", MOMENT),
        sa.Column("newest_before", sa.Integer),
        sa.Column("dataset_id", sa.Integer),
        sa.Column("error", sa.JSON),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("available_at", MOMENT, nullable=False),
        sa.Column("lease_owner", sa.String(64)),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT),
        sa.Index("ix_uploads_queue", "state", "available_at"),
        **OURS,
    )
    op.create_table(
        "upload_events",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("upload_id", sa.String(32), nullable=False, index=True),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("detail", sa.String(500)),
        **OURS,
        **NOT_REUSED,
    )
