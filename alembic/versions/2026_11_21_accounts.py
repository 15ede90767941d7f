"""Add what accounts need beyond signing up: their state, sessions, audit trail, and rate counters."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MYSQL = ("mysql", "mariadb")
OURS = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
}
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *MYSQL)
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("account_tokens", sa.Column("email", sa.String(254)))
    op.create_table(
        "account_states",
        sa.Column("user_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("tokens_valid_from", MOMENT),
        sa.Column("confirmed_at", MOMENT),
        sa.Column("deactivated_at", MOMENT),
        **OURS,
    )
    op.create_table(
        "sessions",
        sa.Column("jti", sa.String(32), primary_key=True),
        sa.Column("user_id", sa.Integer, nullable=False, index=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("last_seen_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False, index=True),
        sa.Column("ip_address", sa.String(45), nullable=False),
        sa.Column("user_agent", sa.String(200), nullable=False),
        **OURS,
    )
    op.create_table("address_locks", sa.Column("address_digest", sa.String(64), primary_key=True), **OURS)
    op.create_table(
        "audit_events",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("at", MOMENT, nullable=False, index=True),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("ip_address", sa.String(45), nullable=False),
        sa.Column("user_agent", sa.String(200), nullable=False),
        sa.Index("ix_audit_events_visit", "user_id", "ip_address", "kind"),
        **OURS,
        sqlite_autoincrement=True,
    )
    op.create_table(
        "rate_counters",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("hits", sa.Integer, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False, index=True),
        **OURS,
    )


def downgrade() -> None:
    for table in ("rate_counters", "audit_events", "address_locks", "sessions", "account_states"):
        op.drop_table(table)
    op.drop_column("account_tokens", "email")
