"""The queues of uploads: those that come in, those to publish, those that OpenML processes; and claiming from them."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import upload_states
from app.db.engine import Database, row_count
from app.db.queue import Queue, Waiting
from app.db.tables import UtcDateTime
from app.db.upload_tables import uploads
from app.db.upload_values import Upload, UploadProgress
from app.db.uploads import get_upload

TO_RECEIVE = Queue(uploads, upload_states.TO_RECEIVE)
TO_PUBLISH = Queue(uploads, upload_states.TO_PUBLISH)
TO_WATCH = Queue(uploads, upload_states.TO_WATCH)
IN_WORK = Queue(uploads, [*TO_PUBLISH.states, *TO_WATCH.states])
"""What a worker may have; not a queue to claim from."""
USERS_IN_TURN = 256
"""Users whose uploads are looked at in one turn."""
_QUEUED = sa.select(sa.func.count()).where(uploads.c.state.in_(TO_PUBLISH.states))


async def get_queue_length(session: AsyncSession) -> int:
    """Return how many uploads wait for a worker, or are claimed by one."""
    return int((await session.execute(_QUEUED)).scalar_one())


async def set_retry(
    session: AsyncSession,
    upload_id: str,
    *,
    lease_owner: str,
    at: datetime,
    progress: UploadProgress | None = None,
    is_attempt: bool = True,
) -> bool:
    """Give the row back, to be taken up again at the given time; False if `lease_owner` has lost it.

    `progress` says what it waits for; `is_attempt` is false where nothing has failed.
    """
    values: dict[str, Any] = {} if progress is None else {"progress": progress}
    values |= {} if is_attempt else {"attempts": 0}
    return await IN_WORK.give_back(session, upload_id, lease_owner=lease_owner, at=at, values=values)


async def claim_upload(
    database: Database, queue: Queue, *, lease_owner: str, now: datetime, lease: timedelta
) -> Upload | None:
    """Take the next upload of the queue."""
    if not await queue.exists(database.reader, now):
        return None

    async def claim(session: AsyncSession) -> Upload | None:
        upload_id = await queue.claim(session, lease_owner=lease_owner, now=now, lease=lease)
        return await get_upload(session, str(upload_id)) if upload_id is not None else None

    return await database.unit(claim)


async def get_waiting(session: AsyncSession, queue: Queue, now: datetime) -> list[Waiting]:
    """Return those users who wait for longest."""
    due = await session.execute(_first_due(queue), {"now": now})
    under_way = {row[0]: row[1] for row in await session.execute(_under_way(queue), {"now": now})}
    return [Waiting(row[0], row[1], under_way.get(row[0], 0)) for row in due]


@cache
def _first_due(queue: Queue) -> sa.Select[int, datetime]:
    # One entry of an index for each user and state, however much of theirs waits.
    first = (
        sa.select(uploads.c.user_id, sa.func.min(uploads.c.available_at).label("since"))
        .where(uploads.c.state.in_(queue.states))
        .group_by(uploads.c.state, uploads.c.user_id)
        .subquery()
    )
    since = sa.func.min(first.c.since)
    return (
        sa.select(first.c.user_id, sa.type_coerce(since, UtcDateTime))
        .where(first.c.since <= sa.bindparam("now"))
        .group_by(first.c.user_id)
        .order_by(since)
        .limit(USERS_IN_TURN)
    )


@cache
def _under_way(queue: Queue) -> sa.Select[int, int]:
    # As a number that no index has: SQLite would read all uploads in the order of their users to spare the sorting.
    owner = (uploads.c.user_id + sa.literal_column("0")).label("owner")
    return sa.select(owner, sa.func.count()).where(queue.under_way()).group_by(owner)


async def claim_upload_fairly(
    database: Database,
    queue: Queue,
    choose: Callable[[Sequence[Waiting]], int | None],
    *,
    lease_owner: str,
    now: datetime,
    lease: timedelta,
) -> Upload | None:
    """Take the next upload of the user that `choose` names."""
    if not await queue.exists(database.reader, now):
        return None

    async def claim(session: AsyncSession) -> Upload | None:
        user_id = choose(await get_waiting(session, queue, now))
        if user_id is None:
            return None
        only = uploads.c.user_id == user_id
        upload_id = await queue.claim(session, lease_owner=lease_owner, now=now, lease=lease, only=only)
        return await get_upload(session, str(upload_id)) if upload_id is not None else None

    return await database.unit(claim)


async def look_before_sending(session: AsyncSession) -> int:
    """Have every upload that was not sent be looked for at OpenML before it is; return how many those are.

    Of a restored backup it is not known what was published since, under a number higher than all that it knows.
    """
    newest = await session.scalar(sa.select(sa.func.coalesce(sa.func.max(uploads.c.dataset_id), 0)))
    unsent = sa.and_(
        uploads.c.state.in_(upload_states.HOLDS_BYTES | upload_states.CAN_RETRY),
        uploads.c.sent_at.is_(None),
        uploads.c.dataset_id.is_(None),
    )
    marked = sa.update(uploads).where(unsent).values(newest_before=newest)
    return row_count(await session.execute(marked))
