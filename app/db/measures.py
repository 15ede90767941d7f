"""What the rows say about how the service fares, for whoever watches it: bounded, whatever the tables hold.

All of it is one statement, whose parts each read the first rows of an index.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from app.db import overdue
from app.db.outbox import FAILED, TO_SEND
from app.db.queue import Queue
from app.db.reader import Reader, ReadStatement, moment_of
from app.db.tables import outbox, task_requests
from app.db.task_requests import TO_MAKE
from app.db.upload_queues import TO_PUBLISH, TO_WATCH
from app.db.upload_states import HAS_OUTCOME, UploadState
from app.db.upload_states import TO_WATCH as WATCHED
from app.db.upload_tables import uploads
from app.db.worker_heartbeats import find_working, get_recent

MOST_ROWS: Final = 10_000
"""Of each queue and each state."""
UNFINISHED: Final = tuple(state for state in UploadState if state not in HAS_OUTCOME or state in WATCHED)
"""States that something is expected to follow; those that nothing follows are counted as they are reached."""
QUEUES: Final[Mapping[str, tuple[sa.Table, Queue]]] = {
    "mails": (outbox, TO_SEND),
    "uploads": (uploads, TO_PUBLISH),
    "published": (uploads, TO_WATCH),
    "tasks": (task_requests, TO_MAKE),
}


@dataclass(frozen=True, slots=True)
class Measures:
    """What was found.

    Attributes:
        uploads: how many there are in each unfinished state.
        ages: seconds since the oldest of them came; 0 where there is none.
        reserved_bytes: what they take, or will take.
        fullest_user_bytes: the same of the user who has most.
        queues: how many rows each queue has.
        due_seconds: for how long its oldest row that is due has waited.
        mails_given_up: mails that were given up, and are kept to be seen.
        workers: worker processes that work, on all machines.
    """

    uploads: Mapping[str, int]
    ages: Mapping[str, float]
    reserved_bytes: int
    fullest_user_bytes: int
    queues: Mapping[str, int]
    due_seconds: Mapping[str, float]
    mails_given_up: int
    workers: int


def _some(table: sa.Table, condition: sa.ColumnElement[bool], *columns: sa.ColumnElement[Any]) -> sa.Subquery:
    return sa.select(*columns).select_from(table).where(condition).limit(MOST_ROWS).subquery()


def _in(state: str) -> sa.ColumnElement[bool]:
    return uploads.c.state == sa.literal_column(f"'{state}'")


def _parts() -> Iterator[sa.ScalarSelect[Any]]:
    """Yield what is asked for, in the order in which `_read` takes it."""
    one: sa.ColumnElement[Any] = sa.literal_column("1")
    for state in UNFINISHED:
        rows = _some(uploads, _in(state), uploads.c.created_at)
        yield sa.select(sa.func.count()).select_from(rows).scalar_subquery()
        yield sa.select(sa.func.min(rows.c.created_at)).scalar_subquery()
    taken = _some(uploads, sa.or_(*map(_in, UNFINISHED)), uploads.c.user_id, uploads.c.reserved_bytes)
    yield sa.select(sa.func.coalesce(sa.func.sum(taken.c.reserved_bytes), 0)).scalar_subquery()
    each = sa.select(sa.func.sum(taken.c.reserved_bytes).label("bytes")).group_by(taken.c.user_id).subquery()
    yield sa.select(sa.func.coalesce(sa.func.max(each.c.bytes), 0)).scalar_subquery()
    for table, queue in QUEUES.values():
        rows = _some(table, queue.state_of(table), one)
        yield sa.select(sa.func.count()).select_from(rows).scalar_subquery()
    failed = _some(outbox, outbox.c.state == sa.literal_column(f"'{FAILED}'"), one)
    yield sa.select(sa.func.count()).select_from(failed).scalar_subquery()


_STATEMENT = ReadStatement(sa.select(*_parts()))


async def measure(reader: Reader, now: datetime, *, per_user: int) -> Measures:
    """Read everything; `per_user` as `overdue.find_overdue` has it.

    Raises:
        DatabaseUnavailableError: the database is away, in trouble or full.
    """
    row = iter(await reader.first(_STATEMENT, {}) or ())
    counts, ages = dict[str, int](), dict[str, float]()
    for state in UNFINISHED:
        counts[state] = int(next(row))
        oldest = next(row)
        since = moment_of(oldest) if oldest else None
        ages[state] = max(0.0, (now - since).total_seconds()) if since else 0.0
    reserved, fullest = int(next(row)), int(next(row))
    lengths = {name: int(next(row)) for name in QUEUES}
    given_up = int(next(row))
    late = await overdue.find_overdue(reader, now, per_user=per_user)
    waited = {each.name: each.seconds for each in late}
    return Measures(
        uploads=counts,
        ages=ages,
        reserved_bytes=reserved,
        fullest_user_bytes=fullest,
        queues=lengths,
        due_seconds={name: waited.get(name, 0.0) for name in QUEUES},
        mails_given_up=given_up,
        workers=len(find_working(await get_recent(reader, now), now)),
    )
