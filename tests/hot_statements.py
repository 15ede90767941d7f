"""What is asked of `uploads` all the time, for the test of its plans and for `benchmarks/growth.py`."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import overdue, upload_bytes, upload_queues, upload_views, uploads
from app.db.engine import Database
from app.db.tables import uploads as table

USERS = 100
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
    # Those of one user lie a minute apart, as if each user uploaded one a minute.
    created_at = now - timedelta(minutes=number // USERS + 1)
    is_due = number < len(states)
    return {
        "id": f"{number:032x}", "user_id": number % USERS, "state": states[number] if is_due else "active",
        "file_name": "t.csv", "format": "csv", "reserved_bytes": 10 if is_due else 0, "total_bytes": 1000,
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
    return await upload_views.get_page_of_user(session, 1, limit=50)


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
    "claiming one": _claim,
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
    """Ask once, roll back, and return the statements on uploads that were sent through the session."""
    found: list[Asked] = []

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


def ask_of_reader(database: Database) -> Asked:
    """Return the statement that `find_overdue` has the reader ask."""
    moment = database.now().strftime("%Y-%m-%d %H:%M:%S.%f")
    dialect = database.reader._dialect  # type: ignore[attr-defined]  # of both kinds
    return Asked(*overdue._STATEMENT.bind(dialect, {"now": moment, "per_user": 2}))


async def scans(database: Database, asked: Asked) -> list[str]:
    """Return the lines of a statement's plan that read all of `uploads`, or all of one of its indexes."""
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
    async with database.session() as session:
        connection = await session.connection()
        rows = (await connection.exec_driver_sql(explain + asked.text, asked.parameters)).mappings().all()
        await session.rollback()
    if database.is_sqlite:
        return [row["detail"] for row in rows if row["detail"].startswith("SCAN uploads")]
    return [
        str(dict(row))
        for row in rows
        if str(row["table"]).startswith("uploads") and row["type"] in {"ALL", "index"}
    ]
