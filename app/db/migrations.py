"""Changing a database, forth and back. Imported only to do that: alembic takes longer to import than a start takes."""

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.faults import translated
from app.db.mysql import take_time
from app.db.revisions import REVISIONS, VERSION_TABLE, MigrationError, Schema, SchemaStatus, schema_of
from app.db.tables import MYSQL, OPENML_TABLES, OPTIONAL_COLUMNS

PACKAGE = Path(__file__).resolve().parents[1]
LOCK = "openml_web_migrate"
LOCK_SECONDS = 60
PREVIOUS = "previous"
"""Names the revision before the one that a database is at."""
_DROPPED = re.compile(r"^(?:DROP TABLE (\w+)|ALTER TABLE (\w+) DROP COLUMN (\w+));$", re.MULTILINE)
T = TypeVar("T")


async def migrate(engine: AsyncEngine, *, to: str = "head") -> Schema:
    """Run every migration that is missing, or those up to a revision; return where the database is then.

    Several processes may try at once; one does it. Nothing is done to a database that is ahead, and usable.

    Raises:
        DatabaseUnavailableError: the database is away, in trouble or full.
        MigrationError: another process holds the lock for a minute, adopted tables do not fit, or the database is too
            far ahead.
    """
    return await _with_connection(engine, partial(_upgrade, to=to))


async def go_back(engine: AsyncEngine, revision: str, *, accepts_loss: bool) -> Schema:
    """Undo the migrations after a revision of `REVISIONS`, or the last (`PREVIOUS`); return where the database is then.

    Raises:
        DatabaseUnavailableError: the database is away, in trouble or full.
        MigrationError: that is not possible, or would lose something, which the text names, without `accepts_loss`.
    """
    return await _with_connection(engine, partial(_downgrade, revision=revision, accepts_loss=accepts_loss))


async def sql_of_migration(engine: AsyncEngine, *, back_to: str | None = None) -> str:
    """Return the SQL of `migrate`, or of `go_back`, for the database as it is, and change nothing.

    Raises:
        DatabaseUnavailableError: the database is away, in trouble or full.
        MigrationError: there is nothing that this version could do with the database.
    """
    return await _with_connection(engine, partial(_sql, back_to=back_to))


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


async def _with_connection(engine: AsyncEngine, work: Callable[[Connection], T]) -> T:
    with translated():
        async with engine.connect() as connection:
            await take_time(connection)
            return await connection.run_sync(work)


def _config(connection: Connection, output: io.StringIO | None = None) -> Config:
    installed, checkout = PACKAGE / "alembic", PACKAGE.parent / "alembic"
    config = Config(output_buffer=output)
    # A per cent sign in a path would begin a reference to another option.
    location = str(installed if installed.exists() else checkout).replace("%", "%%")
    config.set_main_option("script_location", location)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    # SQLite needs no lock: the transaction began as a writer's.
    locks = connection.dialect.name in MYSQL
    if locks and connection.scalar(sa.select(sa.func.get_lock(LOCK, LOCK_SECONDS))) != 1:
        raise MigrationError(
            "Another process has been migrating this database for a minute. Try again later."
        )
    try:
        yield
        # Before the lock is gone, else the next one would not see what was done.
        connection.commit()
    finally:
        connection.rollback()
        if locks:
            connection.scalar(sa.select(sa.func.release_lock(LOCK)))


def _upgrade(connection: Connection, *, to: str) -> Schema:
    with _alone(connection):
        if schema_of(connection).status is SchemaStatus.BEHIND:
            command.upgrade(_config(connection), to)
        schema = schema_of(connection)
        if to == "head":
            schema.require_usable()
    return schema


def _downgrade(connection: Connection, *, revision: str, accepts_loss: bool) -> Schema:
    with _alone(connection):
        wanted = _earlier(schema_of(connection), revision)
        losses = [] if accepts_loss else _losses(connection, wanted)
        if losses:
            raise MigrationError(
                "\n- ".join([f"To go back to revision {wanted} would lose:", *losses])
                + "\nMake a backup, then repeat it with --yes."
            )
        command.downgrade(_config(connection), wanted)
        return schema_of(connection)


def _sql(connection: Connection, *, back_to: str | None) -> str:
    schema = schema_of(connection)
    if back_to is not None:
        return _offline(connection, command.downgrade, f"{schema.revision}:{_earlier(schema, back_to)}")
    if schema.status is not SchemaStatus.BEHIND:
        schema.require_usable()
        return f"-- {schema.describe()}\n"
    present = f"{schema.revision}:" if schema.revision else ""
    return _offline(connection, command.upgrade, f"{present}head")


def _offline(connection: Connection, how: Callable[..., None], revisions: str) -> str:
    output = io.StringIO()
    how(_config(connection, output), revisions, sql=True)
    return output.getvalue()


def _earlier(schema: Schema, revision: str) -> str:
    """Return the revision to go back to.

    Raises:
        MigrationError: there is no such one, or only a newer version of the service knows the way.
    """
    if schema.revision not in REVISIONS:
        raise MigrationError(
            f"{schema.describe()} Only a version that knows revision {schema.revision} can take it back."
            if schema.revision
            else "The database was never migrated."
        )
    earlier = REVISIONS[: REVISIONS.index(schema.revision)]
    wanted = earlier[-1] if revision == PREVIOUS and earlier else revision
    if wanted not in earlier:
        there_are = f"There are {earlier[0]} to {earlier[-1]}." if earlier else "There is none."
        raise MigrationError(f"{revision} is no revision before {schema.revision}. {there_are}")
    return wanted


def _losses(connection: Connection, revision: str) -> list[str]:
    """Return what the database has that it could not have at an earlier revision: each table and column, and its rows.

    Downgrades do nothing but drop; a test looks at their SQL.
    """
    sql = _offline(connection, command.downgrade, f"{schema_of(connection).revision}:{revision}")
    dropped: Sequence[tuple[str, str, str]] = _DROPPED.findall(sql.replace("`", ""))
    tables = {table for table, _, _ in dropped if table}
    losses = [
        (f"the table {table}", sa.select(sa.func.count()).select_from(sa.table(table))) for table in tables
    ]
    losses += [
        (f"the column {column} of {table}", _count_filled(connection, table, column))
        for _, table, column in dropped
        if table and table not in {*tables, VERSION_TABLE}
    ]
    counted = [(name, connection.scalar(select)) for name, select in sorted(losses, key=lambda loss: loss[0])]
    return [f"{name}: {rows} {'row' if rows == 1 else 'rows'}" for name, rows in counted if rows]


def _count_filled(connection: Connection, table: str, column: str) -> sa.Select[int]:
    """Return the SELECT of how many rows have another value than the column's default."""
    described = {each["name"]: each for each in sa.inspect(connection).get_columns(table)}
    default = described[column]["default"]
    value: sa.ColumnClause[str] = sa.column(column)
    # JSON's null is none either.
    filled = sa.and_(value.is_not(None), sa.cast(value, sa.String(16)) != "null")
    if default is not None:
        filled = sa.and_(filled, value != sa.text(default))
    return sa.select(sa.func.count()).select_from(sa.table(table)).where(filled)
