"""The one-request upload of the SPA, and how one's uploads fare."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, status

from app.core.errors import (
    ApiKeyMissingError,
    BodyStalledError,
    BodyTooLargeError,
    DatasetRefusedError,
    FormatNotSupportedError,
    MalformedBodyError,
    NotFoundError,
    OpenMLRefusedError,
    OpenMLUnreachableError,
    StillWorkingError,
    TooManyRequestsError,
    UnauthorizedError,
    ValidationFailedError,
)
from app.core.http import declare
from app.core.limits import Hit
from app.core.multipart import read_body, read_parts
from app.deps import ResourcesDep, SessionDep, SettingsDep, UploaderDep, VisitorDep
from app.openml.client import is_api_key
from app.openml.licences import LICENCES
from app.tabular import SUFFIXES
from app.upload import service
from app.upload import status as upload_status
from app.upload.schemas import (
    FormatNotSupportedResponse,
    LicenceResponse,
    LimitsResponse,
    RepairResponse,
    UploadAcceptedResponse,
    UploadDetailResponse,
    UploadMetadata,
    UploadResponse,
    UploadsResponse,
)

router = APIRouter(tags=["datasets"])
FORM_BYTES = service.METADATA_BYTES + (1 << 20)
"""What a form may hold beside the file."""
PAGE_LENGTH = 100
ACCEPTED: dict[int | str, dict[str, Any]] = {
    status.HTTP_202_ACCEPTED: {
        "model": UploadAcceptedResponse,
        "description": "With `Prefer: respond-async`: the bytes are safe, and the rest goes on by itself.",
    }
}
FORM_SCHEMA = {
    "parameters": [
        {
            "name": "Prefer",
            "in": "header",
            "schema": {"type": "string"},
            "description": "`respond-async` (RFC 7240): answer 202 once the bytes are safe; do not wait for OpenML.",
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["dataset", "metadata"],
                    "properties": {
                        "dataset": {
                            "type": "string",
                            "format": "binary",
                            "description": f"The table: a file of {', '.join(SUFFIXES)}.",
                        },
                        "metadata": UploadMetadata.model_json_schema(),
                    },
                },
                "encoding": {"metadata": {"contentType": "application/json"}},
            }
        },
    },
}


@router.get("/limits")
async def get_limits(settings: SettingsDep) -> LimitsResponse:
    """Say what an upload may hold."""
    return LimitsResponse(
        suffixes=list(SUFFIXES),
        upload_bytes=settings.upload_max_bytes,
        unpacked_bytes=settings.max_unpacked_bytes,
        columns=settings.max_columns,
        labels=settings.max_labels,
        cell_bytes=settings.max_cell_bytes,
    )


@router.get("/licences")
async def list_licences() -> list[LicenceResponse]:
    """List licences to choose from."""
    return [LicenceResponse(**licence._asdict()) for licence in LICENCES]


@router.post(
    "/data-upload",
    openapi_extra=FORM_SCHEMA,
    responses={
        **ACCEPTED,
        **declare(
            UnauthorizedError,
            MalformedBodyError,
            BodyStalledError,
            BodyTooLargeError,
            ApiKeyMissingError,
            ValidationFailedError,
            DatasetRefusedError,
            TooManyRequestsError,
            OpenMLRefusedError,
            OpenMLUnreachableError,
            StillWorkingError,
        ),
    },
)
async def upload_dataset(
    request: Request,
    uploader: UploaderDep,
    resources: ResourcesDep,
    visitor: VisitorDep,
    response: Response,
) -> UploadResponse | UploadAcceptedResponse | FormatNotSupportedResponse:
    """Publish a table on OpenML under one's own name, and wait until OpenML has it."""
    if not is_api_key(uploader.api_key):
        raise ApiKeyMissingError
    await resources.limits.hit(
        Hit("upload-account", str(uploader.id)), Hit("upload-address", visitor.network)
    )
    body = read_body(
        request.stream(),
        request.headers.get("content-length", ""),
        limit_bytes=resources.settings.upload_max_bytes,
        form_bytes=FORM_BYTES,
        stall_seconds=resources.settings.upload_stall_seconds,
    )
    events = read_parts(body, request.headers.get("content-type", ""))
    receiver = service.Receiver(resources, user_id=uploader.id)
    try:
        upload_id = await receiver.receive(events)
    except FormatNotSupportedError:
        return FormatNotSupportedResponse()
    if _wants_no_wait(request):
        path = f"/uploads/{upload_id}"
        response.status_code = status.HTTP_202_ACCEPTED
        response.headers.update({"Location": path, "Preference-Applied": "respond-async"})
        return UploadAcceptedResponse(upload_id=upload_id, status_path=path)
    outcome = await service.wait_for_outcome(resources, upload_id)
    dataset_id = outcome.dataset_id or 0
    return UploadResponse(
        id=dataset_id,
        url=resources.openml.dataset_url(dataset_id),
        upload_id=upload_id,
        warnings=outcome.warnings,
        repairs=[RepairResponse.model_validate(repair) for repair in outcome.repairs],
    )


@router.get("/uploads", responses=declare(UnauthorizedError, NotFoundError, ValidationFailedError))
async def list_uploads(
    uploader: UploaderDep,
    resources: ResourcesDep,
    session: SessionDep,
    limit: Annotated[int, Query(ge=1, le=PAGE_LENGTH)] = 25,
    before: Annotated[str | None, Query(max_length=32, description="The `next` of the page before.")] = None,
) -> UploadsResponse:
    """List one's uploads and how each fares, newest first."""
    return await upload_status.list_uploads(
        session, resources.openml, user_id=uploader.id, limit=limit, before=before
    )


@router.get("/uploads/{upload_id}", responses=declare(UnauthorizedError, NotFoundError))
async def get_upload(
    upload_id: str, uploader: UploaderDep, resources: ResourcesDep, session: SessionDep
) -> UploadDetailResponse:
    """Say how one of one's uploads fares, and every step so far."""
    return await upload_status.find_upload(
        session, resources.openml, user_id=uploader.id, upload_id=upload_id
    )


def _wants_no_wait(request: Request) -> bool:
    """Say whether the client asks for `Prefer: respond-async` (RFC 7240)."""
    wishes = ",".join(request.headers.getlist("prefer")).split(",")
    return any(wish.partition(";")[0].strip().lower() == "respond-async" for wish in wishes)
