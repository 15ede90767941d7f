"""Uploads as resources, their bytes: begun, sent in as many requests as the line needs, given up."""

from fastapi import APIRouter, Request, Response, status

from app.core.errors import (
    ApiKeyMissingError,
    BadRequestError,
    BodyStalledError,
    BodyTooLargeError,
    ChecksumMismatchError,
    DigestMismatchError,
    FormatNotSupportedError,
    IdempotencyKeyReusedError,
    InconsistentLengthError,
    MalformedBodyError,
    MediaTypeNotSupportedError,
    NotFoundError,
    OffsetMismatchError,
    QuotaExceededError,
    StorageFullError,
    TooBusyError,
    TooManyRequestsError,
    TusVersionError,
    UnauthorizedError,
    UploadCompletedError,
    UploadGoneError,
    UploadStateError,
    ValidationFailedError,
)
from app.core.http import declare
from app.core.limits import Hit
from app.db.uploads import UploadState
from app.deps import ResourcesDep, SessionDep, SettingsDep, UploaderDep, VisitorDep
from app.openml.client import is_api_key
from app.resources import Resources
from app.upload import dialects, service
from app.upload import status as upload_status
from app.upload.append import append, let_earlier_end, says_nothing_new
from app.upload.bodies import hanging_up, has_bytes, read_chunk, read_creation, read_json, spoken, standing
from app.upload.creation import begin_upload
from app.upload.dialects import IETF_BYTES, TUS_BYTES, TUS_VERSION, Dialect
from app.upload.schemas import (
    DraftMetadata,
    UploadDetailResponse,
    UploadRequest,
)

router = APIRouter(prefix="/uploads", tags=["uploads"])
CREATE = {
    "requestBody": {
        "required": False,
        "content": {"application/json": {"schema": UploadRequest.model_json_schema()}},
    },
    "parameters": [
        {
            "name": "Repr-Digest",
            "in": "header",
            "schema": {"type": "string"},
            "description": "`sha-256=:…:` of the whole file (RFC 9530); what arrives is compared with it.",
        },
        {
            "name": "Idempotency-Key",
            "in": "header",
            "schema": {"type": "string", "maxLength": 255},
            "description": "A request that is sent again with the same key is the same upload.",
        },
    ],
}
BYTES = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": DraftMetadata.model_json_schema()},
            TUS_BYTES: {"schema": {"type": "string", "format": "binary"}},
            IETF_BYTES: {"schema": {"type": "string", "format": "binary"}},
        },
    },
}
BEGIN_PROBLEMS = (
    BadRequestError,
    MalformedBodyError,
    UnauthorizedError,
    ApiKeyMissingError,
    UploadStateError,
    TusVersionError,
    BodyStalledError,
    BodyTooLargeError,
    QuotaExceededError,
    FormatNotSupportedError,
    MediaTypeNotSupportedError,
    ValidationFailedError,
    IdempotencyKeyReusedError,
    TooManyRequestsError,
    TooBusyError,
    StorageFullError,
)
BYTES_PROBLEMS = (
    DigestMismatchError,
    InconsistentLengthError,
    UploadCompletedError,
    NotFoundError,
    OffsetMismatchError,
    UploadGoneError,
    ChecksumMismatchError,
)


@router.options("", status_code=status.HTTP_204_NO_CONTENT)
@router.options("/{upload_id}", status_code=status.HTTP_204_NO_CONTENT, include_in_schema=False)
async def get_upload_options(settings: SettingsDep, response: Response) -> None:
    """Say which ways of sending a file in many requests there are, and how large it may be."""
    response.headers.update(
        dialects.greeting(settings.upload_max_bytes, int(settings.upload_expire_hours * 3600))
    )


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    openapi_extra=CREATE,
    responses={
        status.HTTP_200_OK: {
            "model": UploadDetailResponse,
            "description": "It was begun before: with this key, or as the same file under the same name.",
        },
        **declare(*BEGIN_PROBLEMS, DigestMismatchError, InconsistentLengthError, ChecksumMismatchError),
    },
)
async def create_upload(
    request: Request, uploader: UploaderDep, resources: ResourcesDep, visitor: VisitorDep, response: Response
) -> UploadDetailResponse:
    """Begin an upload; its bytes follow with `PATCH`, in as many requests as it takes (tus 1.0 or the IETF's draft)."""
    dialect = dialects.dialect_of(request.headers)
    with spoken(dialect):
        if not is_api_key(uploader.api_key):
            raise ApiKeyMissingError
        await resources.limits.hit(
            Hit("upload-account", str(uploader.id)), Hit("upload-address", visitor.network)
        )
        creation = await read_creation(request, dialect)
        upload, is_new = await begin_upload(resources, user_id=uploader.id, creation=creation)
        if is_new and dialect and has_bytes(request, dialect):
            await append(resources, upload, read_chunk(request, resources, dialect, offset=0))
    response.headers["Location"] = f"/uploads/{upload.id}"
    if not is_new:
        response.status_code = status.HTTP_200_OK if dialect is None else status.HTTP_201_CREATED
    async with resources.database.session() as session:
        if dialect:
            upload = await service.find_upload(session, user_id=uploader.id, upload_id=upload.id)
            response.headers.update(standing(upload, dialect, resources))
        return await upload_status.describe_upload(
            session, resources.openml, user_id=uploader.id, upload_id=upload.id
        )


@router.head(
    "/{upload_id}",
    responses={
        status.HTTP_204_NO_CONTENT: {"description": "`Upload-Offset` says how many bytes there are."},
        **declare(UnauthorizedError, NotFoundError, TusVersionError, UploadGoneError),
    },
)
async def get_upload_offset(
    upload_id: str, request: Request, uploader: UploaderDep, resources: ResourcesDep, session: SessionDep
) -> Response:
    """Say how many bytes are safe here: where to go on."""
    dialect: Dialect = "tus" if "tus-resumable" in request.headers else "ietf"
    with spoken(dialect):
        if dialect == "tus":
            dialects.require_tus_version(request.headers)
        await let_earlier_end(resources, user_id=uploader.id, upload_id=upload_id)
        upload = await service.find_upload(session, user_id=uploader.id, upload_id=upload_id)
        if upload.state == UploadState.CANCELLED or (
            upload.state == UploadState.FAILED and upload.received_sha256 is None
        ):
            raise UploadGoneError
    code = status.HTTP_200_OK if dialect == "tus" else status.HTTP_204_NO_CONTENT
    return Response(status_code=code, headers=standing(upload, dialect, resources))


@router.patch(
    "/{upload_id}",
    response_model=UploadDetailResponse,
    openapi_extra=BYTES,
    responses={
        status.HTTP_204_NO_CONTENT: {
            "description": "The bytes are safe; `Upload-Offset` says how many there are."
        },
        **declare(*BEGIN_PROBLEMS, *BYTES_PROBLEMS),
    },
)
async def change_upload(
    upload_id: str, request: Request, uploader: UploaderDep, resources: ResourcesDep
) -> UploadDetailResponse | Response:
    """Send bytes of the file from `Upload-Offset` on; or, as JSON, change what is said of the dataset."""
    dialect = dialects.dialect_of(request.headers)
    if dialect is None:
        changes = await read_json(request)
        await service.change_metadata(resources, user_id=uploader.id, upload_id=upload_id, changes=changes)
        return await upload_status.show_upload(resources, user_id=uploader.id, upload_id=upload_id)
    return await _take_bytes(upload_id, request, uploader.id, resources, dialect)


async def _take_bytes(
    upload_id: str, request: Request, user_id: int, resources: Resources, dialect: Dialect
) -> Response:
    with spoken(dialect):
        if dialect == "tus":
            dialects.require_tus_version(request.headers)
        wanted = TUS_BYTES if dialect == "tus" else IETF_BYTES
        if dialects.media_type(request.headers) != wanted:
            raise MediaTypeNotSupportedError(f"Send the bytes as {wanted}.", headers={"Accept-Patch": wanted})
        await let_earlier_end(resources, user_id=user_id, upload_id=upload_id)
        async with resources.database.session() as session:
            upload = await service.find_upload(session, user_id=user_id, upload_id=upload_id)
        await resources.limits.hit(Hit("chunk-account", str(user_id)))
        chunk = read_chunk(request, resources, dialect, offset=dialects.read_offset(request.headers))
        if dialect != "tus" or not says_nothing_new(upload, chunk):
            with hanging_up():
                await append(resources, upload, chunk)
            async with resources.database.session() as session:
                upload = await service.find_upload(session, user_id=user_id, upload_id=upload_id)
    return Response(status_code=status.HTTP_204_NO_CONTENT, headers=standing(upload, dialect, resources))


@router.post("/{upload_id}", include_in_schema=False, response_model=None)
async def override_method(
    upload_id: str, request: Request, uploader: UploaderDep, resources: ResourcesDep
) -> Response:
    """Serve clients whose network lets neither PATCH nor DELETE through (tus: `X-HTTP-Method-Override`)."""
    wanted = request.headers.get("x-http-method-override", "").upper()
    if wanted == "PATCH":
        return await _take_bytes(upload_id, request, uploader.id, resources, "tus")
    if wanted == "DELETE":
        return await cancel_upload(upload_id, request, uploader, resources)
    raise BadRequestError("Say with `X-HTTP-Method-Override` what to do: PATCH or DELETE.")


@router.delete(
    "/{upload_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    response_class=Response,
    responses={
        status.HTTP_202_ACCEPTED: {
            "description": "It is being sent to OpenML right now, and stops only if that fails."
        },
        **declare(UnauthorizedError, NotFoundError, UploadStateError, TusVersionError),
    },
)
async def cancel_upload(
    upload_id: str, request: Request, uploader: UploaderDep, resources: ResourcesDep
) -> Response:
    """Stop an upload that OpenML does not have yet, and remove its bytes."""
    dialect = dialects.dialect_of(request.headers)
    with spoken(dialect):
        if dialect == "tus":
            dialects.require_tus_version(request.headers)
        stopped = await service.cancel_upload(resources, user_id=uploader.id, upload_id=upload_id)
    headers = {"Tus-Resumable": TUS_VERSION} if dialect == "tus" else {}
    code = status.HTTP_204_NO_CONTENT if stopped else status.HTTP_202_ACCEPTED
    return Response(status_code=code, headers=headers)
