"""Statements on `worker_heartbeats`: which `openml-web worker` processes work, by the database's clock.

A process that stops in order removes its row; the row of one that crashed stays, and shows that it did.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import row_count, upsert
from app.db.reader import Reader, ReadStatement, moment_of, utc_as_text
from app.db.tables import worker_heartbeats

BEAT_SECONDS = 5.0
"""How often a worker process says that it works."""
SILENCE = timedelta(seconds=15)
"""Time without a heartbeat after which a process counts as ended, suspended, or without its database."""
CRASH_WINDOW = timedelta(minutes=10)
"""Processes that ended within this period count as crashing repeatedly; supervisors restart after up to five
minutes."""
CRASHES = 2
STEADY = timedelta(seconds=30)
"""Where workers fall one after another, one counts once it has worked for so long."""
RETENTION = timedelta(hours=1)
_ROWS = 200


class Heartbeat(NamedTuple):
    """The sign of life of a process.

    Attributes:
        id: of the process, used once.
        host: the machine or container that it runs on.
        pid: its number there.
        started_at: when it was first heard of.
        seen_at: when it was last heard of.
        fault: the kind of error that ended it; empty while it works, and where it was killed.
    """

    id: str
    host: str
    pid: int
    started_at: datetime
    seen_at: datetime
    fault: str

    def is_fresh(self, now: datetime) -> bool:
        """Whether the process can be taken to live."""
        return not self.fault and now - self.seen_at <= SILENCE


_RECENT = ReadStatement(
    sa.select(*(worker_heartbeats.c[name] for name in Heartbeat._fields))
    .where(worker_heartbeats.c.seen_at > sa.bindparam("since", type_=sa.String))
    .order_by(worker_heartbeats.c.seen_at.desc())
    .limit(_ROWS)
)


async def beat(session: AsyncSession, heartbeat: Heartbeat) -> None:
    """Write down a sign of life, or how the process ended."""
    values = heartbeat._asdict()
    await upsert(
        session, worker_heartbeats, values, update={"seen_at": heartbeat.seen_at, "fault": heartbeat.fault}
    )


async def remove(session: AsyncSession, heartbeat_id: str) -> None:
    """Delete the row of a process that stops in order."""
    await session.execute(sa.delete(worker_heartbeats).where(worker_heartbeats.c.id == heartbeat_id))


async def delete_before(session: AsyncSession, before: datetime) -> int:
    """Forget processes that were last heard of before a moment; return how many."""
    statement = sa.delete(worker_heartbeats).where(worker_heartbeats.c.seen_at < before)
    return row_count(await session.execute(statement))


async def get_recent(reader: Reader, now: datetime) -> list[Heartbeat]:
    """Return the processes that were heard of within the window of crashes, the latest first."""
    rows = await reader.rows(_RECENT, {"since": utc_as_text(now - CRASH_WINDOW)})
    return [
        Heartbeat(name, host, pid, moment_of(started), moment_of(seen), fault)
        for name, host, pid, started, seen, fault in rows
    ]


def find_working(heartbeats: Sequence[Heartbeat], now: datetime) -> list[Heartbeat]:
    """Return the processes that work and will go on working, as far as can be told."""
    fresh = [each for each in heartbeats if each.is_fresh(now)]
    if len(heartbeats) - len(fresh) < CRASHES:
        return fresh
    return [each for each in fresh if now - each.started_at >= STEADY]


def describe_absence(heartbeats: Sequence[Heartbeat], now: datetime) -> str:
    """Return one sentence that says why no process works."""
    if any(each.is_fresh(now) for each in heartbeats):
        return f"Workers end soon after their start{_last_fault(heartbeats)}; their log says why."
    if not heartbeats:
        return "No worker is running; start openml-web worker."
    seconds = (now - heartbeats[0].seen_at).total_seconds()
    if heartbeats[0].fault:
        return f"The worker has ended{_last_fault(heartbeats)}, and no other has begun; its log says why."
    return (
        f"No worker was heard of for {seconds:.0f} seconds; it was killed, stands still or cannot reach the database. "
        "Start it again."
    )


def _last_fault(heartbeats: Sequence[Heartbeat]) -> str:
    fault = next((each.fault for each in heartbeats if each.fault), "")
    return f" ({fault})" if fault else ""
