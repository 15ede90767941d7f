"""The connection to SQLite that writes: its thread is asked once for each statement, and once to end a transaction.

To hand something to a thread and be woken by it takes 0.1 ms of the processor, the statement a fifth of it. The driver,
as SQLAlchemy uses it, asks four times for each statement: for a cursor, to execute, to fetch, and to close.
"""

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, Self

import aiosqlite

from app.db.reader import as_text


class SQLiteConnection(aiosqlite.Connection):
    """A connection whose cursors ask its thread once, and which begins a transaction with its first statement."""

    def __init__(self, path: str, *, seconds: float) -> None:
        """Take the file, and how long another process that writes is waited for."""
        super().__init__(partial(_open, path, seconds), iter_chunk_size=0)
        # A process that ends does not wait for it.
        self._thread.daemon = True
        self._begins = ""
        self._is_at_rest = True

    def begin(self, how: str = "BEGIN IMMEDIATE") -> None:
        """Begin a transaction with the next statement: one that writes, unless told otherwise."""
        self._begins = how

    async def ask(self, sql: str, values: Any, *, many: bool = False) -> "StatementAnswer":  # noqa: ANN401 - as SQLAlchemy binds them
        """Execute a statement, with one row of values or `many`."""
        begins, self._begins = self._begins, ""
        self._is_at_rest = False
        work = partial(_answer, self._conn, sql, values, many=many, begins=begins)
        answer: StatementAnswer = await self._execute(work)  # type: ignore[no-untyped-call]  # the driver's
        return answer

    async def commit(self) -> None:
        """Commit, if there was a statement."""
        self._begins = ""
        if not self._is_at_rest:
            await super().commit()
            self._is_at_rest = True

    async def rollback(self) -> None:
        """Roll back, if there was a statement since the last commit."""
        self._begins = ""
        if not self._is_at_rest:
            await super().rollback()
            self._is_at_rest = True

    def cursor(self) -> "Cursor":  # type: ignore[override]  # what SQLAlchemy does with it is what ours can
        """Return a cursor, without a question."""
        return Cursor(self)


class StatementAnswer(NamedTuple):
    """All that a statement says; without rows it has no description."""

    description: Any
    rowcount: int
    lastrowid: int | None
    rows: Sequence[Any]


class Cursor:
    """What SQLAlchemy uses of an asynchronous cursor, when it does not stream."""

    arraysize = 1

    def __init__(self, connection: SQLiteConnection) -> None:
        self._connection = connection
        self._answer = StatementAnswer(None, -1, None, ())

    async def __aenter__(self) -> Self:
        """Return itself; it is open."""
        return self

    @property
    def description(self) -> Any:  # noqa: ANN401 - the driver's
        """The columns of the rows."""
        return self._answer.description

    @property
    def rowcount(self) -> int:
        """How many rows were changed; -1 where the statement only reads."""
        return self._answer.rowcount

    @property
    def lastrowid(self) -> int | None:
        """The number of the row that was inserted."""
        return self._answer.lastrowid

    async def execute(self, sql: str, values: Any = ()) -> None:  # noqa: ANN401 - as SQLAlchemy binds them
        """Execute a statement, and keep its rows."""
        self._answer = await self._connection.ask(sql, values)

    async def executemany(self, sql: str, values: Any) -> None:  # noqa: ANN401 - as above
        """Execute a statement for each row of values."""
        self._answer = await self._connection.ask(sql, values, many=True)

    async def fetchall(self) -> Sequence[Any]:
        """Return the rows."""
        return self._answer.rows

    async def close(self) -> None:
        """Do nothing: what the statement held was given back with its answer."""


class _Connection(sqlite3.Connection):
    """Closed with its last reference: aiosqlite drops the connection of a task that is cancelled while it connects."""

    def __del__(self) -> None:
        # Python 3.13 warns of one that was not closed.
        self.close()


def _open(path: str, seconds: float) -> sqlite3.Connection:
    # The driver must not open transactions of its own: a deferred BEGIN that later writes fails at once with
    # "database is locked" whatever the timeout (181 of 200 in a test of 20 tasks).
    connection = sqlite3.connect(
        path, timeout=seconds, factory=_Connection, check_same_thread=False, isolation_level=None
    )
    # Rows of other servers may hold bytes that are no UTF-8; a wrong letter is better than no account.
    connection.text_factory = as_text
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def _answer(
    connection: sqlite3.Connection,
    sql: str,
    values: Any,  # noqa: ANN401 - as SQLAlchemy binds them
    *,
    many: bool,
    begins: str,
) -> StatementAnswer:
    if begins:
        connection.execute(begins)
    cursor = connection.executemany(sql, values) if many else connection.execute(sql, values)
    try:
        rows = cursor.fetchall() if cursor.description else ()
        return StatementAnswer(cursor.description, cursor.rowcount, cursor.lastrowid, rows)
    finally:
        # SQLite keeps a lock until the last cursor is gone, and a traceback may hold one for long.
        cursor.close()
