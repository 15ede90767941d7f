"""How large our tables are, for whoever watches them grow."""

import asyncio
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from app.db.address import files_of
from app.db.engine import Database
from app.db.every_table import metadata
from app.db.reader import ReadStatement

WHOLE = "all"
"""Stands for all tables together: SQLite does not tell them apart without reading everything."""
_NAME: sa.ColumnClause[str] = sa.column("table_name")
_COLUMNS: tuple[sa.ColumnElement[Any], ...] = (
    _NAME,
    sa.column("data_length") + sa.column("index_length"),
)
_TABLES = ReadStatement(
    sa.select(*_COLUMNS)
    .select_from(sa.table("tables", schema="information_schema"))
    .where(sa.column("table_schema") == sa.func.database())
    # The reader takes no lists.
    .where(_NAME.in_([sa.literal_column(f"'{name}'") for name in metadata.tables]))
)


async def measure_tables(database: Database) -> dict[str, int]:
    """Return the bytes of each table, its indexes included, by its name; about, as InnoDB knows it.

    Raises:
        DatabaseUnavailableError: the database is away, in trouble or full.
    """
    if database.is_sqlite:
        return {WHOLE: await asyncio.to_thread(_bytes_of, database.url)}
    rows = await database.reader.rows(_TABLES, {})
    return {str(name): int(size or 0) for name, size in rows}


def _bytes_of(url: URL) -> int:
    return sum(path.stat().st_size for path in files_of(url))
