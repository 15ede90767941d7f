"""Tasks that wait for their dataset: made as soon as OpenML has processed it."""

from datetime import datetime, timedelta

import structlog

from app.core.clock import utc_now
from app.core.errors import (
    ApiKeyMissingError,
    DatasetNotActiveError,
    InternalError,
    OpenMLUnreachableError,
    Problem,
    UnauthorizedError,
)
from app.db import task_requests, uploads
from app.db.task_requests import TaskRequestRow
from app.openml.client import is_api_key
from app.resources import Resources
from app.task import service
from app.task.schemas import UploadTaskRequest
from app.worker.loops import after, back_off

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=15)
"""Longer than all the calls that a task needs; and what a crash costs a task is this wait, never a second task."""
FIRST_PAUSE_SECONDS = 1
LONGEST_PAUSE_SECONDS = 600
PATIENCE = timedelta(days=30)
"""How long a dataset may stay in preparation, or OpenML away."""


async def make_one(resources: Resources, *, owner: str) -> bool:
    """Try to make the next task that is due; False if there is none."""
    request = await task_requests.claim_request(resources.database, owner=owner, now=utc_now(), lease=LEASE)
    if request is None:
        return False
    try:
        task_id = await _make(resources, request)
    except (DatasetNotActiveError, OpenMLUnreachableError) as problem:
        if problem.members.get("status_there") == "deactivated" or utc_now() - request.created_at > PATIENCE:
            await _end(resources, request, owner=owner, problem=problem)
        else:
            async with resources.database.session() as session:
                await task_requests.set_retry(session, request.id, owner=owner, at=_next_try(request))
    except Problem as problem:
        await _end(resources, request, owner=owner, problem=problem)
    except Exception:
        # A row that cannot be worked on must not come back for ever.
        log.exception("task cannot be made", request=request.id)
        await _end(resources, request, owner=owner, problem=InternalError())
    else:
        await _end(resources, request, owner=owner, task_id=task_id)
    return True


async def _make(resources: Resources, request: TaskRequestRow) -> int:
    # The key that the account has now: it may have been replaced since.
    async with resources.database.session() as session:
        account = await uploads.get_owner(session, request.user_id)
    if account is None or not account.active:
        raise UnauthorizedError("The account was closed before the task was made")
    if account.api_key is None or not is_api_key(account.api_key):
        raise ApiKeyMissingError
    wanted = UploadTaskRequest.model_validate(request.request)
    return (await service.make_task(resources.openml, account.api_key, wanted)).id


async def _end(
    resources: Resources,
    request: TaskRequestRow,
    *,
    owner: str,
    task_id: int | None = None,
    problem: Problem | None = None,
) -> None:
    log.info("task request ended", request=request.id, task=task_id, reason=problem and problem.detail)
    async with resources.database.session() as session:
        await task_requests.set_ended(
            session,
            request.id,
            owner=owner,
            now=utc_now(),
            task_id=task_id,
            error=problem.record() if problem else None,
        )


def _next_try(request: TaskRequestRow) -> datetime:
    pause = back_off(
        request.attempts, first_seconds=FIRST_PAUSE_SECONDS, longest_seconds=LONGEST_PAUSE_SECONDS
    )
    return after(pause)
