"""Accounts at providers that open accounts here, and log-ins with providers that are under way."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0018"
down_revision = "0017"
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
        "linked_accounts",
        sa.Column("identity_digest", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.Integer, nullable=False, index=True),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("issuer", sa.String(255), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("label", sa.String(254), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("last_used_at", MOMENT),
        **OURS,
    )
    op.create_table(
        "provider_flows",
        sa.Column("state_digest", sa.String(64), primary_key=True),
        sa.Column("browser_digest", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("user_id", sa.Integer, index=True),
        sa.Column("pending_digest", sa.String(64)),
        sa.Column("expires_at", MOMENT, nullable=False, index=True),
        **OURS,
    )
    op.create_table(
        "pending_identities",
        sa.Column("token_digest", sa.String(64), primary_key=True),
        sa.Column("identity_digest", sa.String(64), nullable=False, index=True),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("email", sa.String(254), index=True),
        sa.Column("expires_at", MOMENT, nullable=False, index=True),
        **OURS,
    )


def downgrade() -> None:
    op.drop_table("pending_identities")
    op.drop_table("provider_flows")
    op.drop_table("linked_accounts")
