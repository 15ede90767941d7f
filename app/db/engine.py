"""Connections: sessions for units that write, a reader for the single SELECT of a hot route; results, and upserts."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar, cast

import sqlalchemy as sa
import structlog
from sqlalchemy import CursorResult, Result
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.engine import URL, Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.pool import ConnectionPoolEntry

from app.core.clock import Clock
from app.core.errors import DatabaseConflictError, DatabaseUnavailableError
from app.core.plain import load_tables
from app.core.settings import Settings
from app.core.tasks import heed_cancellation
from app.db.address import parse_address
from app.db.charsets import first_unstorable
from app.db.faults import Outage
from app.db.mysql import Connections
from app.db.passkey_tables import HAS_FOREIGN_PASSKEYS, has_foreign_passkeys
from app.db.reader import MySQLReader, Reader, ReadStatement, SQLiteReader
from app.db.sqlite import SQLiteConnection
from app.db.tables import OPTIONAL_COLUMNS
from app.events.notifications import Notifications

log = structlog.get_logger(__name__)

T = TypeVar("T")
UNIT_PAUSES = (0.02, 0.1, 0.3)
"""Seconds before a unit of work is tried once more, about."""
CLOCK_SECONDS = 60.0
"""How often the database's clock is looked at; a quartz drifts some milliseconds meanwhile."""
LONGEST_LOOK_SECONDS = 0.5
"""A look that took longer says less than the one before."""


_PING = ReadStatement(sa.select(sa.literal_column("1")))
WAKE = "wake"
AFTER = "after"
BEGIN = "sqlite_begin"
"""Execution option of a connection to SQLite: the statement that begins its transactions."""


def notify_after_commit(session: AsyncSession, topic: str) -> None:
    """Notify `topic` once the transaction is committed; not at all if it is rolled back."""
    session.info.setdefault(WAKE, set()).add(topic)


def call_after_commit(session: AsyncSession, action: Callable[[], None]) -> None:
    """Call `action` once the transaction is committed; not at all if it is rolled back."""
    session.info.setdefault(AFTER, []).append(action)


def now_of(session: AsyncSession) -> datetime:
    """Return the moment by the clock of the session's database, see `Database.now`."""
    clock: Clock = session.info["clock"]
    return clock.now()


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


class Database:
    """One database for one process. `session` writes, `reader` reads."""

    def __init__(
        self, settings: Settings, notifications: Notifications | None = None, *, prepare: bool = True
    ) -> None:
        """Take the settings; `prepare` has the file of SQLite made, and kept from others."""
        self._notifications = notifications or Notifications()
        self._clock = Clock()
        self.url = parse_address(settings.database_url, prepare=prepare)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._outage = Outage()
        self.pools: dict[str, Connections] = {}
        """Those of MySQL; SQLite has one connection that writes."""
        seconds = settings.timings.database_timeout_seconds
        if self.is_sqlite:
            self.engine = _sqlite_engine(self.url, seconds=seconds)
            self.reader: Reader = SQLiteReader(str(self.url.database), seconds=seconds, outage=self._outage)
        else:
            # Two pools: a unit that has a connection may have to read beside it, and must not wait for its like.
            self.pools = {
                name: Connections(
                    self.url,
                    size=settings.database_pool_size,
                    seconds=seconds,
                    outage=self._outage,
                    autocommit=name == "read",
                )
                for name in ("write", "read")
            }
            self.engine = _mysql_engine(self.url, self.pools["write"])
            self.reader = MySQLReader(self.pools["read"], self._outage)
        # What statements on OpenML's tables have to know of this installation's; `learn` looks.
        self._facts: dict[str, Any] = {
            "charset": "utf-8",
            "missing_columns": frozenset(),
            HAS_FOREIGN_PASSKEYS: False,
            "clock": self._clock,
        }
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False, info=self._facts)

    @property
    def is_away(self) -> bool:
        """Whether the last attempt to connect failed."""
        return self._outage.is_on

    def now(self) -> datetime:
        """Return the moment by the database's clock, which all machines share: leases must not depend on theirs."""
        return self._clock.now()

    async def look_at_clock(self) -> None:
        """Find out what time the database has. SQLite has none of its own: all its users are on one machine."""
        if self.is_sqlite:
            return
        async with self.connection() as connection:
            await connection.execute(sa.text("SELECT 1"))  # Opens the transaction, which would count as well.
            asked = time.monotonic()
            moment: datetime = (await connection.execute(sa.text("SELECT UTC_TIMESTAMP(6)"))).scalar_one()
            took = time.monotonic() - asked
        if took < LONGEST_LOOK_SECONDS or not self._clock.is_known:
            # It was looked at somewhere in between.
            self._clock.set(moment.replace(tzinfo=UTC), at=asked + took / 2)

    async def keep_time(self) -> NoReturn:
        """Read the database's clock every `CLOCK_SECONDS`: local ones drift, and stop while a machine is suspended."""
        while True:
            heed_cancellation()
            await asyncio.sleep(CLOCK_SECONDS)
            try:
                await self.look_at_clock()
            except DatabaseUnavailableError:
                continue  # The log says by itself when the database goes; our clock goes on from the last look.
            except Exception:
                log.exception("the database's clock cannot be looked at; ours goes on from the last look")

    @property
    def charset(self) -> str:
        """The narrowest character set in which `users` keeps people's texts, as Python calls it; `learn` looks."""
        return str(self._facts["charset"])

    @property
    def missing_columns(self) -> frozenset[str]:
        """Columns of `users` that this installation has not; `learn` looks."""
        found: frozenset[str] = self._facts["missing_columns"]
        return found

    def can_store(self, text: str) -> bool:
        """Say whether the `users` table can hold the text."""
        return first_unstorable(text, self.charset) is None

    async def learn(self) -> None:
        """Find out how this installation's `users` table differs from the one we describe."""
        async with self.connection() as connection:
            columns = await connection.run_sync(lambda sync: sa.inspect(sync).get_columns("users"))
            self._facts[HAS_FOREIGN_PASSKEYS] = await connection.run_sync(has_foreign_passkeys)
            if not self.is_sqlite:
                self._facts["charset"] = await _charset(connection)
        if self._facts["charset"] != "utf-8":
            await asyncio.to_thread(load_tables)
        await self.look_at_clock()
        present = {column["name"] for column in columns}
        self._facts["missing_columns"] = OPTIONAL_COLUMNS - present

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """Yield a session whose transaction is committed at the end, or rolled back by an exception.

        The connection is taken at the first statement. Nothing inside may commit. Topics of `notify_after_commit` are
        notified once the rows are visible to others.

        Raises:
            DatabaseUnavailableError: the database is away, in trouble or full.
        """
        with self._outage.translating():
            async with self._sessions() as session:
                with self._outage.translating(uncommitted=True):
                    yield session
                await session.commit()
        for topic in session.info.get(WAKE, ()):
            self._notifications.notify(topic)
        for action in session.info.get(AFTER, ()):
            action()

    async def unit(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Do `work` in a session, and commit it; once more, in a new session, where a conflict rolled it back.

        `work` may be called several times: effects outside of its session must be repeatable.

        Raises:
            DatabaseUnavailableError: the database is away, in trouble or full, or each attempt conflicted.
        """
        for pause in UNIT_PAUSES:
            try:
                async with self.session() as session:
                    return await work(session)
            except DatabaseConflictError as error:
                log.info("a unit of work is done anew", reason=error.reason)
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
        async with self.session() as session:
            return await work(session)

    async def check(self) -> None:
        """Ask something on both roads: each has connections of its own, and one kind may have run out.

        Raises:
            DatabaseUnavailableError: the database is away, in trouble or full.
        """
        await self.reader.first(_PING, {})
        if not self.is_sqlite:  # Whose one writer may be busy; that is none of its troubles.
            async with self.connection() as connection:
                await connection.execute(sa.text("SELECT 1"))

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection, for what is asked of the server and not of rows; nothing is committed.

        Raises:
            DatabaseUnavailableError: the database is away, in trouble or full.
        """
        with self._outage.translating():
            async with self.engine.connect() as connection:
                yield connection

    async def close(self) -> None:
        """Close every connection."""
        await self.reader.close()
        await self.engine.dispose()
        for pool in self.pools.values():
            pool.close()


async def _charset(connection: AsyncConnection) -> str:
    """Return Python's name of the narrowest character set that `users` keeps people's texts in."""
    statement = sa.text(
        "SELECT character_set_name FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND table_name = 'users' AND column_name IN ('first_name', 'bio')"
    )
    found = set((await connection.scalars(statement)).all())
    if "latin1" in found:
        return "cp1252"  # which is what MySQL's latin1 is
    return "utf8mb3" if found & {"utf8", "utf8mb3"} else "utf-8"


def load_json(text: str) -> Any:  # noqa: ANN401 - any JSON
    """Return what a JSON column holds, with U+FFFD for each half of a surrogate pair.

    Earlier versions wrote such halves, which no answer can carry: they have no UTF-8.
    """
    value = json.loads(text)
    if "\\ud" not in text.lower():
        return value
    raw = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass")
    return json.loads(raw.decode("utf-16", "replace"))


def _sqlite_engine(url: URL, *, seconds: float) -> AsyncEngine:
    # One connection for one process: SQLite has one writer, and waiting in our queue is fair and cheap,
    # where its own busy handler sleeps and guesses.
    engine = create_async_engine(
        url,
        pool_size=1,
        max_overflow=0,
        pool_timeout=seconds,
        async_creator=lambda: _connect_sqlite(url, seconds),
        # Error texts go to the log; the values would be hashes, keys and mail links.
        hide_parameters=True,
        json_deserializer=load_json,
    )
    sa.event.listen(engine.sync_engine, "begin", _begin)
    sa.event.listen(engine.sync_engine, "invalidate", _roll_back)
    return engine


def _mysql_engine(url: URL, connections: Connections) -> AsyncEngine:
    # What SQLAlchemy takes for connecting and closing takes from our pool and gives back to it. A ROLLBACK behind each
    # COMMIT would be a round trip for nothing: sessions end their transactions, our pool closes what comes back in one.
    return create_async_engine(
        url,
        async_creator=connections.take,
        poolclass=sa.NullPool,
        pool_reset_on_return=None,
        hide_parameters=True,
        json_deserializer=load_json,
    )


async def _connect_sqlite(url: URL, seconds: float) -> SQLiteConnection:
    connection = SQLiteConnection(str(url.database), seconds=seconds)
    await connection
    return connection


def _begin(connection: Connection) -> None:
    driver: SQLiteConnection = connection.connection.driver_connection  # type: ignore[assignment]  # what the engine makes
    driver.begin(connection.get_execution_options().get(BEGIN, "BEGIN IMMEDIATE"))


def _roll_back(
    connection: DBAPIConnection, _entry: ConnectionPoolEntry, _error: BaseException | None
) -> None:
    """End the transaction of a connection that is about to be thrown away, because its task was cancelled.

    SQLite keeps a closed connection, and its lock, until the last of its cursors is gone; the traceback of the
    cancellation holds one. Nobody could write meanwhile.
    """
    with suppress(Exception):
        connection.rollback()
