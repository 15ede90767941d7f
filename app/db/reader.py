"""Reads for frequent routes: one SELECT through the driver, without a session or a transaction.

An ORM session costs a route two milliseconds, most of them in pool checkout, BEGIN/COMMIT and one thread hop a
call (benchmarks/README.md). Statements are still written with SQLAlchemy, compiled once for the dialect.
"""

import asyncio
import json
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.mysql.aiomysql import MySQLDialect_aiomysql
from sqlalchemy.engine import Dialect

from app.db.faults import Outage
from app.db.mysql import Connections
from app.db.tables import MYSQL

Row = Sequence[Any]
Parameters = Mapping[str, Any]

SQLITE_THREADS = 2


def utc_from_text(text: str | None) -> datetime | None:
    """Return the moment that a `UtcDateTime` column holds, as SQLite and a packed MySQL row spell it."""
    return moment_of(text) if text else None


def moment_of(value: object) -> datetime:
    """Return the moment of a `UtcDateTime` column that is not NULL, however the database's driver shows it."""
    return datetime.fromisoformat(str(value)).replace(tzinfo=UTC)


def utc_as_text(moment: datetime) -> str:
    """Return a moment as a statement of the reader compares it with a `UtcDateTime` column."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def as_text(value: bytes) -> str:
    """Return a text as SQLite keeps it, with U+FFFD for bytes that are none."""
    return value.decode("utf-8", errors="replace")


class ReadStatement:
    """A SELECT with named parameters, compiled at first use for each dialect."""

    def __init__(self, select: sa.Select[Any], *, by_key: bool = False, pack: bool = False) -> None:
        """Take the statement.

        Args:
            select: what to read.
            by_key: a promise that it touches no more than a few rows, by a key or as an index begins.
            pack: let MySQL answer one column, a JSON array. Its driver spends more on describing ten columns than on
                everything else together. For numbers and text only.
        """
        self.by_key = by_key
        self.pack = pack
        self._select = select
        self._compiled: dict[str, tuple[str, dict[str, Any]]] = {}

    def bind(self, dialect: Dialect, parameters: Parameters) -> tuple[str, Parameters]:
        """Return the text for `dialect` and every parameter in it, the statement's own constants included."""
        if dialect.name not in self._compiled:
            compiled = self._shaped_for(dialect).compile(dialect=dialect)
            constants = {name: value for name, value in compiled.params.items() if value is not None}
            self._compiled[dialect.name] = (str(compiled), constants)
        sql, constants = self._compiled[dialect.name]
        return sql, {**constants, **parameters}

    def _shaped_for(self, dialect: Dialect) -> sa.Select[Any]:
        if not self.pack or dialect.name not in MYSQL:
            return self._select
        array = sa.func.json_array(*self._select.selected_columns)
        return self._select.with_only_columns(array, maintain_column_froms=True)


class Reader(Protocol):
    """Reads one row at a time; safe to share between requests."""

    async def first(self, statement: ReadStatement, parameters: Parameters) -> Row | None:
        """Return the first row, or None.

        Raises:
            DatabaseUnavailableError: the database is away, in trouble or full.
        """

    async def rows(self, statement: ReadStatement, parameters: Parameters) -> Sequence[Row]:
        """Return all rows; the statement bounds how many there are. Not for statements that are packed."""

    async def close(self) -> None:
        """Close every connection."""


class SQLiteReader:
    """Reads by key on the event loop, everything else in a thread.

    A row by its key comes out of the page cache in 20 microseconds and waits for nobody (WAL readers take no lock
    that a writer holds). Handing it to a thread costs twenty times that in notifications and in waiting for the
    interpreter lock, on the same loop: blocking shortly is what blocks least.
    """

    def __init__(self, path: str, *, seconds: float, outage: Outage) -> None:
        self._path = path
        self._seconds = seconds
        self._outage = outage
        self._dialect = sqlite.dialect(paramstyle="named")
        self._connections: list[sqlite3.Connection] = []
        self._own = self._connect(wait_seconds=0)
        self._local = threading.local()
        self._executor = ThreadPoolExecutor(SQLITE_THREADS, "sqlite-read", initializer=self._connect_thread)

    async def first(self, statement: ReadStatement, parameters: Parameters) -> Row | None:
        """Return the first row, or None."""
        bound = statement.bind(self._dialect, parameters)
        if statement.by_key:
            try:
                return _first(self._own, *bound)
            except sqlite3.OperationalError:
                # Locked after all, while the log is being recovered: wait for it elsewhere.
                pass
        loop = asyncio.get_running_loop()
        with self._outage.translating():
            return await loop.run_in_executor(self._executor, self._first_in_thread, *bound)

    async def rows(self, statement: ReadStatement, parameters: Parameters) -> Sequence[Row]:
        """Return all rows."""
        bound = statement.bind(self._dialect, parameters)
        loop = asyncio.get_running_loop()
        with self._outage.translating():
            return await loop.run_in_executor(self._executor, self._rows_in_thread, *bound)

    async def close(self) -> None:
        """Wait for running reads and close the connections."""
        await asyncio.to_thread(self._executor.shutdown)
        for connection in self._connections:
            connection.close()

    def _connect(self, *, wait_seconds: float) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=wait_seconds
        )
        connection.text_factory = as_text
        connection.execute("PRAGMA query_only=ON")
        self._connections.append(connection)
        return connection

    def _connect_thread(self) -> None:
        self._local.connection = self._connect(wait_seconds=self._seconds)

    def _first_in_thread(self, sql: str, parameters: Parameters) -> Row | None:
        return _first(self._local.connection, sql, parameters)

    def _rows_in_thread(self, sql: str, parameters: Parameters) -> Sequence[Row]:
        rows: Sequence[Row] = self._local.connection.execute(sql, parameters).fetchall()
        return rows


def _first(connection: sqlite3.Connection, sql: str, parameters: Parameters) -> Row | None:
    row: Row | None = connection.execute(sql, parameters).fetchone()
    return row


class MySQLReader:
    """Reads on autocommit connections of the driver, without SQLAlchemy around it."""

    def __init__(self, connections: Connections, outage: Outage) -> None:
        self._connections = connections
        self._outage = outage
        self._dialect = MySQLDialect_aiomysql(paramstyle="pyformat")

    async def first(self, statement: ReadStatement, parameters: Parameters) -> Row | None:
        """Return the first row, or None."""
        sql, bound = statement.bind(self._dialect, parameters)
        with self._outage.translating():
            async with self._connections.lend() as connection, connection.cursor() as cursor:
                await cursor.execute(sql, bound)
                row: Row | None = await cursor.fetchone()
        return json.loads(row[0]) if row is not None and statement.pack else row

    async def rows(self, statement: ReadStatement, parameters: Parameters) -> Sequence[Row]:
        """Return all rows."""
        sql, bound = statement.bind(self._dialect, parameters)
        with self._outage.translating():
            async with self._connections.lend() as connection, connection.cursor() as cursor:
                await cursor.execute(sql, bound)
                rows: Sequence[Row] = await cursor.fetchall()
        return rows

    async def close(self) -> None:
        """Do nothing: the connections are closed by their owner."""
