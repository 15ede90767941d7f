"""Uploads as resources, their bytes: begun, sent in as many requests as the line needs, given up."""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response, status

from app.core.bodies import BoundedRoute, reads_body
from app.core.components import headers
from app.core.errors import (
    BodyStalledError,
    BodyTooLargeError,
    MalformedBodyError,
    NotFoundError,
    ProblemError,
    TooBusyError,
    TooManyRequestsError,
    UnauthorizedError,
    ValidationFailedError,
)
from app.core.http import declare
from app.core.limits import Hit, hits_from
from app.core.scopes import Scope, opened_by
from app.db.upload_states import EXPIRE_HOURS
from app.db.upload_values import Upload
from app.deps import ClientDep, CountedUploaderDep, ResourcesDep, SessionDep, SettingsDep
from app.openml.fields import is_api_key
from app.openml.problems import ApiKeyMissingError
from app.resources import Resources
from app.storage.problems import StorageFullError, StorageUnavailableError
from app.uploads import ietf, service, stopping, tus
from app.uploads import status as upload_status
from app.uploads.append import (
    Appender,
    Chunk,
    has_all_bytes,
    is_gone,
    let_earlier_end,
    require_nothing,
)
from app.uploads.bodies import (
    HEADER_PROBLEMS,
    hanging_up,
    location_of,
    read_chunk,
    read_creation,
    read_first_chunk,
    read_json,
    require_understood,
    status_headers,
)
from app.uploads.concatenation import join_parts
from app.uploads.creation import Created, Creation, begin_upload
from app.uploads.described import ASK, CREATE, GREETING, SEND, STATUS_HEADERS
from app.uploads.dialects import dialect_of, fields_of
from app.uploads.problems import (
    ChecksumMismatchError,
    DigestMismatchError,
    FormatNotSupportedError,
    IdempotencyKeyReusedError,
    InconsistentLengthError,
    JoinedUploadError,
    OffsetMismatchError,
    QuotaExceededError,
    UploadCompletedError,
    UploadGoneError,
    UploadStateError,
)
from app.uploads.routes_resources import describe_changed
from app.uploads.schemas import UploadDetailResponse

router = APIRouter(
    prefix="/uploads",
    tags=["uploads"],
    dependencies=[Depends(require_understood)],
    responses=declare(*HEADER_PROBLEMS),
    route_class=BoundedRoute,
)
BEGIN_PROBLEMS = (
    *HEADER_PROBLEMS,
    MalformedBodyError,
    UnauthorizedError,
    ApiKeyMissingError,
    UploadStateError,
    BodyStalledError,
    BodyTooLargeError,
    QuotaExceededError,
    FormatNotSupportedError,
    ValidationFailedError,
    IdempotencyKeyReusedError,
    TooManyRequestsError,
    TooBusyError,
    StorageFullError,
    StorageUnavailableError,
)
BYTES_PROBLEMS = (
    JoinedUploadError,
    DigestMismatchError,
    InconsistentLengthError,
    UploadCompletedError,
    NotFoundError,
    OffsetMismatchError,
    UploadGoneError,
    ChecksumMismatchError,
)


def _declare(*kinds: type[ProblemError]) -> dict[int | str, dict[str, Any]]:
    """Declare the problems of a route that takes bytes; `UploadsMiddleware` answers bodies that are too large."""
    answers = declare(*kinds)
    answers[BodyTooLargeError.status]["headers"] |= headers("Upload-Limit")
    return answers


@router.options(
    "",
    status_code=status.HTTP_204_NO_CONTENT,
    responses={status.HTTP_204_NO_CONTENT: {"headers": GREETING}},
)
@router.options("/{upload_id}", status_code=status.HTTP_204_NO_CONTENT, include_in_schema=False)
async def get_upload_options(settings: SettingsDep, response: Response) -> None:
    """Say which ways of sending a file in many requests there are, and how large it may be."""
    lifetime = EXPIRE_HOURS * 3600
    response.headers.update(tus.greeting(settings.upload_max_bytes))
    response.headers.update(ietf.greeting(settings.upload_max_bytes, lifetime))


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    openapi_extra=CREATE,
    responses={
        status.HTTP_200_OK: {
            "model": UploadDetailResponse,
            "description": "It was begun before: with this key, or as the same file under the same name.",
            "headers": headers("Location"),
        },
        status.HTTP_201_CREATED: {"headers": {**headers("Location"), **STATUS_HEADERS}},
        **_declare(
            *BEGIN_PROBLEMS,
            DigestMismatchError,
            InconsistentLengthError,
            ChecksumMismatchError,
            JoinedUploadError,
            NotFoundError,
            UploadGoneError,
        ),
    },
)
@reads_body
@opened_by(Scope.UPLOAD)
async def create_upload(
    request: Request,
    uploader: CountedUploaderDep,
    resources: ResourcesDep,
    client: ClientDep,
    response: Response,
) -> UploadDetailResponse:
    """Begin an upload; its bytes follow with `PATCH`, in as many requests as it takes (tus 1.0 or the IETF's draft)."""
    dialect = dialect_of(fields_of(request.headers))
    if not is_api_key(uploader.api_key):
        raise ApiKeyMissingError
    await resources.limits.hit(Hit("upload-account", str(uploader.id)), *hits_from("upload-address", client))
    creation = await read_creation(request, dialect)
    chunk = read_first_chunk(request, resources.settings, dialect)
    if chunk and creation.partial_ids:
        raise JoinedUploadError
    upload, is_new, described = await _begin(resources, uploader.id, creation)
    if is_new and chunk:
        await _append_first(resources, upload, chunk, is_named=creation.idempotency_key is not None)
        async with resources.database.session() as session:
            upload = await stopping.find_upload(session, user_id=uploader.id, upload_id=upload.id)
            described = await upload_status.describe_upload(
                session, resources.openml, user_id=uploader.id, upload_id=upload.id
            )
    response.headers["Location"] = location_of(request, resources.settings, upload.id)
    if not is_new:
        response.status_code = status.HTTP_200_OK if dialect is None else status.HTTP_201_CREATED
    if dialect:
        response.headers.update(status_headers(upload, dialect, resources.settings, resources.database.now()))
    return described


async def _begin(resources: Resources, user_id: int, creation: Creation) -> Created:
    database, settings = resources.database, resources.settings
    checks, openml = resources.checks, resources.openml
    await resources.store.require()
    if creation.partial_ids:
        return await join_parts(database, settings, checks, openml, user_id=user_id, creation=creation)
    return await begin_upload(
        database, resources.storage, settings, checks, openml, user_id=user_id, creation=creation
    )


def _appender(resources: Resources) -> Appender:
    return Appender(
        resources.database,
        resources.storage,
        resources.settings,
        resources.receive_limit,
        resources.active_writers,
    )


async def _append_first(resources: Resources, upload: Upload, chunk: Chunk, *, is_named: bool) -> None:
    """Take the bytes that begin an upload; if they are refused it was never begun, unless its key finds it again."""
    try:
        await _appender(resources).append(upload, chunk)
    except ProblemError:
        if not is_named:
            await stopping.cancel_upload(
                resources.database, resources.storage, user_id=upload.user_id, upload_id=upload.id
            )
        raise


@router.head(
    "/{upload_id}",
    response_class=Response,
    openapi_extra=ASK,
    responses={
        status.HTTP_200_OK: {"description": "To tus.", "headers": STATUS_HEADERS},
        status.HTTP_204_NO_CONTENT: {"description": "To everybody else.", "headers": STATUS_HEADERS},
        **declare(UnauthorizedError, NotFoundError, UploadGoneError),
    },
)
@opened_by(Scope.READ, Scope.UPLOAD)
async def get_upload_offset(
    upload_id: str,
    request: Request,
    uploader: CountedUploaderDep,
    resources: ResourcesDep,
    session: SessionDep,
) -> Response:
    """Say how many bytes are safe here: where to go on."""
    dialect = dialect_of(fields_of(request.headers)) or "ietf"
    await let_earlier_end(resources.active_writers, user_id=uploader.id, upload_id=upload_id)
    upload = await stopping.find_upload(session, user_id=uploader.id, upload_id=upload_id)
    if is_gone(upload, resources.database.now()):
        raise UploadGoneError
    code = status.HTTP_200_OK if dialect == "tus" else status.HTTP_204_NO_CONTENT
    return Response(
        status_code=code,
        headers=status_headers(upload, dialect, resources.settings, resources.database.now()),
    )


@router.patch(
    "/{upload_id}",
    response_model=UploadDetailResponse,
    openapi_extra=SEND,
    responses={
        status.HTTP_204_NO_CONTENT: {
            "description": "The bytes are safe; `Upload-Offset` says how many there are.",
            "headers": STATUS_HEADERS,
        },
        **_declare(*BEGIN_PROBLEMS, *BYTES_PROBLEMS),
    },
)
@reads_body
@opened_by(Scope.UPLOAD)
async def change_upload(
    upload_id: str, request: Request, uploader: CountedUploaderDep, resources: ResourcesDep
) -> UploadDetailResponse | Response:
    """Send bytes of the file from `Upload-Offset` on; or, as JSON, change what is said of the dataset."""
    dialect = dialect_of(fields_of(request.headers))
    if dialect is None:
        changes = await read_json(request)
        judging = service.Judging(resources.database, resources.storage, resources.checks, resources.changes)
        await service.change_metadata(
            judging,
            user_id=uploader.id,
            upload_id=upload_id,
            changes=changes,
        )
        return await describe_changed(resources, user_id=uploader.id, upload_id=upload_id)
    chunk = read_chunk(request, resources.settings, dialect)
    await let_earlier_end(resources.active_writers, user_id=uploader.id, upload_id=upload_id)
    async with resources.database.session() as session:
        upload = await stopping.find_upload(session, user_id=uploader.id, upload_id=upload_id)
    await resources.limits.hit(Hit("chunk-account", str(uploader.id)))
    with hanging_up():
        if upload.joined_from:
            raise JoinedUploadError
        if dialect == "tus" and has_all_bytes(upload):
            await require_nothing(upload, chunk)
        else:
            await resources.store.require()
            await _appender(resources).append(upload, chunk)
    async with resources.database.session() as session:
        upload = await stopping.find_upload(session, user_id=uploader.id, upload_id=upload_id)
    return Response(
        status_code=status.HTTP_204_NO_CONTENT,
        headers=status_headers(upload, dialect, resources.settings, resources.database.now()),
    )


@router.delete(
    "/{upload_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    response_class=Response,
    openapi_extra=ASK,
    responses={
        status.HTTP_202_ACCEPTED: {
            "description": "It is being sent to OpenML right now, and stops only if that fails."
        },
        **declare(
            UnauthorizedError, NotFoundError, UploadStateError, UploadGoneError, StorageUnavailableError
        ),
    },
)
@opened_by(Scope.UPLOAD)
async def cancel_upload(upload_id: str, uploader: CountedUploaderDep, resources: ResourcesDep) -> Response:
    """Stop an upload that OpenML does not have yet, and remove its bytes."""
    await let_earlier_end(resources.active_writers, user_id=uploader.id, upload_id=upload_id)
    stopped = await stopping.cancel_upload(
        resources.database, resources.storage, user_id=uploader.id, upload_id=upload_id
    )
    return Response(status_code=status.HTTP_204_NO_CONTENT if stopped else status.HTTP_202_ACCEPTED)
