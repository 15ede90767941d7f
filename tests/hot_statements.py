"""What is asked of `uploads` all the time, for the test of its plans and for `benchmarks/growth.py`."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import overdue, people, upload_bytes, upload_queues, upload_views, uploads
from app.db.engine import Database
from app.db.upload_tables import uploads as table

USERS = 100
HEAVY = 1
"""A user who has half of all uploads."""
DUE = 5
"""Uploads of each state of a queue: what waits does not grow with what was published before."""
AT_ONCE = 5000
QUEUES = (upload_queues.TO_RECEIVE, upload_queues.TO_PUBLISH, upload_queues.TO_WATCH)


async def fill(database: Database, count: int, *, begin: int = 0) -> None:
    """Add uploads that have ended, all but the first few, which are due in each state."""
    now = database.now()
    states = [state for queue in QUEUES for state in queue.states] * DUE
    for start in range(begin, count, AT_ONCE):
        rows = [_row(number, states, now) for number in range(start, min(count, start + AT_ONCE))]
        async with database.session() as session:
            await session.execute(sa.insert(table), rows)


async def analyze(database: Database) -> None:
    """Let the database look at what the tables hold; MySQL does it by itself, SQLite only when it is told to."""
    async with database.session() as session:
        await session.execute(sa.text("ANALYZE" if database.is_sqlite else "ANALYZE TABLE uploads"))


def _row(number: int, states: list[str], now: datetime) -> dict[str, Any]:
    created_at = now - timedelta(seconds=number + 1)
    is_due = number < len(states)
    return {
        "id": f"{number:032x}", "user_id": HEAVY if number % 2 else number // 2 % USERS,
        "state": states[number] if is_due else "active",
        "file_name": "t.csv", "format": "csv", "reserved_bytes": 10 if is_due else 0, "total_bytes": 1000,
        "received_sha256": f"{number:064x}",
        "publish_requested": True, "dataset_id": None if is_due else number, "available_at": created_at,
        "expires_at": created_at if is_due else None, "created_at": created_at,
    }  # fmt: skip


class Asked(NamedTuple):
    """A statement as the driver gets it."""

    text: str
    parameters: Any


Ask = Callable[[Database, AsyncSession], Awaitable[object]]


async def _claim(_database: Database, session: AsyncSession) -> object:
    now, lease = _database.now(), timedelta(minutes=1)
    return await upload_queues.TO_PUBLISH.claim(session, lease_owner="w", now=now, lease=lease)


async def _page(_database: Database, session: AsyncSession) -> object:
    return await upload_views.get_page_of_user(session, HEAVY, limit=50)


async def _old_page(_database: Database, session: AsyncSession) -> object:
    oldest_first = (
        sa.select(table.c.id).where(table.c.user_id == HEAVY).order_by(table.c.created_at, table.c.id)
    )
    last = str((await session.execute(oldest_first.offset(60).limit(1))).scalar_one())
    before = await upload_views.get_view(session, last, user_id=HEAVY)
    return await upload_views.get_page_of_user(session, HEAVY, limit=50, before=before)


async def _everybody(_database: Database, session: AsyncSession) -> object:
    return await people.find_uploads(session, limit=50)


async def _usage(_database: Database, session: AsyncSession) -> object:
    return await upload_bytes.get_usage(session, HEAVY, but="0" * 32)


async def _duplicate(_database: Database, session: AsyncSession) -> object:
    return await uploads.get_duplicate(session, HEAVY, sha256="0" * 64, name=None)


async def _claim_fairly(database: Database, session: AsyncSession) -> object:
    queue, now = upload_queues.TO_PUBLISH, database.now()
    lease, only = timedelta(minutes=1), table.c.user_id == HEAVY
    return await queue.claim(session, lease_owner="w", now=now, lease=lease, only=only)


async def _waiting(database: Database, session: AsyncSession) -> object:
    return await upload_queues.get_waiting(session, upload_queues.TO_PUBLISH, database.now())


async def _ids(
    which: Callable[[datetime], sa.ColumnElement[bool]], database: Database, session: AsyncSession
) -> object:
    return await uploads.get_ids(session, which(database.now()))


async def _earliest(_database: Database, session: AsyncSession) -> object:
    parts = [part for queue in QUEUES for part in queue.earliest()]
    return (await session.execute(sa.select(*parts))).one()


async def _overdue(database: Database, _session: AsyncSession) -> object:
    return await overdue.find_overdue(database.reader, database.now(), per_user=2)


async def _promised(_database: Database, session: AsyncSession) -> object:
    return await upload_bytes.get_promised_bytes(session)


async def _length(_database: Database, session: AsyncSession) -> object:
    return await upload_queues.get_queue_length(session)


ASKS: Mapping[str, Ask] = {
    "a page of one's uploads": _page,
    "an old page of them": _old_page,
    "a page of everybody's": _everybody,
    "what one's uploads take": _usage,
    "one of the same bytes": _duplicate,
    "claiming one": _claim,
    "claiming one of a user's": _claim_fairly,
    "who waits for longest": _waiting,
    "when the next is due": _earliest,
    "what is overdue": _overdue,
    "how long the queue is": _length,
    "bytes that are promised": _promised,
    "janitor: interrupted": partial(_ids, uploads.is_interrupted),
    "janitor: expired": partial(_ids, uploads.is_expired),
}
"""Each is asked in a session that is rolled back."""


async def ask(database: Database, name: str) -> list[Asked]:
    """Ask once, roll back, and return the statements on uploads that were sent."""
    found: list[Asked] = [_of_reader(database)] if ASKS[name] is _overdue else []

    def note(_connection: Connection, _cursor: Any, text: str, parameters: Any, *_: Any) -> None:
        if "uploads" in text:
            found.append(Asked(text, parameters))

    sa.event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        async with database.session() as session:
            await ASKS[name](database, session)
            await session.rollback()
    finally:
        sa.event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    return found


def _of_reader(database: Database) -> Asked:
    """Return the statement that `find_overdue` has the reader ask."""
    moment = database.now().strftime("%Y-%m-%d %H:%M:%S.%f")
    dialect = database.reader._dialect  # type: ignore[attr-defined]  # of both kinds
    return Asked(*overdue._STATEMENT.bind(dialect, {"now": moment, "per_user": 2}))


async def effort(database: Database, asked: Asked) -> int:
    """Send a statement, undo it, and return what the database did: rows that it read, or instructions of SQLite."""
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    async with database.session() as session:
        connection = await session.connection()
        raw: Any = (await connection.get_raw_connection()).driver_connection
        if database.is_sqlite:
            await raw.set_progress_handler(step, 1)
            await connection.exec_driver_sql(*asked)
            await raw.set_progress_handler(None, 0)
        else:
            await connection.exec_driver_sql("FLUSH STATUS")
            await connection.exec_driver_sql(*asked)
            counted = await connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
            steps = sum(int(row["Value"]) for row in counted.mappings())
        await session.rollback()
    return steps


async def get_plan(database: Database, asked: Asked) -> list[str]:
    """Return the lines of a statement's plan."""
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
    async with database.session() as session:
        connection = await session.connection()
        rows = (await connection.exec_driver_sql(explain + asked.text, asked.parameters)).mappings().all()
        await session.rollback()
    if database.is_sqlite:
        return [row["detail"] for row in rows]
    return [
        " ".join(f"{name}={row[name]}" for name in ("table", "type", "key", "rows", "Extra")) for row in rows
    ]
