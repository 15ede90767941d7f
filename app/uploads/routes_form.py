"""The one-request upload of the SPA, and what an upload may hold."""

from typing import Any

from fastapi import APIRouter, Request, Response, status

from app.core.bodies import BoundedRoute, read_parts, reads_body, stream_body
from app.core.clients import Client
from app.core.components import headers
from app.core.errors import (
    BodyStalledError,
    BodyTooLargeError,
    MalformedBodyError,
    TooBusyError,
    TooManyRequestsError,
    UnauthorizedError,
    ValidationFailedError,
)
from app.core.http import declare
from app.core.limits import Hit, hits_from
from app.core.scopes import Scope, opened_by
from app.db.users import Account
from app.deps import ClientDep, ResourcesDep, SettingsDep, UploaderDep
from app.openml.fields import LICENCES, RepairResponse, is_api_key
from app.openml.problems import OPENML_PROBLEMS, ApiKeyMissingError, DatasetRefusedError
from app.resources import Resources
from app.storage.problems import StorageFullError, StorageUnavailableError
from app.tabular import SUFFIXES, UPLOAD_LIMITS
from app.uploads.admission import require_room
from app.uploads.creation import FormKey, find_by_form_key
from app.uploads.described import FORM
from app.uploads.metadata import METADATA_BYTES
from app.uploads.problems import (
    FormatNotSupportedError,
    IdempotencyKeyReusedError,
    QuotaExceededError,
    StillWorkingError,
    UploadStateError,
)
from app.uploads.receive import FormReceiver, wait_for_outcome
from app.uploads.schemas import (
    DraftResponse,
    FormatNotSupportedResponse,
    LicenceResponse,
    LimitsResponse,
    UploadAcceptedResponse,
    UploadResponse,
)

router = APIRouter(tags=["datasets"], route_class=BoundedRoute)
FORM_BYTES = METADATA_BYTES + (1 << 20)
"""What a form may hold beside the file."""
ALREADY_THERE = (
    "You have published this very file under this name before, and this is that dataset, as you described it then: "
    "nothing of the metadata that came this time was used, types of columns included. Send `allow_duplicate` in the "
    "metadata to publish it once more, with them."
)
ACCEPTED: dict[int | str, dict[str, Any]] = {
    status.HTTP_202_ACCEPTED: {
        "model": UploadAcceptedResponse,
        "description": "With `Prefer: respond-async`: the bytes are safe, and the rest goes on by itself.",
        "headers": headers("Location", "Preference-Applied"),
    }
}


@router.get("/limits")
async def get_limits(settings: SettingsDep) -> LimitsResponse:
    """Say what an upload may hold."""
    return LimitsResponse(
        suffixes=list(SUFFIXES),
        upload_bytes=settings.upload_max_bytes,
        unpacked_bytes=UPLOAD_LIMITS.max_unpacked_bytes,
        columns=UPLOAD_LIMITS.max_columns,
        labels=UPLOAD_LIMITS.max_labels,
        cell_bytes=UPLOAD_LIMITS.max_cell_bytes,
        unfinished_uploads=settings.uploads_per_user,
        unfinished_bytes=settings.upload_user_bytes,
    )


@router.get("/licences")
async def list_licences() -> list[LicenceResponse]:
    """List licences to choose from."""
    return [LicenceResponse(**licence._asdict()) for licence in LICENCES]


FORM_PROBLEMS = declare(
    UnauthorizedError,
    MalformedBodyError,
    BodyStalledError,
    BodyTooLargeError,
    QuotaExceededError,
    ApiKeyMissingError,
    UploadStateError,
    ValidationFailedError,
    IdempotencyKeyReusedError,
    TooManyRequestsError,
    TooBusyError,
    StorageFullError,
    StorageUnavailableError,
)


@router.post(
    "/data-upload",
    openapi_extra=FORM,
    responses={
        **ACCEPTED,
        **FORM_PROBLEMS,
        **declare(
            ValidationFailedError,
            DatasetRefusedError,
            IdempotencyKeyReusedError,
            UploadStateError,
            *OPENML_PROBLEMS,
            TooBusyError,
            StillWorkingError,
        ),
    },
)
@reads_body
@opened_by(Scope.UPLOAD)
async def upload_dataset(
    request: Request, uploader: UploaderDep, resources: ResourcesDep, client: ClientDep, response: Response
) -> UploadResponse | UploadAcceptedResponse | FormatNotSupportedResponse:
    """Publish a table on OpenML under one's own name, and wait until OpenML has it."""
    try:
        upload_id = await _receive_form(request, uploader, resources, client, publish=True)
    except FormatNotSupportedError:
        return FormatNotSupportedResponse()
    if _wants_no_wait(request):
        path = f"/uploads/{upload_id}"
        response.status_code = status.HTTP_202_ACCEPTED
        response.headers.update({"Location": path, "Preference-Applied": "respond-async"})
        return UploadAcceptedResponse(upload_id=upload_id, status_path=path)
    published_id, outcome = await wait_for_outcome(
        resources.database.reader,
        resources.watched,
        upload_id,
        seconds=resources.settings.timings.upload_wait_seconds,
    )
    dataset_id = outcome.dataset_id or 0
    return UploadResponse(
        id=dataset_id,
        url=resources.openml.dataset_url(dataset_id),
        upload_id=published_id,
        warnings=[*outcome.warnings, *([ALREADY_THERE] if published_id != upload_id else [])],
        repairs=[RepairResponse.model_validate(repair) for repair in outcome.repairs],
    )


@router.post("/data-edit-upload", openapi_extra=FORM, responses=FORM_PROBLEMS)
@reads_body
@opened_by(Scope.UPLOAD)
async def upload_draft(
    request: Request, uploader: UploaderDep, resources: ResourcesDep, client: ClientDep
) -> DraftResponse | FormatNotSupportedResponse:
    """Take a table to look at before it is published: its columns, their types, what would be changed."""
    try:
        return DraftResponse(msg=await _receive_form(request, uploader, resources, client, publish=False))
    except FormatNotSupportedError:
        return FormatNotSupportedResponse()


async def _receive_form(
    request: Request, uploader: Account, resources: Resources, client: Client, *, publish: bool
) -> str:
    """Return the id of the upload whose bytes came with the form, or came before with the same key."""
    if not is_api_key(uploader.api_key):
        raise ApiKeyMissingError
    await resources.limits.hit(Hit("upload-account", str(uploader.id)), *hits_from("upload-address", client))
    declared = request.headers.get("content-length", "")
    body = stream_body(
        request,
        limit_bytes=resources.settings.upload_max_bytes,
        form_bytes=FORM_BYTES,
        stall_seconds=resources.settings.timings.upload_stall_seconds,
    )
    key = request.headers.get("idempotency-key")
    idempotency = None
    if key is not None:
        idempotency = FormKey.of(uploader.id, key, path=request.url.path, declared=declared)
        if earlier := await find_by_form_key(resources.database, resources.storage, idempotency):
            return earlier
    with resources.receive_limit.take(uploader.id):
        # What is beside the file is little; whether that is too large is seen while it comes.
        most = resources.settings.upload_max_bytes
        size = min(int(declared), most) if declared.isdigit() else None
        await resources.store.require()
        async with resources.database.session() as session:
            # Nothing is reserved yet.
            await require_room(session, resources.storage, resources.settings, user_id=uploader.id, size=size)
        events = read_parts(body, request.headers.get("content-type", ""))
        receiver = FormReceiver(
            resources.database,
            resources.storage,
            resources.settings,
            resources.checks,
            resources.receivers,
            user_id=uploader.id,
            publish=publish,
            idempotency=idempotency,
            declared=size,
        )
        return await receiver.receive(events)


def _wants_no_wait(request: Request) -> bool:
    """Say whether the client asks for `Prefer: respond-async` (RFC 7240)."""
    wishes = ",".join(request.headers.getlist("prefer")).split(",")
    return any(wish.partition(";")[0].strip().lower() == "respond-async" for wish in wishes)
