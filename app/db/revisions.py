"""Whether a database is where this version of the service needs it; what brings it there is in `migrations`.

Asked at each start and by `/health/ready`, so without alembic, which takes longer to import than all of a start.
"""

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.errors import OperatorError
from app.db.faults import translated
from app.db.reader import Reader, ReadStatement

VERSION_TABLE = "openml_web_version"
"""Not alembic's default name: other services migrate tables of the same database."""
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011")
"""The files of `alembic/versions`, from the first to the newest; a test compares."""
_SELECT: sa.Select[str] = sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE))
_PRESENT = ReadStatement(_SELECT)


class MigrationError(OperatorError):
    """The database cannot be brought, or is not, where this version of the service needs it."""


async def require_current(engine: AsyncEngine, *, may_be_ahead: bool = False) -> None:
    """Return if the database is where this version of the service needs it.

    One that is ahead was migrated for the next version: what runs goes on with it, and nothing is started.

    Raises:
        DatabaseUnavailableError: the database is away, in trouble or full.
        MigrationError: it is not; the text says which command to run.
    """
    with translated():
        async with engine.connect() as connection:
            present = await connection.run_sync(_present_revision)
    _refuse_behind(present)
    if present == REVISIONS[-1] or may_be_ahead:
        return
    raise MigrationError(
        f"The database is ahead of this version of the service (revision {present}). Update it."
    )


async def require_not_behind(reader: Reader) -> None:
    """Return if the database is current, or ahead; asked while the service runs, and so known to be ours.

    Raises:
        DatabaseUnavailableError: the database is away, in trouble or full.
        MigrationError: it is behind; the text says which command to run.
    """
    row = await reader.first(_PRESENT, {})
    _refuse_behind(row[0] if row else None)


def _refuse_behind(present: str | None) -> None:
    if present is None or present in REVISIONS[:-1]:
        raise MigrationError("The database is behind this version of the service. Run: openml-web migrate")


def _present_revision(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    present: str | None = connection.scalar(_SELECT)
    return present
