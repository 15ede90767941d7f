"""Record the oldest revision whose code works on the database, where versions that know no newer one can read it."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

WORKS_FROM = "0010"


def upgrade() -> None:
    op.add_column("openml_web_version", sa.Column("works_from", sa.String(32)))


def downgrade() -> None:
    op.drop_column("openml_web_version", "works_from")
