"""How long what is due has been waiting for a worker, queue by queue."""

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.db.outbox import TO_SEND
from app.db.queue import Queue
from app.db.reader import Reader, ReadStatement, moment_of, utc_as_text
from app.db.tables import outbox, task_requests
from app.db.task_requests import TO_MAKE
from app.db.upload_queues import TO_PUBLISH, TO_WATCH
from app.db.upload_tables import uploads


class Overdue(NamedTuple):
    """What has been due for longest in a queue.

    Attributes:
        name: of the queue.
        queue: what waits, in words.
        seconds: for how long.
    """

    name: str
    queue: str
    seconds: float


def _oldest(table: sa.Table, queue: Queue, *conditions: sa.ColumnElement[bool]) -> sa.ScalarSelect[Any]:
    due_at = table.c.available_at
    is_due = due_at <= sa.bindparam("now", type_=sa.String)
    return sa.select(sa.func.min(due_at)).where(queue.state_of(table), is_due, *conditions).scalar_subquery()


def _has_turn() -> sa.ColumnElement[bool]:
    """Return the condition that an upload's owner has fewer under way than one may: others wait by right."""
    other = uploads.alias()
    # As a number that no index has, as in `upload_queues.get_waiting`.
    owner = (other.c.user_id + sa.literal_column("0")).label("owner")
    busy = (
        sa.select(owner)
        .where(
            TO_PUBLISH.state_of(other),
            other.c.available_at > sa.bindparam("now", type_=sa.String),
            other.c.lease_owner.is_not(None),
        )
        .group_by(owner)
        .having(sa.func.count() >= sa.bindparam("per_user", type_=sa.Integer))
    )
    return uploads.c.user_id.not_in(busy)


_OLDEST: dict[tuple[str, str], sa.ScalarSelect[Any]] = {
    ("mails", "Mails"): _oldest(outbox, TO_SEND),
    ("uploads", "Uploads"): _oldest(uploads, TO_PUBLISH, _has_turn()),
    ("published", "Published datasets, to be watched,"): _oldest(uploads, TO_WATCH),
    ("tasks", "Tasks"): _oldest(task_requests, TO_MAKE),
}
_STATEMENT = ReadStatement(sa.select(*_OLDEST.values()))


async def find_overdue(reader: Reader, now: datetime, *, per_user: int) -> list[Overdue]:
    """Return the queues in which something is due, and since when.

    Uploads that wait because their owner has `per_user` under way do not count: nobody else's wait for them.
    """
    row = await reader.first(_STATEMENT, {"now": utc_as_text(now), "per_user": per_user})
    found = zip(_OLDEST, row or (), strict=True)
    return [Overdue(*names, (now - moment_of(due_at)).total_seconds()) for names, due_at in found if due_at]
