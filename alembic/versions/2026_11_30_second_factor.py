"""Second factors: secrets of authenticator apps, recovery codes, and removals by operators."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0021"
down_revision = "0020"
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
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *MYSQL)


def upgrade() -> None:
    op.create_table(
        "totp_secrets",
        sa.Column("user_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sealed", sa.String(255), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        **OURS,
    )
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("code_digest", sa.String(64), primary_key=True),
        sa.Column("created_at", MOMENT, nullable=False),
        **OURS,
    )
    op.create_table(
        "factor_resets",
        sa.Column("user_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("asked_by", sa.String(20), nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False, index=True),
        **OURS,
    )


def downgrade() -> None:
    for name in ("factor_resets", "recovery_codes", "totp_secrets"):
        op.drop_table(name)
