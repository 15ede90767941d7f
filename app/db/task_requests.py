"""Statements on `task_requests`: tasks that are to be made as soon as their dataset is active."""

import json
from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import Database, upsert
from app.db.queue import Queue
from app.db.reader import Reader, ReadStatement
from app.db.tables import task_requests


class TaskState(StrEnum):
    """State of a request for a task."""

    WAITING = "waiting"
    MADE = "made"
    FAILED = "failed"


TO_MAKE = Queue(task_requests, [TaskState.WAITING])


class TaskRequestRow(NamedTuple):
    """A request's row."""

    id: str
    user_id: int
    dataset_id: int
    state: str
    request: dict[str, Any]
    task_id: int | None
    error: dict[str, Any] | None
    attempts: int
    created_at: datetime
    finished_at: datetime | None
    traceparent: str | None


class TaskStatus(NamedTuple):
    """State and outcome of a request, for its owner."""

    user_id: int
    dataset_id: int
    state: str
    task_id: int | None
    error: dict[str, Any] | None


_STATUS = ReadStatement(
    sa.select(*(task_requests.c[name] for name in TaskStatus._fields)).where(
        task_requests.c.id == sa.bindparam("request_id")
    ),
    by_key=True,
)
_COLUMNS = tuple(task_requests.c[name] for name in TaskRequestRow._fields)


async def add_request(
    session: AsyncSession,
    *,
    request_id: str,
    user_id: int,
    dataset_id: int,
    request: dict[str, Any],
    now: datetime,
) -> None:
    """Queue a request for a task. The same request restarts one that has ended, and does not change one that waits."""
    fresh = {"state": TaskState.WAITING, "error": None, "task_id": None, "finished_at": None}
    ended = task_requests.c.state != TaskState.WAITING
    # The state comes last: MySQL makes the assignments in their order, and the others ask for it.
    renewed = {
        "available_at": sa.case((ended, now), else_=task_requests.c.available_at),
        "created_at": sa.case((ended, now), else_=task_requests.c.created_at),
        "attempts": sa.case((ended, 0), else_=task_requests.c.attempts),
        **{name: value for name, value in fresh.items() if name != "state"},
        "state": TaskState.WAITING,
    }
    values = {
        "id": request_id,
        "user_id": user_id,
        "dataset_id": dataset_id,
        "request": request,
        "available_at": now,
        "created_at": now,
        **fresh,
    }
    await upsert(session, task_requests, values, update=renewed)


async def get_status(reader: Reader, request_id: str) -> TaskStatus | None:
    """Return the state of a request, or None."""
    row = await reader.first(_STATUS, {"request_id": request_id})
    if row is None:
        return None
    user_id, dataset_id, state, task_id, error = row
    return TaskStatus(user_id, dataset_id, state, task_id, json.loads(error or "null"))


async def claim_request(
    database: Database, *, lease_owner: str, now: datetime, lease: timedelta
) -> TaskRequestRow | None:
    """Take the next request that is due."""
    if not await TO_MAKE.exists(database.reader, now):
        return None

    async def claim(session: AsyncSession) -> TaskRequestRow | None:
        request_id = await TO_MAKE.claim(session, lease_owner=lease_owner, now=now, lease=lease)
        if request_id is None:
            return None
        row = (await session.execute(sa.select(*_COLUMNS).where(task_requests.c.id == request_id))).one()
        return TaskRequestRow._make(row)

    return await database.unit(claim)


async def set_ended(
    session: AsyncSession,
    request_id: str,
    *,
    lease_owner: str,
    now: datetime,
    task_id: int | None = None,
    error: dict[str, Any] | None = None,
) -> bool:
    """Write down the task that was made, or why there is none; False if `lease_owner` has lost the row."""
    values = {
        "state": TaskState.FAILED if error else TaskState.MADE,
        "task_id": task_id,
        "error": error,
        "finished_at": now,
    }
    return await TO_MAKE.finish(session, request_id, lease_owner=lease_owner, values=values)


async def set_retry(session: AsyncSession, request_id: str, *, lease_owner: str, at: datetime) -> bool:
    """Give the row back, to be taken up again at the given time; False if `lease_owner` has lost it."""
    return await TO_MAKE.give_back(session, request_id, lease_owner=lease_owner, at=at)


async def set_due(session: AsyncSession, dataset_id: int, now: datetime) -> None:
    """Make the requests that wait for a dataset due now, except one that is claimed."""
    waiting = sa.and_(
        task_requests.c.dataset_id == dataset_id,
        task_requests.c.state == TaskState.WAITING,
        task_requests.c.lease_owner.is_(None),
    )
    await session.execute(sa.update(task_requests).where(waiting).values(available_at=now))


async def count_waiting(session: AsyncSession, user_id: int) -> int:
    """Return how many requests of a user wait."""
    mine = sa.and_(task_requests.c.user_id == user_id, task_requests.c.state == TaskState.WAITING)
    return await session.scalar(sa.select(sa.func.count()).where(mine)) or 0


async def get_ids_of_user(session: AsyncSession, user_id: int) -> list[str]:
    """Return all requests of a user, oldest first."""
    mine = task_requests.c.user_id == user_id
    statement = sa.select(task_requests.c.id).where(mine).order_by(task_requests.c.created_at)
    return list((await session.scalars(statement)).all())


async def get_of_user(
    session: AsyncSession, user_id: int, *, only: Collection[str] | None = None
) -> list[TaskRequestRow]:
    """Return all requests of a user, oldest first, or only those of them that are named."""
    mine = task_requests.c.user_id == user_id
    wanted = mine if only is None else sa.and_(mine, task_requests.c.id.in_(only))
    statement = sa.select(*_COLUMNS).where(wanted).order_by(task_requests.c.created_at)
    return [TaskRequestRow._make(row) for row in await session.execute(statement)]


async def delete_of_user(session: AsyncSession, user_id: int) -> None:
    """Delete all requests of a user."""
    await session.execute(sa.delete(task_requests).where(task_requests.c.user_id == user_id))


async def delete_ended(session: AsyncSession, before: datetime) -> None:
    """Delete requests that ended before the given time."""
    await session.execute(sa.delete(task_requests).where(task_requests.c.finished_at < before))
