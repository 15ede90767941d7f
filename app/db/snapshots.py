"""Rows of whole tables as they were at one moment, and rows written into an empty database: for backups and moves.

Rows are tuples of what JSON has (moments as ISO 8601, JSON columns as their text), so that they are the same on every
database and in a file.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db import site_tables, tables
from app.db.engine import BEGIN, Database
from app.db.every_table import metadata
from app.db.faults import translated, unavailable
from app.db.mysql import take_time
from app.db.tables import OPENML_TABLES

Row = tuple[str | int | float | bool | None, ...]
"""The values of a row, as JSON has them, in the order of its columns."""

ROWS_AT_ONCE = 200
"""Rows that are read, written or compared together: a description may take a mebibyte."""
LEFT_OUT: Mapping[sa.Table, str] = {
    tables.worker_heartbeats: "it says which processes work, which is true of no other place or time",
    site_tables.store_marks: "it says which store is the database's own, which restoring and moving settle",
}
"""Tables of ours that no backup has, and why."""
SEEDED = tables.groups
"""The table that a migration fills."""


def tables_to_copy(*, with_openml: bool) -> list[sa.Table]:
    """Return our tables, and those with OpenML's layout where they are the site's own."""
    found = (*OPENML_TABLES, *(table for table in metadata.sorted_tables if table not in OPENML_TABLES))
    return [table for table in found if table not in LEFT_OUT and (with_openml or table not in OPENML_TABLES)]


@asynccontextmanager
async def snapshot(database: Database) -> AsyncIterator[AsyncConnection]:
    """Yield a connection whose reads all see the database as it is now. Nobody who writes waits for it.

    Raises:
        DatabaseUnavailableError: the database is away or in trouble.
    """
    with translated():
        async with database.engine.connect() as connection:
            if database.is_sqlite:
                await connection.execution_options(**{BEGIN: "BEGIN"})
                await connection.execute(sa.text("SELECT count(*) FROM sqlite_master"))
            else:
                # It also keeps other units of work from getting the connection.
                await take_time(connection)
                await connection.execute(sa.text("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
                await connection.rollback()
                await connection.execute(sa.text("START TRANSACTION WITH CONSISTENT SNAPSHOT"))
            yield connection


@asynccontextmanager
async def filling(database: Database) -> AsyncIterator[AsyncConnection]:
    """Yield a connection whose one transaction may take as long as it needs, and is committed at the end.

    Raises:
        DatabaseUnavailableError: the database is away, in trouble or full.
    """
    with translated():
        async with database.engine.connect() as connection:
            await take_time(connection)
            yield connection
            await connection.commit()


async def columns_of(connection: AsyncConnection, table: sa.Table) -> list[str]:
    """Return the columns that the table has here, of those that we know."""
    there = await connection.run_sync(lambda sync: sa.inspect(sync).get_columns(table.name))
    names = {column["name"] for column in there}
    return [column.name for column in table.columns if column.name in names]


async def count_rows(connection: AsyncConnection, table: sa.Table) -> int:
    """Return how many rows the table has."""
    return int(await connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


async def read_rows(
    connection: AsyncConnection,
    table: sa.Table,
    columns: Sequence[str],
    *,
    where: sa.ColumnElement[bool] | None = None,
) -> AsyncIterator[list[Row]]:
    """Yield the rows, by their key, some at a time; the key is among the columns."""
    raw = _raw(table, columns)
    key = [raw.c[column.name] for column in table.primary_key]
    select = sa.select(*(raw.c[name] for name in columns)).order_by(*key).limit(ROWS_AT_ONCE)
    if where is not None:
        select = select.where(where)
    after: sa.ColumnElement[bool] = sa.true()
    while found := (await connection.execute(select.where(after))).all():
        yield [tuple(map(_encoded, row)) for row in found]
        after = _beyond(key, [found[-1]._mapping[column.name] for column in key])  # noqa: SLF001 - its public name


async def insert_rows(
    connection: AsyncConnection, table: sa.Table, columns: Sequence[str], rows: Sequence[Row]
) -> None:
    """Write rows into the table.

    Raises:
        ValueError: a value is none of its column's kind.
        DatabaseUnavailableError: the database is away, in trouble or full.
    """
    if table is SEEDED:
        there = set(await connection.scalars(sa.select(table.c.id)))
        at = columns.index("id")
        rows = [row for row in rows if row[at] not in there]
    if rows:
        values = [_values(table, columns, row) for row in rows]
        try:
            await connection.execute(sa.insert(_raw(table, columns)), values)
        except sa.exc.StatementError as error:
            if unavailable(error):
                raise
            raise ValueError(f"rows do not fit into {table.name}") from None


async def first_difference(
    connection: AsyncConnection, table: sa.Table, columns: Sequence[str], rows: Sequence[Row]
) -> str | None:
    """Return the key of the first of the rows that the table has not, or has otherwise; None if it has all."""
    raw = _raw(table, columns)
    names = [column.name for column in table.primary_key]
    key = sa.tuple_(*(raw.c[name] for name in names))
    wanted = {
        tuple(row[columns.index(name)] for name in names): (_values(table, columns, row), row) for row in rows
    }
    keys = [tuple(values[name] for name in names) for values, _ in wanted.values()]
    found = await connection.execute(sa.select(*(raw.c[name] for name in columns)).where(key.in_(keys)))
    there = {tuple(map(_encoded, row)) for row in found}
    missing = (which for which, (_, row) in wanted.items() if row not in there)
    return next((", ".join(map(str, which)) for which in missing), None)


async def last_ids(connection: AsyncConnection, names: Sequence[str]) -> dict[str, int]:
    """Return the last number that each table gave to a row, where it never gives one twice."""
    if connection.dialect.name == "sqlite":
        found = await connection.execute(sa.text("SELECT name, seq FROM sqlite_sequence"))
    else:
        found = await connection.execute(
            sa.text(
                "SELECT table_name, auto_increment - 1 FROM information_schema.tables "
                "WHERE table_schema = DATABASE() AND auto_increment IS NOT NULL"
            )
        )
    return {name: int(number) for name, number in found if name in names}


async def set_last_ids(connection: AsyncConnection, numbers: Mapping[str, int]) -> None:
    """Have each table go on behind a number; the transaction is committed."""
    for name, number in numbers.items():
        if connection.dialect.name == "sqlite":
            sequence = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq"))
            await connection.execute(sa.delete(sequence).where(sequence.c.name == name))
            await connection.execute(sa.insert(sequence).values(name=name, seq=number))
        else:
            table = connection.dialect.identifier_preparer.quote(name)
            await connection.execute(sa.text(f"ALTER TABLE {table} AUTO_INCREMENT = {number + 1:d}"))
    await connection.commit()


def _raw(table: sa.Table, columns: Sequence[str]) -> sa.TableClause:
    """Return the table with texts where SQLAlchemy would make something else of them."""
    kinds = {name: table.c[name].type for name in columns}
    return sa.table(
        table.name,
        *(
            sa.column(name, sa.Text() if isinstance(kind, sa.JSON | sa.Enum) else kind)
            for name, kind in kinds.items()
        ),
    )


def _beyond(key: Sequence[sa.ColumnClause[Any]], last: Sequence[Any]) -> sa.ColumnElement[bool]:
    first: sa.ColumnElement[Any]
    first, value = key[0], last[0]
    if len(key) == 1:
        return sa.and_(first > value)
    return sa.or_(first > value, sa.and_(first == value, _beyond(key[1:], last[1:])))


def _encoded(value: Any) -> Any:  # noqa: ANN401 - of any column
    return value.isoformat() if isinstance(value, datetime) else value


def _values(table: sa.Table, columns: Sequence[str], row: Row) -> dict[str, Any]:
    values: dict[str, Any] = dict(zip(columns, row, strict=True))
    for name, value in values.items():
        if isinstance(value, str) and isinstance(table.c[name].type, tables.UtcDateTime | sa.DateTime):
            values[name] = datetime.fromisoformat(value)
    return values
