"""INSERT, or UPDATE where the key exists: one statement, so that two who come at once do not meet."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession


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
