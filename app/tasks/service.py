"""Making a task: everything is checked before it is sent, and nothing is made twice."""

import asyncio
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from app.core.concurrency import BoundedExecutor
from app.core.errors import NotFoundError, TooManyRequestsError, ValidationFailedError, problem_from_record
from app.core.suggestions import suggest
from app.db import task_requests
from app.db.engine import Database, notify_after_commit
from app.db.reader import Reader
from app.db.users import Account
from app.events.notifications import TASKS
from app.openml.client import OpenMLClient
from app.openml.errors import LostAnswerError, TaskExistsError
from app.openml.problems import DatasetNotActiveError, ProcessingFailedError
from app.openml.records import Feature
from app.openml.translation import require_key, translated_errors
from app.tasks.schemas import TaskResponse, TaskStatusResponse, UploadTaskRequest
from app.tasks.types import COLUMN_EXTRAS, EXTRAS, TYPES, TaskKind, TaskType, supervised

log = structlog.get_logger(__name__)

LOOK_AGAIN_SECONDS = 1.0
"""OpenML may still be making the task whose answer was lost; it makes two of two that come at once."""
SENT_AT_MOST = 2
"""How often a task is sent whose answer is lost."""
MOST_WAITING = 1000
"""Tasks that one account may have waiting."""
SHOWN = 20
"""Columns or measures that a refusal lists."""

_NOT_YET = (
    "OpenML has not processed the dataset yet, and makes tasks of active ones only. "
    'Send "when_active": true to let the task wait for it.'
)
_KNOWN = dict.fromkeys((273, 623), lambda error: DatasetNotActiveError(_NOT_YET, code=error.code))


@dataclass(frozen=True, slots=True)
class TaskDraft:
    """A task as OpenML is to be told: its type, and its inputs in the order in which the server judges them."""

    type_id: int
    inputs: dict[str, str]


async def upload(
    database: Database,
    openml: OpenMLClient,
    checks: BoundedExecutor,
    account: Account,
    request: UploadTaskRequest,
) -> TaskResponse | str:
    """Make the task, or, where it may wait and has to, return the number under which it does."""
    try:
        return await make_task(openml, checks, request, user_id=account.id, api_key=account.api_key)
    except DatasetNotActiveError as error:
        if not request.when_active or error.members.get("status_there") == "deactivated":
            raise
    await _check_early(openml, checks, request, user_id=account.id)
    return await _let_wait(database, account, request)


async def make_task(
    openml: OpenMLClient,
    checks: BoundedExecutor,
    request: UploadTaskRequest,
    *,
    user_id: int,
    api_key: str | None,
) -> TaskResponse:
    """Check the request against what the server has, and make the task.

    Raises:
        DatasetNotActiveError: OpenML has not processed the dataset, or it was deactivated.
        ValidationFailedError: a field does not fit the dataset or the server's lists.
    """
    api_key = require_key(api_key)
    with translated_errors(_KNOWN):
        draft = await _draft(openml, checks, request, user_id=user_id, api_key=api_key)
        try:
            task_id = await _send(openml, api_key, draft)
        except TaskExistsError as error:
            return TaskResponse(msg="task exists", id=error.task_id, url=openml.task_url(error.task_id))
    log.info("task made", task=task_id, dataset=request.dataset_id)
    return TaskResponse(msg="task uploaded", id=task_id, url=openml.task_url(task_id))


async def _let_wait(database: Database, account: Account, request: UploadTaskRequest) -> str:
    """Store the task to be created later, and return the id of the stored request; equal tasks share one.

    Raises:
        TooManyRequestsError: too many tasks wait already.
    """
    request_id = _request_id(account.id, request)
    now = database.now()
    async with database.session() as session:
        if await task_requests.count_waiting(session, account.id) >= MOST_WAITING:
            raise TooManyRequestsError(
                f"{MOST_WAITING} of your tasks wait for their datasets; make more once those are active",
                retry_after_seconds=3600,
            )
        await task_requests.add_request(
            session,
            request_id=request_id,
            user_id=account.id,
            dataset_id=request.dataset_id,
            request=request.model_dump(mode="json"),
            now=now,
        )
        notify_after_commit(session, TASKS)
    return request_id


async def get_status(
    reader: Reader, openml: OpenMLClient, account: Account, request_id: str
) -> TaskStatusResponse:
    """Return what became of a task that had to wait.

    Raises:
        NotFoundError: the account has no such request.
    """
    found = await task_requests.get_status(reader, request_id)
    if found is None or found.user_id != account.id:
        raise NotFoundError("No task of yours waits under this number.")
    problem = problem_from_record(found.error) if found.error else None
    return TaskStatusResponse.model_validate(
        {
            "state": found.state,
            "dataset_id": found.dataset_id,
            "id": found.task_id,
            "url": openml.task_url(found.task_id) if found.task_id else None,
            "problem": problem.document() if problem else None,
        }
    )


async def _send(openml: OpenMLClient, api_key: str, draft: TaskDraft) -> int:
    """Send the task; where the answer is lost, look for the task before it is sent again, and at the end."""
    lost: LostAnswerError | None = None
    for _ in range(SENT_AT_MOST):
        try:
            return await openml.create_task(draft.type_id, draft.inputs, api_key=api_key)
        except LostAnswerError as error:
            log.warning("task: answer lost", dataset=draft.inputs["source_data"], reason=str(error))
            lost = error
        except TaskExistsError as error:
            if lost is None:
                raise
            # It had arrived after all.
            return error.task_id
        found = await _look(openml, draft)
        if found is not None:
            return found
    raise lost or LostAnswerError("OpenML does not answer")


async def _look(openml: OpenMLClient, draft: TaskDraft) -> int | None:
    for pause in (0.0, LOOK_AGAIN_SECONDS):
        await asyncio.sleep(pause)
        found = await openml.find_task(draft.type_id, draft.inputs)
        if found is not None:
            return found
    return None


async def _draft(
    openml: OpenMLClient, checks: BoundedExecutor, request: UploadTaskRequest, *, user_id: int, api_key: str
) -> TaskDraft:
    await _require_measure(openml, checks, request, user_id=user_id)
    await _require_active(openml, api_key, request.dataset_id)
    features = await openml.list_features(request.dataset_id, api_key=api_key)
    kind = _kind(request, features)
    task_type = TYPES[kind]
    errors = [
        *_input_errors(request, kind, task_type),
        *await checks.run_for(user_id, _column_errors, request, task_type, features),
    ]
    if errors:
        raise ValidationFailedError.for_fields(errors)
    inputs = {"source_data": str(request.dataset_id)}
    if task_type.target and request.target_name:
        inputs[task_type.target] = request.target_name
    inputs["estimation_procedure"] = str(await _procedure(openml, request, kind, task_type))
    if request.evaluation_measure:
        inputs["evaluation_measures"] = request.evaluation_measure
    for name in task_type.extras:
        value = getattr(request, name)
        if value is not None:
            inputs[name] = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return TaskDraft(task_type.type_id, inputs)


async def _check_early(
    openml: OpenMLClient, checks: BoundedExecutor, request: UploadTaskRequest, *, user_id: int
) -> None:
    """Check what can be checked while the dataset's columns are not known.

    Raises:
        ValidationFailedError: a field does not fit the type or the server's lists.
    """
    with translated_errors(_KNOWN):
        await _require_measure(openml, checks, request, user_id=user_id)
        if request.task_type is TaskKind.SUPERVISED:
            return
        task_type = TYPES[request.task_type]
        errors = list(_input_errors(request, request.task_type, task_type))
        if errors:
            raise ValidationFailedError.for_fields(errors)
        await _procedure(openml, request, request.task_type, task_type)


async def _require_measure(
    openml: OpenMLClient, checks: BoundedExecutor, request: UploadTaskRequest, *, user_id: int
) -> None:
    """Check the measure against the server's list.

    Raises:
        ValidationFailedError: the server has no such measure.
    """
    measure = request.evaluation_measure
    if measure is None:
        return
    measures = await openml.list_measures()
    if measure not in measures:
        similar = await checks.run_for(user_id, _similar, measure, measures)
        raise _field_error("evaluation_measure", f"OpenML has no measure {measure!r}.{similar}")


async def _require_active(openml: OpenMLClient, api_key: str, dataset_id: int) -> None:
    dataset = await openml.describe_dataset(dataset_id, api_key=api_key)
    if dataset.status == "active":
        return
    if dataset.error:
        raise ProcessingFailedError(
            f"OpenML could not process the dataset, so no task can be made of it: {dataset.error[:500]}"
        )
    if dataset.status == "deactivated":
        raise DatasetNotActiveError(
            "The dataset was deactivated on OpenML; no tasks can be made of it.", status_there=dataset.status
        )
    raise DatasetNotActiveError(_NOT_YET, status_there=dataset.status)


def _kind(request: UploadTaskRequest, features: Sequence[Feature]) -> TaskKind:
    if request.task_type is not TaskKind.SUPERVISED:
        return request.task_type
    target = next((feature for feature in features if feature.name == request.target_name), None)
    kind = supervised(target.data_type) if target else TaskKind.CLASSIFICATION
    if kind is None:
        raise _field_error("target_name", "A target must be nominal or numeric; this one is neither.")
    return kind


def _input_errors(
    request: UploadTaskRequest, kind: TaskKind, task_type: TaskType
) -> Iterator[dict[str, str]]:
    if task_type.target and not request.target_name:
        yield {"field": "target_name", "message": f"A task of type {kind} needs a target column."}
    if task_type.target is None and request.target_name:
        yield {"field": "target_name", "message": f"A task of type {kind} has no target; leave it out."}
    for name in EXTRAS:
        if name not in task_type.extras and getattr(request, name) is not None:
            yield {"field": name, "message": f"A task of type {kind} does not take this; leave it out."}


def _column_errors(
    request: UploadTaskRequest, task_type: TaskType, features: Sequence[Feature]
) -> list[dict[str, str]]:
    """Return what is wrong with the columns that are named. A dataset may have very many: call it in a thread."""
    named = {"target_name": request.target_name if task_type.target else None}
    named |= {name: getattr(request, name) for name in COLUMN_EXTRAS if name in task_type.extras}
    types = {feature.name: feature.data_type for feature in features}
    fitting = [name for name, found in types.items() if task_type.target_type in {"", found}]
    errors = []
    for field, name in named.items():
        if name is not None and name not in types:
            message = f"The dataset has no column {name!r}.{_similar(name, fitting)}"
            errors.append({"field": field, "message": message})
        elif name is not None and name not in fitting:
            wanted, found = task_type.target_type, types[name]
            message = (
                f"Column {name!r} is {found}, and this type of task needs a {wanted} one.{_list(fitting)}"
            )
            errors.append({"field": field, "message": message})
    return errors


async def _procedure(
    openml: OpenMLClient, request: UploadTaskRequest, kind: TaskKind, task_type: TaskType
) -> int:
    names = {
        procedure.procedure_id: procedure.name
        for procedure in await openml.list_procedures()
        if procedure.type_id == task_type.type_id
    }
    wanted = request.estimation_procedure
    if wanted in names:
        return wanted
    if wanted is not None or not names:
        offered = ", ".join(f"{number} ({name})" for number, name in sorted(names.items())[:SHOWN])
        raise _field_error(
            "estimation_procedure", f"Tasks of type {kind} take one of: {offered or 'none on this server'}."
        )
    return task_type.procedure if task_type.procedure in names else min(names)


def _field_error(field: str, message: str) -> ValidationFailedError:
    return ValidationFailedError.for_fields([{"field": field, "message": message}])


def _similar(name: str, names: Sequence[str] | frozenset[str]) -> str:
    close = suggest(name, names, alike=0.5)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else _list(sorted(names))


def _list(names: Sequence[str]) -> str:
    if not names:
        return " It has no column of that kind."
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f" There are {', '.join(names[:SHOWN])}{more}."


def _request_id(user_id: int, request: UploadTaskRequest) -> str:
    content: dict[str, Any] = request.model_dump(mode="json")
    text = json.dumps([user_id, content], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
