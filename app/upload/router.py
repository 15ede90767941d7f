"""The one-request upload of the SPA."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request

from app.core.errors import (
    ApiKeyMissingError,
    BodyStalledError,
    BodyTooLargeError,
    DatasetRefusedError,
    FormatNotSupportedError,
    MalformedBodyError,
    OpenMLRefusedError,
    OpenMLUnreachableError,
    StillWorkingError,
    UnauthorizedError,
    ValidationFailedError,
)
from app.core.http import declare
from app.deps import PrincipalDep, ResourcesDep
from app.openml.client import is_api_key
from app.upload import service
from app.upload.multipart import read_parts
from app.upload.schemas import FormatNotSupportedResponse, UploadMetadata, UploadResponse

router = APIRouter(tags=["datasets"])
FORM_BYTES = service.METADATA_BYTES + (1 << 20)
"""What a form may hold beside the file."""
FORM_SCHEMA = {
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
                            "description": "The table, as a .csv or .arff file.",
                        },
                        "metadata": UploadMetadata.model_json_schema(),
                    },
                },
                "encoding": {"metadata": {"contentType": "application/json"}},
            }
        },
    }
}


@router.post(
    "/data-upload",
    openapi_extra=FORM_SCHEMA,
    responses=declare(
        UnauthorizedError,
        MalformedBodyError,
        BodyStalledError,
        BodyTooLargeError,
        ApiKeyMissingError,
        ValidationFailedError,
        DatasetRefusedError,
        OpenMLRefusedError,
        OpenMLUnreachableError,
        StillWorkingError,
    ),
)
async def upload_dataset(
    request: Request, principal: PrincipalDep, resources: ResourcesDep
) -> UploadResponse | FormatNotSupportedResponse:
    """Publish a table on OpenML under one's own name, and wait until OpenML has it."""
    if not is_api_key(principal.account.api_key):
        raise ApiKeyMissingError
    limit = resources.settings.upload_max_bytes
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit + FORM_BYTES:
        raise BodyTooLargeError(f"The file is larger than {limit} bytes.", limit_bytes=limit)
    events = read_parts(
        _chunks(request, resources.settings.upload_stall_seconds), request.headers.get("content-type", "")
    )
    receiver = service.Receiver(resources, user_id=principal.account.id)
    try:
        upload_id = await receiver.receive(events)
    except FormatNotSupportedError:
        return FormatNotSupportedResponse()
    outcome = await service.wait_for_outcome(resources, upload_id)
    dataset_id = outcome.dataset_id or 0
    return UploadResponse(
        id=dataset_id,
        url=resources.openml.dataset_url(dataset_id),
        upload_id=upload_id,
        warnings=outcome.warnings,
    )


async def _chunks(request: Request, stall_seconds: float) -> AsyncIterator[bytes]:
    """Yield the body as it arrives, and lose patience with a client that has gone silent."""
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(stall_seconds):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise BodyStalledError(f"No byte arrived for {stall_seconds:g} seconds; send it again.") from None
        if chunk is None:
            return
        yield chunk
