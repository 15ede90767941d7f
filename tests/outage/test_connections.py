"""Connections to the database: how long they are waited for, what becomes of those that break, how many there are."""

import asyncio
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiomysql
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

import app.db.engine
import app.db.mysql
from app.core.errors import DatabaseConflictError, DatabaseUnavailableError
from app.core.settings import Settings
from app.core.tasks import in_background
from app.core.timings import Timings
from app.db.engine import Database
from app.db.faults import unavailable
from app.db.reader import ReadStatement
from app.db.tables import rate_counters
from tests.forwarder import Forwarder
from tests.mariadb_server import OwnMariaDB, own_mariadb

SECONDS = 1.0
SLOW = 1.8 * SECONDS
"""What nothing may take: a connection (half) and a statement (whole), and something for a busy machine."""
ONE = ReadStatement(sa.select(sa.literal_column("1")))
MAY_CONNECT = 10
"""The least that MariaDB takes."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnMariaDB]:
    with own_mariadb(tmp_path_factory.mktemp("mariadb"), f"--max-connections={MAY_CONNECT}") as found:
        yield found


def open_database(
    address: str, folder: Path, *, timeout_seconds: float = SECONDS, **changes: Any
) -> Database:
    given = {
        "timings": Timings(database_timeout_seconds=timeout_seconds),
        "database_pool_size": 2,
        **changes,
    }
    return Database(Settings(_env_file=None, data_dir=folder, database_uri=address, **given))


@pytest.fixture
async def database(server: OwnMariaDB, tmp_path: Path) -> AsyncIterator[Database]:
    found = open_database(server.address, tmp_path)
    yield found
    await found.close()


async def read(database: Database) -> None:
    assert await database.reader.first(ONE, {}) is not None


async def write(database: Database, statement: str = "SELECT 1") -> None:
    async with database.session() as session:
        await session.execute(sa.text(statement))


ROADS = pytest.mark.parametrize("use", [read, write])


async def refused(
    use: Callable[[Database], Any], database: Database
) -> tuple[DatabaseUnavailableError, float]:
    begun = time.monotonic()
    with pytest.raises(DatabaseUnavailableError) as caught:
        await use(database)
    return caught.value, time.monotonic() - begun


@pytest.mark.parametrize(
    ("error", "conflict"),
    [
        *(
            (aiomysql.OperationalError(code, ""), False)
            for code in (2002, 2003, 2005, 2006, 2013, 2014, 2055)
        ),
        *(
            (aiomysql.OperationalError(code, ""), False)
            for code in (1040, 1203, 1226, 1045, 1049, 1053, 1130)
        ),
        *((aiomysql.OperationalError(code, ""), False) for code in (1205, 1317, 1927, 1969, 3024, 4031)),
        *((aiomysql.OperationalError(code, ""), False) for code in (1290, 1836, 1021, 1114, 1030)),
        (aiomysql.OperationalError(1213, "deadlock"), True),
        (aiomysql.InternalError(1213, "deadlock"), True),
        (aiomysql.OperationalError(1020, "changed since last read"), True),
        (aiomysql.ProgrammingError(1146, "no such table"), False),
        (sqlite3.OperationalError("no such table: users"), False),
        (aiomysql.InterfaceError("(0, 'Not connected')"), False),
        (aiomysql.InternalError("Packet sequence number wrong"), False),
        (sa.exc.TimeoutError("QueuePool limit"), False),
        (sa.exc.OperationalError("SELECT", {}, aiomysql.OperationalError(1040, "")), False),
        (sa.exc.InternalError("UPDATE", {}, aiomysql.InternalError(1213, "")), True),
    ],
    ids=repr,
)
def test_error_when_it_is_the_databases_trouble_then_one_error_of_ours(
    error: BaseException,
    conflict: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    found = unavailable(error)

    assert found is not None
    assert isinstance(found, DatabaseConflictError) is conflict


@pytest.mark.parametrize(
    "error",
    [
        aiomysql.ProgrammingError(1064, "syntax"),
        aiomysql.IntegrityError(1062, "duplicate"),
        aiomysql.DataError(1406, "too long"),
        aiomysql.OperationalError(1054, "unknown column"),
        sqlite3.OperationalError("no such column"),
        sa.exc.InvalidRequestError("closed"),
        ValueError(),
    ],
    ids=repr,
)
def test_error_when_it_is_our_mistake_then_it_stays_one(error: BaseException) -> None:
    assert unavailable(error) is None


async def test_sqlite_when_locked_for_too_long_then_unavailable_on_both_roads(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    path = tmp_path / "openml.db"
    await asyncio.to_thread(shutil.copy, migrated_sqlite, path)
    database = open_database(f"sqlite:///{path}", tmp_path, timeout_seconds=0.3)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode=DELETE")
    other.execute("BEGIN EXCLUSIVE")

    async def look(database: Database) -> None:
        await database.reader.first(ReadStatement(sa.select(rate_counters.c.hits)), {})

    for use in (look, write):
        _, took = await refused(use, database)
        assert took < SLOW
    other.rollback()
    other.close()
    for use in (look, write):
        await use(database)
    await database.close()


@ROADS
async def test_database_when_it_is_frozen_then_refused_in_time_and_used_again_when_it_goes_on(
    use: Callable[[Database], Any], database: Database, server: OwnMariaDB
) -> None:
    await use(database)
    server.pause()
    try:
        _, on_a_known_connection = await refused(use, database)
        _, on_a_new_one = await refused(use, database)
        crowd = await asyncio.gather(*(refused(use, database) for _ in range(50)))
    finally:
        server.resume()

    assert SECONDS <= on_a_known_connection < SLOW
    assert SECONDS / 2 <= on_a_new_one < SLOW
    assert max(took for _, took in crowd) < SLOW
    await use(database)


@ROADS
async def test_database_when_a_firewall_forgot_the_connection_then_refused_once_and_connected_anew(
    use: Callable[[Database], Any], server: OwnMariaDB, tmp_path: Path
) -> None:
    async with Forwarder("127.0.0.1", server.port) as line:
        database = open_database(server.address.replace(str(server.port), str(line.port)), tmp_path)
        await use(database)
        line.fail("mute")
        _, took = await refused(use, database)
        line.heal()
        await use(database)
        await database.close()

    assert took < SLOW


@ROADS
async def test_connection_when_killed_while_it_rests_then_nobody_notices(
    use: Callable[[Database], Any], database: Database, server: OwnMariaDB
) -> None:
    for _ in range(20):
        await use(database)
        server.kill_connections()
        await use(database)


async def test_connection_when_killed_in_the_middle_of_a_unit_then_unavailable_and_nothing_was_done(
    database: Database, server: OwnMariaDB
) -> None:
    server.ask("CREATE OR REPLACE TABLE levels (x INT)")

    async def unit() -> None:
        async with database.session() as session:
            await session.execute(sa.text("INSERT INTO levels VALUES (1)"))
            server.kill_connections()
            await session.execute(sa.text("INSERT INTO levels VALUES (2)"))

    with pytest.raises(DatabaseUnavailableError):
        await unit()

    assert server.ask("SELECT * FROM levels") == []
    await write(database)


@ROADS
async def test_database_when_it_has_no_connection_left_then_refused_and_used_again_when_it_has(
    use: Callable[[Database], Any], server: OwnMariaDB, tmp_path: Path
) -> None:
    database = open_database(server.address, tmp_path)
    others = open_database(server.address, tmp_path, database_pool_size=MAY_CONNECT + 1)
    # One more than that is kept for the server's administrator, as whom the tests connect.
    taken = [await others.engine.connect() for _ in range(MAY_CONNECT + 1)]
    try:
        error, _ = await refused(use, database)
    finally:
        for connection in taken:
            await connection.close()
        await others.close()
    await asyncio.sleep(0.2)
    await use(database)
    await database.close()

    assert "no connection left" in error.reason


async def test_pool_when_all_are_in_use_then_refused_in_time_and_a_place_that_is_free_again_is_found(
    database: Database,
) -> None:
    held = asyncio.Event()

    async def hold() -> None:
        async with database.session() as session:
            await session.execute(sa.text("SELECT 1"))
            await held.wait()

    holding = [asyncio.create_task(hold()) for _ in range(2)]
    await asyncio.sleep(0.1)
    _, took = await refused(write, database)
    held.set()
    await asyncio.gather(*holding)
    await write(database)

    assert SECONDS / 2 <= took < SLOW


async def test_statement_when_it_takes_too_long_then_the_server_ends_it(
    database: Database, server: OwnMariaDB
) -> None:
    async def sleep(database: Database) -> None:
        await write(
            database, f"SELECT COUNT(*) FROM {', '.join(f'seq_1_to_100000 AS s{n}' for n in range(3))}"
        )

    _, took = await refused(sleep, database)

    assert took < SLOW
    running = server.ask(
        "SELECT info FROM information_schema.processlist WHERE info LIKE 'SELECT COUNT(*)%seq%'"
    )
    assert running == []


async def test_lock_when_others_hold_it_for_too_long_then_refused_in_time(
    database: Database, server: OwnMariaDB
) -> None:
    server.ask("CREATE OR REPLACE TABLE levels (x INT PRIMARY KEY) AS SELECT 1 AS x")

    async def update(database: Database) -> None:
        await write(database, "UPDATE levels SET x = 1 + x")

    async with database.session() as session:
        await session.execute(sa.text("SELECT x FROM levels FOR UPDATE"))
        _, took = await refused(update, database)
    await update(database)

    assert took < SLOW


async def test_connections_when_nobody_needs_them_then_opened_late_few_and_closed(
    server: OwnMariaDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.db.mysql, "IDLE_SECONDS", 0.5)
    database = open_database(server.address, tmp_path)
    at_first = len(server.connections())
    for _ in range(20):
        await write(database)
        await read(database)
    one_after_another = len(server.connections())
    await asyncio.sleep(1.5)
    at_rest = len(server.connections())
    await write(database)
    await database.close()

    assert (at_first, one_after_another, at_rest) == (0, 2, 0)


async def test_reader_when_cancelled_at_any_moment_then_every_place_comes_back(database: Database) -> None:
    for moment in range(60):
        reading = asyncio.create_task(read(database))
        await asyncio.sleep(moment / 10_000)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    await asyncio.gather(*(read(database) for _ in range(20)))


async def test_outage_when_it_lasts_then_said_once_and_once_that_it_is_over(
    server: OwnMariaDB, tmp_path: Path
) -> None:
    async with Forwarder("127.0.0.1", server.port) as line:
        database = open_database(server.address.replace(str(server.port), str(line.port)), tmp_path)
        await read(database)
        with capture_logs() as logs:
            line.fail("cut")
            for _ in range(5):
                await refused(read, database)
                await refused(write, database)
            line.heal()
            await read(database)
        await database.close()

    said = [entry["event"] for entry in logs if entry["log_level"] in {"error", "warning"}]
    assert said.count("the database is away") == 1
    assert said.count("the database answers again") == 1
    assert len(said) <= 3, "and that a connection broke"


async def test_clock_when_the_database_is_away_then_the_log_says_no_more_than_that(
    server: OwnMariaDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is wrong with the clock: ours goes on, and the outage is said once."""
    monkeypatch.setattr(app.db.engine, "CLOCK_SECONDS", 0)
    async with Forwarder("127.0.0.1", server.port) as line:
        database = open_database(server.address.replace(str(server.port), str(line.port)), tmp_path)
        await read(database)
        looked, look = asyncio.Event(), database.look_at_clock

        async def look_and_say() -> None:
            try:
                await look()
            finally:
                if line.is_broken:
                    looked.set()

        monkeypatch.setattr(database, "look_at_clock", look_and_say)
        with capture_logs() as logs:
            line.fail("cut")
            async with in_background(database.keep_time()):
                await looked.wait()
        await database.close()

    assert not [entry for entry in logs if "exc_info" in entry]
    assert "the database is away" in [entry["event"] for entry in logs]
