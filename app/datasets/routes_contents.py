"""Routes to what the file of a dataset holds: statistics, rows, other formats."""

import asyncio
from pathlib import Path as PathOnDisk
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response

from app.core.bodies import BoundedRoute
from app.core.components import headers
from app.core.errors import (
    BadRequestError,
    NotFoundError,
    TooBusyError,
    TooManyRequestsError,
    ValidationFailedError,
)
from app.core.http import declare
from app.core.limits import hits_from
from app.core.scopes import Scope, opened_by
from app.datasets.contents import MEDIA_TYPES, file_name, read_statistics
from app.datasets.schemas_contents import ComputingResponse, Filter, Name, RowsResponse, StatisticsResponse
from app.deps import ClientDep, LimitsDep, ResourcesDep, ViewingAccountDep
from app.openml.problems import NotYoursError, OpenMLAnswerBrokenError, OpenMLUnreachableError
from app.openml.records import DatasetFile
from app.published.problems import DatasetNotReadableError, DatasetTooLargeError
from app.published.service import NotYetError, PublishedFiles
from app.storage.problems import StorageFullError
from app.tabular.statistics.requests import MOST_CELLS, MOST_COLUMNS, ExportFormat, Operator, Page

router = APIRouter(tags=["datasets"], route_class=BoundedRoute)
RETRY_SECONDS, WAITED_RETRY_SECONDS = 2, 60
DOWNLOAD_TRIES, DOWNLOAD_PAUSE = 26, 0.3
"""How often it is looked whether a download is made, every so many seconds: mlcroissant waits ten for an answer."""
MOST_TURNS = 9
"""How often who waits for a download is sent to wait once more; Python's urllib follows ten redirects."""
MOST_STATISTICS, MOST_ROWS = 1000, 1000
_COMPUTING: dict[int | str, dict[str, Any]] = {
    202: {
        "model": ComputingResponse,
        "description": "It is being computed",
        "headers": headers("Retry-After", "Cache-Control"),
    }
}
_WAITING: dict[int | str, dict[str, Any]] = {
    307: {"description": "It is being made; wait on there", "headers": headers("Location", "Cache-Control")}
}
_FILE: dict[str, Any] = {
    "description": "The file; parts of it can be asked for",
    "headers": headers("Accept-Ranges", "Cache-Control", "Content-Disposition", "ETag", "Last-Modified"),
    "content": {
        kind.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
        for kind in MEDIA_TYPES.values()
    },
}
_PROBLEMS = declare(
    BadRequestError,
    ValidationFailedError,
    NotYoursError,
    NotFoundError,
    DatasetNotReadableError,
    DatasetTooLargeError,
    TooManyRequestsError,
    OpenMLAnswerBrokenError,
    OpenMLUnreachableError,
    TooBusyError,
    StorageFullError,
)
_INERT = {"Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'"}


class AskedFile(NamedTuple):
    """The file that is asked about, and the key of who asks."""

    file: DatasetFile
    api_key: str | None


async def find_file(
    dataset_id: Annotated[int, Path(ge=1, le=2**31 - 1)],
    client: ClientDep,
    limits: LimitsDep,
    resources: ResourcesDep,
    viewer: ViewingAccountDep,
) -> AskedFile:
    """Count a request against its network, and return the file, as far as OpenML shows it to who asks."""
    await limits.hit(*hits_from("contents-address", client))
    key = viewer.api_key if viewer else None
    return AskedFile(await resources.published.locate(dataset_id, key), key)


@router.get(
    "/datasets/{dataset_id}/statistics",
    responses={
        200: {"model": StatisticsResponse, "headers": headers("ETag", "Cache-Control")},
        **_COMPUTING,
        **_PROBLEMS,
    },
)
@opened_by(Scope.READ)
async def get_statistics(
    asked: Annotated[AskedFile, Depends(find_file)],
    request: Request,
    resources: ResourcesDep,
    *,
    offset: Annotated[int, Query(ge=0, le=10**6, description="Columns that are skipped.")] = 0,
    limit: Annotated[int, Query(ge=0, le=MOST_STATISTICS, description="Columns, at most.")] = MOST_STATISTICS,
) -> Response:
    """Return statistics of a dataset's file; while they are computed for the first time, 202."""
    file, key = asked
    try:
        path = await resources.published.statistics(file, key)
    except NotYetError:
        return _not_yet()
    validators = _validators(file, f"{offset}-{limit}")
    if validators["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=validators)
    document = await resources.checks.run(read_statistics, path, file, offset=offset, limit=limit)
    return Response(document, media_type="application/json", headers=validators)


@router.get(
    "/datasets/{dataset_id}/rows",
    responses={200: {"model": RowsResponse, "headers": headers("Cache-Control")}, **_COMPUTING, **_PROBLEMS},
)
@opened_by(Scope.READ)
async def get_rows(
    asked: Annotated[AskedFile, Depends(find_file)],
    resources: ResourcesDep,
    *,
    offset: Annotated[int, Query(ge=0, le=10**12, description="Rows that are skipped.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS, description="Rows, at most.")] = 20,
    columns: Annotated[
        list[Name] | None,
        Query(max_length=MOST_COLUMNS, description="Names of the columns; the first hundred by default."),
    ] = None,
    sort: Annotated[Name, Query(description="A column's name, behind a minus for the largest first.")] = "",
    filter: Annotated[Name, Query(description="The name of a column that is compared.")] = "",  # noqa: A002 - the field's name
    operator: Annotated[Operator, Query(description="How.")] = "eq",
    value: Annotated[Filter, Query(description="With what.")] = "",
) -> Response:
    """Return rows of a dataset's file, in its order or sorted by a column; 202 until statistics are computed."""
    file, key = asked
    if limit * len(columns or ()) > MOST_CELLS:
        raise BadRequestError(f"Ask for at most {MOST_CELLS} cells: fewer rows, or fewer columns.")
    page = Page(
        offset=offset,
        limit=limit,
        columns=tuple(columns or ()),
        sort=sort.removeprefix("-"),
        descending=sort.startswith("-"),
        column=filter,
        operator=operator,
        value=value,
    )
    try:
        found = await resources.published.rows(file, page, key)
    except NotYetError:
        return _not_yet()
    return JSONResponse(found, headers={"Cache-Control": _caching(file)})


@router.get(
    "/datasets/{dataset_id}/download",
    response_class=FileResponse,
    responses={200: _FILE, **_WAITING, **_PROBLEMS},
)
@opened_by(Scope.READ)
async def download_dataset(
    asked: Annotated[AskedFile, Depends(find_file)],
    resources: ResourcesDep,
    *,
    format: Annotated[ExportFormat, Query(description="Of the file.")] = "csv",  # noqa: A002 - the field's name
    turn: Annotated[int, Query(ge=0, le=MOST_TURNS, description="Counts redirects; leave it out.")] = 0,
) -> Response:
    """Return a dataset's file in another format. While it is made, redirects to here: who follows them waits for it."""
    return await _download(asked, resources, format, turn)


@router.get(
    "/tasks/{task_id}/splits",
    response_class=FileResponse,
    responses={200: _FILE, **_WAITING, **_PROBLEMS},
)
@opened_by(Scope.READ)
async def download_splits(
    task_id: Annotated[int, Path(ge=1, le=2**31 - 1)],
    client: ClientDep,
    limits: LimitsDep,
    resources: ResourcesDep,
    *,
    format: Annotated[ExportFormat, Query(description="Of the file.")] = "csv",  # noqa: A002 - the field's name
    turn: Annotated[int, Query(ge=0, le=MOST_TURNS, description="Counts redirects; leave it out.")] = 0,
) -> Response:
    """Return which rows of the dataset a task trains and tests with; redirects as a download of the dataset does."""
    await limits.hit(*hits_from("contents-address", client))
    file = await resources.published.locate_splits(task_id)
    return await _download(AskedFile(file, None), resources, format, turn)


async def _download(asked: AskedFile, resources: ResourcesDep, kind: ExportFormat, turn: int) -> Response:
    file, key = asked
    path = await _exported(resources.published, file, kind, key)
    if path is None:
        if turn == MOST_TURNS:
            raise TooBusyError(retry_after_seconds=WAITED_RETRY_SECONDS)
        again = f"?format={kind}&turn={turn + 1}"
        return RedirectResponse(again, status_code=307, headers={"Cache-Control": "no-store"})
    fields = _validators(file, kind) | _INERT
    return FileResponse(path, media_type=MEDIA_TYPES[kind], filename=file_name(file, kind), headers=fields)


async def _exported(
    published: PublishedFiles, file: DatasetFile, kind: ExportFormat, api_key: str | None
) -> PathOnDisk | None:
    """Return the file once it is made; None if that takes longer than programs wait for an answer."""
    for _ in range(DOWNLOAD_TRIES):
        try:
            return await published.export(file, kind, api_key)
        except NotYetError:
            await asyncio.sleep(DOWNLOAD_PAUSE)
    return None


def _not_yet() -> JSONResponse:
    passing = {"Retry-After": str(RETRY_SECONDS), "Cache-Control": "no-store"}
    return JSONResponse(ComputingResponse().model_dump(), status_code=202, headers=passing)


def _validators(file: DatasetFile, part: str) -> dict[str, str]:
    return {"ETag": f'"{file.dataset_id}-{file.md5}-{part}"', "Cache-Control": _caching(file)}


def _caching(file: DatasetFile) -> str:
    return "private, no-cache" if file.private else "no-cache"
