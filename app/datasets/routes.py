"""Routes that change what describes a dataset."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse

from app.core.bodies import BoundedRoute
from app.core.errors import TooManyRequestsError, UnauthorizedError
from app.core.http import BODY_PROBLEMS, declare
from app.core.limits import Hit
from app.core.scopes import Scope, opened_by
from app.datasets import service
from app.datasets.problems import TagTakenError
from app.datasets.schemas import EditFormResponse, EditRequest, TaggedResponse, TagRequest, UntaggedResponse
from app.db.index_changes import tell_indices
from app.deps import DatabaseDep, LimitsDep, OpenMLDep, ResourcesDep, UploaderDep
from app.openml.problems import OPENML_PROBLEMS, DatasetInUseError

router = APIRouter(tags=["datasets"], route_class=BoundedRoute)
Url = Annotated[
    str,
    Query(
        max_length=2000,
        description="Address of the page, which ends in `?id=` and the dataset's number.",
        examples=["?id=42"],
        json_schema_extra={"pattern": r"\?id=[1-9][0-9]{0,8}$"},
    ),
]
READING = (UnauthorizedError, TooManyRequestsError, *OPENML_PROBLEMS)


@router.get("/data-edit", responses=declare(*READING))
@opened_by(Scope.READ, Scope.EDIT)
async def show_dataset(
    url: Url, uploader: UploaderDep, database: DatabaseDep, openml: OpenMLDep, limits: LimitsDep
) -> EditFormResponse:
    """Return a dataset as the edit form shows it."""
    await limits.hit(Hit("openml-account", str(uploader.id)))
    return await service.show_form(database.reader, openml, uploader, service.parse_page_address(url))


@router.post(
    "/data-edit",
    response_class=PlainTextResponse,
    responses=declare(*READING, DatasetInUseError, *BODY_PROBLEMS),
)
@opened_by(Scope.EDIT)
async def edit_dataset(url: Url, body: EditRequest, uploader: UploaderDep, resources: ResourcesDep) -> str:
    """Change what describes a dataset. The columns' roles are for its owner, and while it has no tasks.

    Below the first line of the answer stands what was changed in the texts so that OpenML can take them.
    """
    await resources.limits.hit(Hit("openml-account", str(uploader.id)))
    dataset_id = service.parse_page_address(url)
    told = await service.edit(resources.openml, resources.checks, uploader, dataset_id, body)
    await tell_indices(resources.database, "data", dataset_id)
    return "\n".join(["data edit successful", *told])


@router.post("/data-tag", responses=declare(*READING, TagTakenError, *BODY_PROBLEMS))
@opened_by(Scope.EDIT)
async def tag_dataset(
    url: Url, body: TagRequest, uploader: UploaderDep, resources: ResourcesDep
) -> TaggedResponse:
    """Tag a dataset."""
    await resources.limits.hit(Hit("openml-account", str(uploader.id)))
    dataset_id = service.parse_page_address(url)
    tags = await service.tag(resources.openml, uploader, dataset_id, body.tag)
    await tell_indices(resources.database, "data", dataset_id)
    return TaggedResponse(id=dataset_id, tags=tags)


@router.post("/data-untag", responses=declare(*READING, *BODY_PROBLEMS))
@opened_by(Scope.EDIT)
async def untag_dataset(
    url: Url, body: TagRequest, uploader: UploaderDep, resources: ResourcesDep
) -> UntaggedResponse:
    """Remove a tag of a dataset, which is for whoever set it."""
    await resources.limits.hit(Hit("openml-account", str(uploader.id)))
    dataset_id = service.parse_page_address(url)
    tags = await service.untag(resources.openml, uploader, dataset_id, body.tag)
    await tell_indices(resources.database, "data", dataset_id)
    return UntaggedResponse(id=dataset_id, tags=tags)
