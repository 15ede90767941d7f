"""Which versions of the service work on a database; what changes the database is in `migrations`.

Asked at each start and by `/health/ready`, so without alembic, which takes longer to import than all of a start.
"""

from enum import Enum
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.errors import OperatorError
from app.db.faults import translated
from app.db.reader import Reader, ReadStatement

VERSION_TABLE = "openml_web_version"
"""Not alembic's default name: other services migrate tables of the same database."""
WORKS_FROM = "works_from"
"""A column of that table: the oldest revision whose code works on the database. Migrations write it (`alembic/env.py`),
so that a version of the service can ask it of migrations that it does not know."""
RECORDED_SINCE = "0012"
"""The revision that adds the column."""
REVISIONS = (
    *("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011", "0012"),
    *("0013", "0014", "0015", "0016", "0017", "0018", "0019", "0020", "0021", "0022", "0023", "0024", "0025"),
)
"""The files of `alembic/versions`, from the first to the newest; a test compares."""
# Not by names: a database that is behind may lack the second column.
_SELECT: sa.Select[str] = sa.select(sa.text("*")).select_from(sa.table(VERSION_TABLE))
_PRESENT = ReadStatement(_SELECT)


class MigrationError(OperatorError):
    """The database cannot be brought, or is not, where this version of the service needs it."""


class SchemaStatus(Enum):
    """How a database compares with this version of the service."""

    CURRENT = "up to date"
    BEHIND = "behind"
    AHEAD = "ahead, and this version works with it"
    TOO_FAR_AHEAD = "ahead, and this version does not work with it"


class Schema(NamedTuple):
    """Where a database is.

    Attributes:
        revision: the migration that ran last; None where none did.
        works_from: the oldest revision whose code works with it; None where that is not recorded.
    """

    revision: str | None
    works_from: str | None = None

    @property
    def status(self) -> SchemaStatus:
        """How it compares with this version of the service."""
        if self.revision == REVISIONS[-1]:
            return SchemaStatus.CURRENT
        if self.revision is None or self.revision in REVISIONS:
            return SchemaStatus.BEHIND
        return SchemaStatus.AHEAD if self.works_from in REVISIONS else SchemaStatus.TOO_FAR_AHEAD

    def describe(self) -> str:
        """Return a sentence about it, and what to do."""
        ahead = f"The database is ahead of this version of the service (revision {self.revision})"
        since = f"those from revision {self.works_from} on do" if self.works_from else "newer ones do"
        return {
            SchemaStatus.CURRENT: f"The database is up to date (revision {self.revision}).",
            SchemaStatus.BEHIND: "The database is behind this version of the service. Run: openml-web migrate",
            SchemaStatus.AHEAD: f"{ahead}, which works with it.",
            SchemaStatus.TOO_FAR_AHEAD: f"{ahead}, which does not work with it: {since}. Update it.",
        }[self.status]

    def require_usable(self) -> None:
        """Return if this version works with it.

        Raises:
            MigrationError: it does not; the text says what to do.
        """
        if self.status not in {SchemaStatus.CURRENT, SchemaStatus.AHEAD}:
            raise MigrationError(self.describe())


def schema_of(connection: Connection) -> Schema:
    """Return where the database of a connection is."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return Schema(None)
    row = connection.execute(_SELECT).first()
    return Schema(*row) if row else Schema(None)


async def find_schema(engine: AsyncEngine) -> Schema:
    """Return where a database is, of which nothing is known.

    Raises:
        DatabaseUnavailableError: the database is away, in trouble or full.
    """
    with translated():
        async with engine.connect() as connection:
            return await connection.run_sync(schema_of)


async def read_schema(reader: Reader) -> Schema:
    """Return where a database is that was ours when the process started.

    Raises:
        DatabaseUnavailableError: the database is away, in trouble or full.
    """
    row = await reader.first(_PRESENT, {})
    return Schema(*row) if row else Schema(None)
