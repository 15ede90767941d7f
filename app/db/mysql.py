"""Connections to MySQL and MariaDB: nothing is waited for without end, few are kept, and idle ones are closed.

SQLAlchemy's sessions and the reader take theirs here, so that both meet the same limits.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, NamedTuple

import aiomysql
from pymysql.constants import COMMAND, CR, SERVER_STATUS
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.address import connect_options
from app.db.faults import NoAnswerError, NoConnectionLeftError, Outage, is_lost

IDLE_SECONDS = 30.0
"""Seconds after which an idle connection is closed: the server has few, and other processes need some."""
FROZEN_SECONDS = 60
"""After so long without a word the server closes one by itself, and lets go of what its process has locked."""
PING_AFTER_SECONDS = 5.0
"""One that rested for so long may have been forgotten by a firewall between."""
HOURS = 86_400.0


class MySqlConnection(aiomysql.Connection):  # type: ignore[misc]  # the driver has no types
    """A connection on which no answer is waited for longer than `seconds`. To close it is to give it back."""

    _reader: Any
    _writer: Any

    def __init__(self, options: Mapping[str, Any], *, seconds: float) -> None:
        super().__init__(**options)
        self.seconds = seconds
        self.is_worn = False
        """Whether it must not be used again, because its session was changed."""
        self.give_back: Callable[[MySqlConnection], None] | None = None
        """Set while it is taken."""
        self.is_untouched = False
        """Whether no statement was sent since it was taken."""
        self._is_late = False

    async def open(self) -> None:
        """Connect, and settle what the server shall do by itself.

        Raises:
            aiomysql.Error: the server cannot be reached, does not answer, or does not let us in.
        """
        self._is_late = False
        try:
            async with asyncio.timeout(self.seconds / 2):
                await self._connect()
                await self.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
                await self.query(self._limits())
        except BaseException as error:
            self.close()
            if isinstance(error, TimeoutError):
                raise NoAnswerError(CR.CR_CONN_HOST_ERROR, "no connection in time") from error
            raise

    def _limits(self) -> str:
        """Return the statement that limits the server's own waits, which nobody awaits after our timeout."""
        if "MariaDB" in (self.server_version or ""):
            longest = f"max_statement_time = {self.seconds * 0.9:.3f}"
        else:
            longest = f"max_execution_time = {int(self.seconds * 900)}"
        lock = max(1, int(self.seconds / 2))
        return f"SET SESSION innodb_lock_wait_timeout = {lock}, wait_timeout = {FROZEN_SECONDS}, {longest}"

    async def query(self, sql: str | bytes, unbuffered: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - the driver's
        """Send a statement and read its answer.

        If the server, or somebody who kills connections there, has closed this one before its first statement, that is
        sent again on a new one: nothing was committed, for only COMMIT does that, and the reader writes nothing.
        """
        if not self.is_untouched:
            return await self._ask(sql, unbuffered)
        try:
            return await self._ask(sql, unbuffered)
        except aiomysql.Error as error:
            if not is_lost(error):
                raise
            self.is_untouched = False
            await self.open()
        finally:
            self.is_untouched = False
        return await self._ask(sql, unbuffered)

    async def _ask(self, sql: str | bytes, unbuffered: bool) -> Any:  # noqa: ANN401, FBT001 - as above
        with self._bounded():
            return await super().query(sql, unbuffered)

    async def _read_ok_packet(self) -> Any:  # noqa: ANN401 - as above
        # The answer to COMMIT, ROLLBACK and a ping.
        with self._bounded():
            return await super()._read_ok_packet()

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        # Not `asyncio.timeout`: that may cancel whoever has its answer already (Python 3.11, 3.12).
        timer = self._loop.call_later(self.seconds, self._expire)
        try:
            yield
        except aiomysql.Error as error:
            if self._is_late:
                text = f"no answer within {self.seconds:g} seconds"
                raise NoAnswerError(CR.CR_SERVER_LOST, text) from error
            raise
        except BaseException:
            # Half of an answer may be left on the line.
            self.close()
            raise
        finally:
            timer.cancel()

    def _expire(self) -> None:
        self._is_late = True
        if self._writer is not None:
            self._writer.transport.abort()

    async def is_answering(self) -> bool:
        """Say whether the server still knows this connection; it is closed if not."""
        patience, self.seconds = self.seconds, self.seconds / 2
        try:
            await self.ping(reconnect=False)
        except aiomysql.Error:
            self.close()
            return False
        finally:
            self.seconds = patience
        return True

    @property
    def is_dead(self) -> bool:
        """Whether the server has closed it, as far as that is known here."""
        reader = self._reader
        return reader is None or reader.eof_received or reader.exception() is not None

    @property
    def is_reusable(self) -> bool:
        """Whether the next one finds it as if it were new."""
        in_transaction = self.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS
        return not (self.is_worn or self.is_dead or in_transaction)

    def character_set_name(self) -> None:
        """Say nothing, for SQLAlchemy would send `SET NAMES` whenever it is handed a connection."""
        return

    async def ensure_closed(self) -> None:
        """Give it back."""
        self.is_untouched = False
        if self.give_back is None:
            self.close()
        else:
            self.give_back(self)

    def close(self) -> None:
        """Break the line, whatever is on it; a server that reads nothing cannot hold us up."""
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.transport.abort()
        if self.give_back is not None and not self.is_untouched:
            self.give_back(self)

    def quit(self) -> None:
        """Take leave, so that the server does not count a connection that broke."""
        if not self.is_dead:
            with suppress(OSError):
                self._writer.write(b"\x01\x00\x00\x00" + bytes([COMMAND.COM_QUIT]))
        self.close()


class Resting(NamedTuple):
    """An idle connection, and since when it is idle."""

    connection: MySqlConnection
    since: float


class Connections:
    """At most `size` connections of one process, opened when they are needed."""

    def __init__(self, url: URL, *, size: int, seconds: float, outage: Outage, autocommit: bool) -> None:
        self._options = {**connect_options(url), "autocommit": autocommit}
        self._seconds = seconds
        self._outage = outage
        self.size = size
        self.in_use = self.waiting = 0
        self._places = asyncio.Semaphore(size)
        self._resting: deque[Resting] = deque()
        self._asking = 0
        self._sweeping: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def take(self) -> MySqlConnection:
        """Return a connection that is the caller's until it is closed.

        Raises:
            NoConnectionLeftError: as many as there may be are in use, and none came back in time.
            aiomysql.Error: the server cannot be reached, does not answer, or does not let us in.
        """
        if self._places.locked():
            self.waiting += 1
            try:
                async with asyncio.timeout(self._seconds / 2):
                    await self._places.acquire()
            except TimeoutError:
                raise NoConnectionLeftError from None
            finally:
                self.waiting -= 1
        else:
            await self._places.acquire()
        self.in_use += 1
        try:
            connection = await self._rested() or await self._open()
        except BaseException:
            self._release()
            raise
        connection.give_back, connection.is_untouched = self._take_back, True
        return connection

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[MySqlConnection]:
        """Yield a connection, and take it back."""
        connection = await self.take()
        try:
            yield connection
        finally:
            await connection.ensure_closed()

    def close(self) -> None:
        """Close idle connections at once, and the others when they are returned."""
        self._is_closed = True
        self._close_resting()
        if self._sweeping is not None:
            self._sweeping.cancel()

    async def _rested(self) -> MySqlConnection | None:
        """Return the one that was used last, if the server still knows it."""
        while self._resting:
            connection, since = self._resting.pop()
            if connection.is_dead:
                connection.close()
                continue
            rested = asyncio.get_running_loop().time() - since
            if rested < PING_AFTER_SECONDS or await connection.is_answering():
                return connection
            # The others rested for longer.
            self._close_resting()
        return None

    async def _open(self) -> MySqlConnection:
        """Connect. While the server is away, one caller tries, and the others fail at once."""
        if self._outage.is_on and self._asking:
            raise NoAnswerError(CR.CR_CONN_HOST_ERROR, "the server is away")
        connection = MySqlConnection(self._options, seconds=self._seconds)
        self._asking += 1
        try:
            await connection.open()
        except aiomysql.Error as error:
            self._outage.begins(error)
            raise
        finally:
            self._asking -= 1
        self._outage.is_over()
        return connection

    def _release(self) -> None:
        self.in_use -= 1
        self._places.release()

    def _take_back(self, connection: MySqlConnection) -> None:
        connection.give_back = None
        self._release()
        if self._is_closed or not connection.is_reusable:
            connection.quit()
            return
        loop = asyncio.get_running_loop()
        self._resting.append(Resting(connection, loop.time()))
        if self._sweeping is None:
            self._sweeping = loop.call_later(IDLE_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Close those that rest for too long; used last is used next, so the others are on the left."""
        loop = asyncio.get_running_loop()
        while self._resting and self._resting[0].since <= loop.time() - IDLE_SECONDS:
            self._resting.popleft().connection.quit()
        next_at = self._resting[0].since + IDLE_SECONDS if self._resting else None
        self._sweeping = loop.call_at(next_at, self._sweep) if next_at is not None else None

    def _close_resting(self) -> None:
        while self._resting:
            self._resting.pop().connection.quit()


async def take_time(connection: AsyncConnection) -> None:
    """Let statements on this connection take as long as they need: changing a large table does."""
    driver = (await connection.get_raw_connection()).driver_connection
    if isinstance(driver, MySqlConnection):
        await driver.query(f"SET SESSION wait_timeout = {int(HOURS)}, innodb_lock_wait_timeout = 60")
        if "MariaDB" in driver.server_version:
            await driver.query("SET SESSION max_statement_time = 0")
        driver.seconds, driver.is_worn = HOURS, True
