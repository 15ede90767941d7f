"""How sessions began, log-ins that are half done, the devices of log-ins, and changes that can be undone."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

WORKS_FROM = "0010"

MYSQL = ("mysql", "mariadb")
OURS = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
}
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *MYSQL)


def upgrade() -> None:
    op.create_table(
        "sign_in_tickets",
        sa.Column("ticket_digest", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.Integer, nullable=False, index=True),
        sa.Column("methods", sa.String(80), nullable=False),
        sa.Column("stays", sa.Integer, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False, index=True),
        **OURS,
    )
    op.create_table(
        "account_changes",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("link_digest", sa.String(64), nullable=False, unique=True),
        sa.Column("user_id", sa.Integer, nullable=False, index=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("before", sa.JSON, nullable=False),
        sa.Column("email", sa.String(254), index=True),
        sa.Column("expires_at", MOMENT, nullable=False, index=True),
        **OURS,
        sqlite_autoincrement=True,
    )
    op.add_column("audit_events", sa.Column("device", sa.String(40)))
    op.add_column("sessions", sa.Column("methods", sa.String(80), nullable=False, server_default="pwd"))


def downgrade() -> None:
    op.drop_column("sessions", "methods")
    op.drop_column("audit_events", "device")
    op.drop_table("account_changes")
    op.drop_table("sign_in_tickets")
