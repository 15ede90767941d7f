"""What administrators do: notices, reports, files in quarantine, reasons, and when a password was given again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

WORKS_FROM = "0010"

MYSQL = ("mysql", "mariadb")
OURS = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "sqlite_autoincrement": True,
}
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *MYSQL)


def upgrade() -> None:
    op.create_table(
        "notices",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("text", sa.String(500), nullable=False),
        sa.Column("begins_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT, index=True),
        **OURS,
    )
    op.create_table(
        "reports",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("reporter_id", sa.Integer, nullable=False, index=True),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("subject", sa.String(32), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT, index=True),
        **OURS,
    )
    op.add_column("audit_events", sa.Column("detail", sa.String(500)))
    op.add_column("audit_events", sa.Column("administrator_id", sa.Integer))
    op.add_column("sessions", sa.Column("reauthenticated_at", MOMENT))
    op.add_column("uploads", sa.Column("quarantined_at", MOMENT))


def downgrade() -> None:
    op.drop_column("uploads", "quarantined_at")
    op.drop_column("sessions", "reauthenticated_at")
    op.drop_column("audit_events", "administrator_id")
    op.drop_column("audit_events", "detail")
    op.drop_table("reports")
    op.drop_table("notices")
