"""Routes that make tasks."""

from fastapi import APIRouter, Response
from starlette.status import HTTP_202_ACCEPTED

from app.core.bodies import BoundedRoute
from app.core.errors import NotFoundError, TooManyRequestsError, UnauthorizedError
from app.core.http import BODY_PROBLEMS, declare
from app.core.limits import Hit
from app.core.scopes import Scope, opened_by
from app.db.index_changes import tell_indices
from app.deps import DatabaseDep, OpenMLDep, ResourcesDep, UploaderDep
from app.openml.problems import OPENML_PROBLEMS, DatasetNotActiveError, ProcessingFailedError
from app.tasks import service
from app.tasks.schemas import (
    TaskResponse,
    TaskStatusResponse,
    TaskWaitsResponse,
    UploadTaskRequest,
    maker_of,
)

router = APIRouter(tags=["tasks"], route_class=BoundedRoute)


@router.post(
    "/upload-task",
    responses={
        HTTP_202_ACCEPTED: {"model": TaskWaitsResponse, "description": "The task waits for its dataset."},
        **declare(
            UnauthorizedError,
            DatasetNotActiveError,
            TooManyRequestsError,
            ProcessingFailedError,
            *BODY_PROBLEMS,
            *OPENML_PROBLEMS,
        ),
    },
)
@opened_by(Scope.TASKS)
async def upload_task(
    body: UploadTaskRequest, uploader: UploaderDep, resources: ResourcesDep, response: Response
) -> TaskResponse | TaskWaitsResponse:
    """Make a task of a dataset on OpenML. An equal one that exists is answered with its number."""
    await resources.limits.hit(Hit("openml-account", str(uploader.id)))
    made = await service.upload(resources.database, resources.openml, resources.checks, uploader, body)
    if isinstance(made, TaskResponse):
        await tell_indices(resources.database, "task", made.id, user_id=maker_of(made, uploader.id))
        return made
    response.status_code = HTTP_202_ACCEPTED
    return TaskWaitsResponse(request_id=made, status_url=f"/upload-task/{made}")


@router.get("/upload-task/{request_id}", responses=declare(UnauthorizedError, NotFoundError))
@opened_by(Scope.READ, Scope.TASKS)
async def get_task_status(
    request_id: str, uploader: UploaderDep, database: DatabaseDep, openml: OpenMLDep
) -> TaskStatusResponse:
    """Return what became of a task that had to wait."""
    return await service.get_status(database.reader, openml, uploader, request_id)
