"""What statements have in common: how many rows they changed, and INSERT or UPDATE in one."""

from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import CursorResult, Result
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession


def row_count(result: Result[Any]) -> int:
    """Return how many rows an UPDATE or DELETE matched."""
    return cast("CursorResult[Any]", result).rowcount


def inserted_id(result: Result[Any]) -> int:
    """Return the number that the database gave to an inserted row."""
    key = cast("CursorResult[Any]", result).inserted_primary_key
    if key is None:
        raise TypeError("not the result of a single INSERT")
    return int(key[0])


async def upsert(
    session: AsyncSession, table: sa.Table, values: dict[str, Any], *, update: dict[str, Any]
) -> None:
    """Insert `values`, or apply `update` to the row that has their primary key.

    On MySQL the assignments of `update` are made in their order, each seeing those before it.
    """
    if session.get_bind().dialect.name == "sqlite":
        key = [column.name for column in table.primary_key]
        insert = sqlite.insert(table).values(values)
        await session.execute(insert.on_conflict_do_update(index_elements=key, set_=update))
    else:
        await session.execute(
            mysql.insert(table).values(values).on_duplicate_key_update(list(update.items()))
        )
