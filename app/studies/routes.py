"""Routes that make collections."""

from fastapi import APIRouter

from app.core.bodies import BoundedRoute
from app.core.errors import TooManyRequestsError, UnauthorizedError
from app.core.http import BODY_PROBLEMS, declare
from app.core.limits import Hit
from app.core.scopes import Scope, opened_by
from app.db.index_changes import tell_indices
from app.deps import DatabaseDep, LimitsDep, OpenMLDep, UploaderDep
from app.openml.problems import OPENML_PROBLEMS
from app.studies import service
from app.studies.problems import AliasTakenError
from app.studies.schemas import CollectionResponse, RunCollectionRequest, TaskCollectionRequest

router = APIRouter(tags=["tasks"], route_class=BoundedRoute)
PROBLEMS = (UnauthorizedError, AliasTakenError, TooManyRequestsError, *BODY_PROBLEMS, *OPENML_PROBLEMS)


@router.post("/upload-collection-tasks", responses=declare(*PROBLEMS))
@opened_by(Scope.TASKS)
async def upload_collection_of_tasks(
    body: TaskCollectionRequest,
    uploader: UploaderDep,
    openml: OpenMLDep,
    limits: LimitsDep,
    database: DatabaseDep,
) -> CollectionResponse:
    """Make a collection of tasks, a benchmark suite. The same one again is the same one."""
    await limits.hit(Hit("openml-account", str(uploader.id)))
    made = await service.upload_tasks(openml, uploader, body)
    await tell_indices(database, "study", made.id)
    return made


@router.post("/upload-collection-runs", responses=declare(*PROBLEMS))
@opened_by(Scope.TASKS)
async def upload_collection_of_runs(
    body: RunCollectionRequest,
    uploader: UploaderDep,
    openml: OpenMLDep,
    limits: LimitsDep,
    database: DatabaseDep,
) -> CollectionResponse:
    """Make a collection of runs, a study. The same one again is the same one."""
    await limits.hit(Hit("openml-account", str(uploader.id)))
    made = await service.upload_runs(openml, uploader, body)
    await tell_indices(database, "study", made.id)
    return made
