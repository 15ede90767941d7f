"""Copies rows into an empty database, and compares two databases row by row."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.backup.site import BackupError
from app.core.plain import plain_form
from app.db.engine import Database
from app.db.snapshots import (
    LEFT_OUT,
    SEEDED,
    Row,
    columns_of,
    count_rows,
    first_difference,
    insert_rows,
    read_rows,
)
from app.db.tables import account_states, metadata, users

NAMES = ("first_name", "last_name", "bio")
"""Texts of `users` that are kept as they were typed where the table cannot have them (`db/typed_texts.py`)."""


class RowSource(Protocol):
    """Rows of a backup or of a snapshot, table by table."""

    async def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns."""

    def rows(self, table: str) -> AsyncIterator[list[Row]]:
        """Yield its rows, some at a time."""


@dataclass(frozen=True, slots=True)
class SnapshotRows:
    """Rows of a database."""

    connection: AsyncConnection

    async def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns."""
        return await columns_of(self.connection, metadata.tables[table])

    async def rows(self, table: str) -> AsyncIterator[list[Row]]:
        """Yield its rows."""
        async for some in read_rows(self.connection, metadata.tables[table], await self.columns(table)):
            yield some


@dataclass(slots=True)
class StorableRows:
    """Rows adapted to a database: its `users` table may lack characters of people's names.

    `users` has to be read before `account_states`, which then has what was typed.
    """

    source: RowSource
    database: Database
    _typed: dict[int, dict[str, list[str]]] = field(default_factory=dict)

    async def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns."""
        return await self.source.columns(table)

    async def rows(self, table: str) -> AsyncIterator[list[Row]]:
        """Yield its rows."""
        columns = await self.columns(table)
        if table == users.name:
            self._typed.clear()
        async for some in self.source.rows(table):
            if table == users.name:
                yield [self._written(columns, row) for row in some]
            elif table == account_states.name:
                yield [self._with_typed(columns, dict(zip(columns, row, strict=True))) for row in some]
            else:
                yield some
        if table == account_states.name and self._typed:
            yield [self._with_typed(columns, {"user_id": user_id}) for user_id in list(self._typed)]

    def _written(self, columns: Sequence[str], row: Row) -> Row:
        values = dict(zip(columns, row, strict=True))
        for name in NAMES:
            text = str(values[name] or "")
            if not self.database.can_store(text):
                longest = getattr(users.c[name].type, "length", None) or len(text)
                values[name] = plain_form(text, self.database.can_store, longest=longest)
                self._typed.setdefault(int(values["id"] or 0), {})[name] = [text, str(values[name])]
        return tuple(values[name] for name in columns)

    def _with_typed(self, columns: Sequence[str], values: dict[str, str | int | float | None]) -> Row:
        if typed := self._typed.pop(int(values["user_id"] or 0), None):
            values["typed_texts"] = json.dumps(typed)
        return tuple(values.get(name) for name in columns)


async def require_empty(connection: AsyncConnection, tables: Sequence[sa.Table]) -> None:
    """Return if all tables are empty.

    Raises:
        BackupError: one has rows; the text says which.
    """
    for table in tables:
        if table is not SEEDED and (count := await count_rows(connection, table)):
            raise BackupError(
                f"The database has {count} {'row' if count == 1 else 'rows'} in {table.name}. Name an empty one "
                "in DATABASE_URI: nothing is mixed or overwritten."
            )


async def fill(connection: AsyncConnection, tables: Sequence[sa.Table], source: RowSource) -> None:
    """Write all rows into empty tables."""
    for table in tables:
        columns = await source.columns(table.name)
        if unknown := sorted(set(columns) - set(table.c.keys())):
            raise BackupError(
                f"This version of the service has no column {unknown[0][:64]!r} in {table.name}."
            )
        async for some in source.rows(table.name):
            try:
                await insert_rows(connection, table, columns, some)
            except (ValueError, TypeError, OverflowError):
                raise BackupError(
                    f"Rows of {table.name} do not fit into the table: a value is none of its kind."
                ) from None


async def compare(
    connection: AsyncConnection, tables: Sequence[sa.Table], source: RowSource
) -> dict[str, int]:
    """Return how many rows each table has, having found each of the source's in it, and no other.

    Raises:
        BackupError: a table is not as it should be; the text names the row.
    """
    counts: dict[str, int] = {}
    for table in tables:
        columns, count = await source.columns(table.name), 0
        async for some in source.rows(table.name):
            count += len(some)
            if (key := await first_difference(connection, table, columns, some)) is not None:
                raise BackupError(f"Row {key} of {table.name} is not the same in both.")
        there = await count_rows(connection, table)
        if there != count and table is not SEEDED:
            raise BackupError(f"{table.name} has {there} rows, where {count} are expected.")
        counts[table.name] = count
    return counts


def known_tables(names: Sequence[str]) -> list[sa.Table]:
    """Return the tables by their names, as they were listed.

    Raises:
        BackupError: there is none by one of them.
    """
    known = {table.name: table for table in metadata.sorted_tables if table not in LEFT_OUT}
    if unknown := [name for name in names if name not in known]:
        raise BackupError(f"This version of the service has no table {', '.join(unknown)}.")
    return [known[name] for name in names]
