"""Bringing a database up to date. Imported only to do that: alembic takes longer to import than a start takes."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.faults import translated
from app.db.mysql import take_time
from app.db.revisions import MigrationError
from app.db.tables import MYSQL, OPENML_TABLES, OPTIONAL_COLUMNS

PACKAGE = Path(__file__).resolve().parents[1]
LOCK = "openml_web_migrate"
LOCK_SECONDS = 60


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
