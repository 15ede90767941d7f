"""Passkeys, by what name authenticators know their owners, and challenges that were answered."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0020"
down_revision = "0019"
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
        "passkeys",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("user_id", sa.Integer, nullable=False, index=True),
        sa.Column("credential_digest", sa.String(64), nullable=False, unique=True),
        sa.Column("credential_id", sa.Text, nullable=False),
        sa.Column("public_key", sa.Text, nullable=False),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        sa.Column("transports", sa.String(100), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("aaguid", sa.String(36), nullable=False),
        sa.Column("backup_eligible", sa.Boolean, nullable=False),
        sa.Column("backed_up", sa.Boolean, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("last_used_at", MOMENT),
        **OURS,
        sqlite_autoincrement=True,
    )
    op.create_table(
        "passkey_owners",
        sa.Column("user_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("handle", sa.String(43), nullable=False),
        sa.Column("is_second_factor", sa.Boolean, nullable=False, server_default="0"),
        **OURS,
    )
    op.create_table(
        "spent_challenges",
        sa.Column("challenge_digest", sa.String(64), primary_key=True),
        sa.Column("expires_at", MOMENT, nullable=False, index=True),
        **OURS,
    )


def downgrade() -> None:
    op.drop_table("spent_challenges")
    op.drop_table("passkey_owners")
    op.drop_table("passkeys")
