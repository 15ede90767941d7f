"""Uploads as resources: listed, shown, published, tried again, previewed, watched."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response, status
from fastapi.sse import EventSourceResponse

from app.core.bodies import BoundedRoute, reads_body
from app.core.errors import (
    MalformedBodyError,
    NotFoundError,
    TooBusyError,
    TooManyRequestsError,
    UnauthorizedError,
    ValidationFailedError,
)
from app.core.http import declare
from app.core.scopes import Scope, opened_by
from app.db.upload_states import ENDED, UploadState
from app.deps import CountedUploaderDep, ResourcesDep, SessionDep, is_signed_in
from app.openml.problems import (
    ApiKeyMissingError,
    DatasetRefusedError,
    OpenMLRefusedError,
    OpenMLUnreachableError,
)
from app.resources import Resources
from app.storage.problems import BytesLostError, StorageUnavailableError
from app.uploads import service, stopping
from app.uploads import status as upload_status
from app.uploads.bodies import HEADER_PROBLEMS, read_json, require_understood
from app.uploads.croissant import describe_draft
from app.uploads.described import CHANGE, EVENTS, FOLLOW
from app.uploads.event_stream import last_seen, look, stream_events
from app.uploads.mending import mend
from app.uploads.preview import show_preview
from app.uploads.problems import UploadGoneError, UploadStateError
from app.uploads.schemas import (
    PreviewResponse,
    UploadDetailResponse,
    UploadsResponse,
)

router = APIRouter(
    prefix="/uploads",
    tags=["uploads"],
    dependencies=[Depends(require_understood)],
    responses=declare(*HEADER_PROBLEMS),
    route_class=BoundedRoute,
)
PAGE_LENGTH = 100
PREVIEW_LENGTH = 200
MOST_POSITIONS = 1_000_000


@router.get("", responses=declare(UnauthorizedError, NotFoundError, ValidationFailedError))
@opened_by(Scope.READ, Scope.UPLOAD)
async def list_uploads(
    *,
    uploader: CountedUploaderDep,
    resources: ResourcesDep,
    session: SessionDep,
    limit: Annotated[int, Query(ge=1, le=PAGE_LENGTH)] = 25,
    before: Annotated[str | None, Query(max_length=32, description="The `next` of the page before.")] = None,
    state: Annotated[
        list[UploadState] | None,
        Query(max_length=len(UploadState), description="Only those in these states."),
    ] = None,
) -> UploadsResponse:
    """List one's uploads with their states, newest first."""
    return await upload_status.list_uploads(
        session, resources.openml, user_id=uploader.id, limit=limit, before=before, states=state or []
    )


@router.get("/{upload_id}", responses=declare(UnauthorizedError, NotFoundError))
@opened_by(Scope.READ, Scope.UPLOAD)
async def get_upload(
    upload_id: str, uploader: CountedUploaderDep, resources: ResourcesDep, session: SessionDep
) -> UploadDetailResponse:
    """Return one upload: its state, its description, and every step so far."""
    return await upload_status.describe_upload(
        session, resources.openml, user_id=uploader.id, upload_id=upload_id
    )


@router.post(
    "/{upload_id}/publish",
    status_code=status.HTTP_202_ACCEPTED,
    openapi_extra=CHANGE,
    responses=declare(
        UnauthorizedError,
        NotFoundError,
        UploadStateError,
        UploadGoneError,
        *HEADER_PROBLEMS,
        MalformedBodyError,
        ValidationFailedError,
        DatasetRefusedError,
    ),
)
@reads_body
@opened_by(Scope.UPLOAD)
async def publish_upload(
    upload_id: str, request: Request, uploader: CountedUploaderDep, resources: ResourcesDep
) -> UploadDetailResponse:
    """Let an upload go to OpenML, now or as soon as its bytes are in; the description may change once more with it."""
    changes = await read_json(request)
    await service.publish_upload(
        _judging(resources),
        user_id=uploader.id,
        upload_id=upload_id,
        changes=changes,
    )
    return await describe_changed(resources, user_id=uploader.id, upload_id=upload_id)


@router.post(
    "/{upload_id}/retry",
    status_code=status.HTTP_202_ACCEPTED,
    openapi_extra=CHANGE,
    responses=declare(
        UnauthorizedError,
        NotFoundError,
        UploadStateError,
        *HEADER_PROBLEMS,
        MalformedBodyError,
        ValidationFailedError,
        DatasetRefusedError,
        ApiKeyMissingError,
        OpenMLRefusedError,
        OpenMLUnreachableError,
    ),
)
@reads_body
@opened_by(Scope.UPLOAD)
async def retry_upload(
    upload_id: str, request: Request, uploader: CountedUploaderDep, resources: ResourcesDep
) -> UploadDetailResponse:
    """Try a failed upload again with the bytes that are here, and perhaps another description.

    So goes on, with `allow_duplicate` or another name, what its owner looked at and then was a duplicate. Where OpenML
    has it and could not process it, the dataset's description is changed there, and it is processed once more.
    """
    changes = await read_json(request)
    judging = _judging(resources)
    if not await mend(judging, resources.openml, uploader, upload_id=upload_id, changes=changes):
        await service.retry_upload(judging, user_id=uploader.id, upload_id=upload_id, changes=changes)
    return await describe_changed(resources, user_id=uploader.id, upload_id=upload_id)


@router.get(
    "/{upload_id}/preview",
    responses=declare(
        UnauthorizedError,
        NotFoundError,
        UploadStateError,
        UploadGoneError,
        ValidationFailedError,
        StorageUnavailableError,
        BytesLostError,
    ),
)
@opened_by(Scope.READ, Scope.UPLOAD)
async def get_upload_preview(
    *,
    upload_id: str,
    uploader: CountedUploaderDep,
    resources: ResourcesDep,
    first: Annotated[int, Query(ge=0, le=MOST_POSITIONS, description="Skip so many columns.")] = 0,
    columns: Annotated[int, Query(ge=1, le=PREVIEW_LENGTH, description="Give at most so many.")] = 200,
    search: Annotated[
        str, Query(max_length=200, description="Only columns with this in their name, in any case.")
    ] = "",
) -> PreviewResponse:
    """Say of each column what it would be published as and why, what else it could be, and what is in it."""
    async with resources.database.session() as session:
        upload = await stopping.find_upload(session, user_id=uploader.id, upload_id=upload_id)
    return await show_preview(
        resources.storage, resources.checks, upload, first=first, columns=columns, search=search
    )


@router.get(
    "/{upload_id}/croissant",
    response_class=Response,
    responses={
        status.HTTP_200_OK: {
            "description": "The dataset as Croissant 1.1 (JSON-LD).",
            "content": {"application/ld+json": {"schema": {"type": "object"}}},
        },
        **declare(
            UnauthorizedError,
            NotFoundError,
            UploadStateError,
            UploadGoneError,
            StorageUnavailableError,
            BytesLostError,
        ),
    },
)
@opened_by(Scope.READ, Scope.UPLOAD)
async def get_upload_croissant(
    upload_id: str, uploader: CountedUploaderDep, resources: ResourcesDep
) -> Response:
    """Describe a draft as Croissant, for programs that read its file from beside the description."""
    async with resources.database.session() as session:
        upload = await stopping.find_upload(session, user_id=uploader.id, upload_id=upload_id)
    address = f"{resources.settings.site_url}/dashboard/data-upload?uuid={upload.id}"
    body = await describe_draft(resources.storage, resources.checks, upload, address=address)
    return Response(body, media_type="application/ld+json")


@router.get(
    "/{upload_id}/events",
    response_class=Response,
    openapi_extra=FOLLOW,
    responses={
        status.HTTP_200_OK: EVENTS,
        status.HTTP_204_NO_CONTENT: {"description": "Nothing more will happen, and you have seen all of it."},
        **declare(UnauthorizedError, NotFoundError, TooManyRequestsError, TooBusyError),
    },
)
@opened_by(Scope.READ, Scope.UPLOAD)
async def watch_upload(
    upload_id: str, request: Request, uploader: CountedUploaderDep, resources: ResourcesDep
) -> Response:
    """Follow an upload as server-sent events: `state` for each step, `upload` whenever anything has changed."""
    after = last_seen(request.headers.get("last-event-id"))
    upload, events = await look(
        resources.database, resources.openml, user_id=uploader.id, upload_id=upload_id
    )
    if upload.state in ENDED and events and events[-1].id <= after:
        return Response(status_code=status.HTTP_204_NO_CONTENT)
    story = stream_events(
        resources.database,
        resources.openml,
        resources.watched,
        resources.stream_limit,
        user_id=uploader.id,
        upload_id=upload_id,
        after=after,
        is_signed_in=partial(is_signed_in, request, uploader),
        is_to_end=lambda: resources.leaving.ends_streams,
    )
    # The first event is made before the answer begins: whoever is one too many is told so properly.
    first = await anext(story)
    return EventSourceResponse(_joined(first, story), headers={"X-Accel-Buffering": "no"})


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for event in rest:
        yield event


def _judging(resources: Resources) -> service.Judging:
    return service.Judging(resources.database, resources.storage, resources.checks, resources.changes)


async def describe_changed(resources: Resources, *, user_id: int, upload_id: str) -> UploadDetailResponse:
    """Return an upload that a unit of work has just changed, as it stands now."""
    async with resources.database.session() as session:
        return await upload_status.describe_upload(
            session, resources.openml, user_id=user_id, upload_id=upload_id
        )
