"""Tell every machine's index what was made or changed through any of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

WORKS_FROM = "0010"

MYSQL = ("mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "index_changes",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("entity_id", sa.Integer, nullable=False),
        sa.Column("user_id", sa.Integer),
        sa.Column(
            "at", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *MYSQL), nullable=False, index=True
        ),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mariadb_engine="InnoDB",
        mariadb_charset="utf8mb4",
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("index_changes")
