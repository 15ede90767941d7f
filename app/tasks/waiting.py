"""Tasks that wait for their dataset: made as soon as OpenML has processed it."""

from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.concurrency import BoundedExecutor
from app.core.errors import DatabaseUnavailableError, InternalError, ProblemError, UnauthorizedError
from app.db import task_requests, uploads
from app.db.engine import Database
from app.db.index_changes import add_change
from app.db.task_requests import TO_MAKE, TaskRequestRow
from app.openml.client import OpenMLClient
from app.openml.fields import is_api_key
from app.openml.problems import (
    ApiKeyMissingError,
    DatasetNotActiveError,
    OpenMLAnswerBrokenError,
    OpenMLUnreachableError,
)
from app.tasks import service
from app.tasks.schemas import TaskResponse, UploadTaskRequest, maker_of
from app.worker.queues import Lease, back_off

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 1
LONGEST_PAUSE_SECONDS = 600
GRACE_SECONDS = 5.0
"""Seconds that a call to OpenML may take when the worker stops."""
PATIENCE = timedelta(days=30)
"""How long a dataset may stay in preparation, or OpenML away."""


async def make_one(
    database: Database,
    openml: OpenMLClient,
    checks: BoundedExecutor,
    *,
    lease_owner: str,
    lease_seconds: float,
) -> bool:
    """Try to make the next task that is due; False if there is none."""
    length = timedelta(seconds=lease_seconds)
    now = database.now()
    request = await task_requests.claim_request(database, lease_owner=lease_owner, now=now, lease=length)
    if request is None:
        return False
    lease = Lease(
        database,
        TO_MAKE,
        request.id,
        lease_owner,
        length,
        until=now + length,
        traceparent=request.traceparent,
    )
    await lease.work(_try(openml, checks, request, lease), grace_seconds=GRACE_SECONDS)
    return True


async def _try(openml: OpenMLClient, checks: BoundedExecutor, request: TaskRequestRow, lease: Lease) -> None:
    try:
        made = await _make(lease.database, openml, checks, request)
    except (DatasetNotActiveError, OpenMLAnswerBrokenError, OpenMLUnreachableError) as problem:
        now = lease.database.now()
        if problem.members.get("status_there") == "deactivated" or now - request.created_at > PATIENCE:
            await _end(request, lease, problem=problem)
        else:
            at = now + _pause(request)
            await lease.end(
                lambda session: task_requests.set_retry(session, request.id, lease_owner=lease.owner, at=at)
            )
    except ProblemError as problem:
        await _end(request, lease, problem=problem)
    except DatabaseUnavailableError:
        raise  # It says nothing of the task, which comes back when the lease is over.
    except Exception:
        # A row that cannot be worked on must not come back for ever.
        log.exception("task cannot be made", request=request.id)
        await _end(request, lease, problem=InternalError())
    else:
        await _end(request, lease, made=made)


async def _make(
    database: Database, openml: OpenMLClient, checks: BoundedExecutor, request: TaskRequestRow
) -> TaskResponse:
    # The key that the account has now: it may have been replaced since.
    account = await uploads.get_owner(database.reader, request.user_id)
    if account is None or not account.active:
        raise UnauthorizedError("The account was closed before the task was made")
    if account.api_key is None or not is_api_key(account.api_key):
        raise ApiKeyMissingError
    wanted = UploadTaskRequest.model_validate(request.request)
    return await service.make_task(openml, checks, wanted, user_id=request.user_id, api_key=account.api_key)


async def _end(
    request: TaskRequestRow,
    lease: Lease,
    *,
    made: TaskResponse | None = None,
    problem: ProblemError | None = None,
) -> None:
    now, error = lease.database.now(), problem.record() if problem else None
    task_id = made.id if made else None

    async def write(session: AsyncSession) -> bool:
        if made is not None:
            await add_change(session, "task", made.id, user_id=maker_of(made, request.user_id))
        return await task_requests.set_ended(
            session, request.id, lease_owner=lease.owner, now=now, task_id=task_id, error=error
        )

    await lease.end(write)
    log.info("task request ended", request=request.id, task=task_id, reason=problem and problem.detail)


def _pause(request: TaskRequestRow) -> timedelta:
    return back_off(
        request.attempts, first_seconds=FIRST_PAUSE_SECONDS, longest_seconds=LONGEST_PAUSE_SECONDS
    )
