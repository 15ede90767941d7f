"""Bringing a database up to date, and refusing to start on one that is behind."""

from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.errors import OperatorError
from app.db.faults import translated
from app.db.mysql import take_time
from app.db.reader import Reader, ReadStatement
from app.db.tables import MYSQL, OPENML_TABLES, OPTIONAL_COLUMNS

PACKAGE = Path(__file__).resolve().parents[1]
VERSION_TABLE = "openml_web_version"
"""Not alembic's default name: other services migrate tables of the same database."""
LOCK = "openml_web_migrate"
LOCK_SECONDS = 60
_PRESENT = ReadStatement(sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE)))


class MigrationError(OperatorError):
    """The database cannot be brought, or is not, where this version of the service needs it."""


async def migrate(engine: AsyncEngine) -> None:
    """Run every migration that is missing. Several processes may try at once; one does it.

    Raises:
        DatabaseUnavailableError: the database is away, in trouble or full.
        MigrationError: another process holds the lock for a minute, or adopted tables do not fit.
    """
    with translated():
        async with engine.connect() as connection:
            await take_time(connection)
            await connection.run_sync(_upgrade)


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
    head, _ = _revisions()
    if present == head or may_be_ahead:
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
    head, known = _revisions()
    if present != head and (present is None or present in known):
        raise MigrationError("The database is behind this version of the service. Run: openml-web migrate")


def check_adopted(connection: Connection) -> list[str]:
    """Return the names of OpenML's tables that exist already, having checked that we can work with them.

    Raises:
        MigrationError: a column that we read or write is missing.
    """
    inspector = sa.inspect(connection)
    present = [table for table in OPENML_TABLES if inspector.has_table(table.name)]
    for table in present:
        columns = {column["name"] for column in inspector.get_columns(table.name)}
        missing = {column.name for column in table.columns} - columns - OPTIONAL_COLUMNS
        if missing:
            raise MigrationError(
                f"The existing table {table.name} lacks {', '.join(sorted(missing))}. "
                "It is not an OpenML table this service knows; name another database in DATABASE_URI."
            )
    return [table.name for table in present]


@cache
def _revisions() -> tuple[str | None, frozenset[str]]:
    """Return the newest revision, and all of them."""
    scripts = ScriptDirectory.from_config(_config())
    return scripts.get_current_head(), frozenset(each.revision for each in scripts.walk_revisions())


def _config() -> Config:
    installed, checkout = PACKAGE / "alembic", PACKAGE.parent / "alembic"
    config = Config()
    # A per cent sign in a path would begin a reference to another option.
    location = str(installed if installed.exists() else checkout).replace("%", "%%")
    config.set_main_option("script_location", location)
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: Connection) -> None:
    # SQLite needs no lock: the transaction began as a writer's.
    locks = connection.dialect.name in MYSQL
    if locks and connection.scalar(sa.select(sa.func.get_lock(LOCK, LOCK_SECONDS))) != 1:
        raise MigrationError(
            "Another process has been migrating this database for a minute. Try again later."
        )
    try:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        # Before the lock is gone, else the next one would not see what was done.
        connection.commit()
    finally:
        connection.rollback()
        if locks:
            connection.scalar(sa.select(sa.func.release_lock(LOCK)))


def _present_revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()
