"""What the routes of `/uploads` read of a request, and say of an upload, in each of the dialects."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from pydantic import ValidationError

from app.core.bodies import read_body, stream_body
from app.core.errors import (
    BadRequestError,
    MalformedBodyError,
    NotReadyError,
    ProblemError,
    ValidationFailedError,
)
from app.core.settings import Settings
from app.db.upload_values import Upload
from app.uploads import dialects, ietf, tus
from app.uploads.append import Chunk
from app.uploads.creation import Creation
from app.uploads.dialects import IETF_BYTES, TUS_BYTES, Dialect
from app.uploads.digests import read_content_digest, read_repr_digest
from app.uploads.metadata import METADATA_BYTES
from app.uploads.problems import (
    JoinedUploadError,
    MediaTypeNotSupportedError,
    OffsetMismatchError,
    TusVersionError,
    UploadCompletedError,
    UploadGoneError,
    UploadStateError,
)
from app.uploads.schemas import UploadRequest

HEADER_PROBLEMS: Sequence[type[ProblemError]] = (BadRequestError, TusVersionError, MediaTypeNotSupportedError)
"""What any route of `/uploads` may answer to a request's headers."""


async def require_understood(request: Request) -> None:
    """Refuse a request of which a header says something else than we would do, before anything else is done."""
    if request.method != "OPTIONS":
        dialects.require_understood(dialects.fields_of(request.headers))


async def read_creation(request: Request, dialect: Dialect | None) -> Creation:
    """Return what the request says of the upload that it begins.

    Raises:
        BadRequestError, InconsistentLengthError: the headers are not as the dialect has them.
        MediaTypeNotSupportedError, MalformedBodyError, ValidationFailedError: the body is not as it should be.
    """
    fields = dialects.fields_of(request.headers)
    if dialect == "tus":
        return tus.read_creation(fields)
    if dialect == "ietf":
        return ietf.read_creation(fields)
    try:
        wanted = UploadRequest.model_validate(await read_json(request))
    except ValidationError as error:
        raise ValidationFailedError.from_pydantic(
            error.errors(include_input=False, include_url=False)
        ) from None
    return Creation(
        file_name=wanted.file_name,
        size=wanted.size,
        metadata=wanted.metadata,
        publish=wanted.publish,
        sha256=read_repr_digest(fields),
        idempotency_key=fields.get("idempotency-key"),
    )


async def read_json(request: Request) -> dict[str, Any]:
    """Return the body, an object; nothing at all is an empty one."""
    content = await read_body(request, METADATA_BYTES)
    if not content:
        return {}
    if dialects.media_type(request.headers) not in {"application/json", "application/merge-patch+json"}:
        raise MediaTypeNotSupportedError(
            "Send application/json.", headers={"Accept-Patch": "application/json"}
        )
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise MalformedBodyError("The body is not valid JSON.") from None
    if not isinstance(document, dict):
        raise ValidationFailedError.for_fields([{"field": "body", "message": "Send a JSON object."}])
    return document


def read_first_chunk(request: Request, settings: Settings, dialect: Dialect | None) -> Chunk | None:
    """Return the bytes that a request brings which begins an upload, not read yet; None if it brings none.

    Raises:
        MediaTypeNotSupportedError: there are some, and nothing says that they are the file's.
    """
    if dialect is None:
        return None
    fields = dialects.fields_of(request.headers)
    if dialect == "tus" and dialects.media_type(fields) != TUS_BYTES:
        if fields.get("content-length", "0") != "0" or "transfer-encoding" in fields:
            raise MediaTypeNotSupportedError(f"Send the file's bytes as {TUS_BYTES}, or none yet.")
        return None
    return _read_chunk(request, settings, dialect, offset=0)


def read_chunk(request: Request, settings: Settings, dialect: Dialect) -> Chunk:
    """Return the bytes that the request adds to an upload, not read yet, and what its headers say of them.

    Raises:
        MediaTypeNotSupportedError: they have another type than those of the dialect.
        BadRequestError: a header is missing, or cannot be read.
    """
    fields = dialects.fields_of(request.headers)
    wanted = TUS_BYTES if dialect == "tus" else IETF_BYTES
    if dialects.media_type(fields) != wanted:
        raise MediaTypeNotSupportedError(f"Send the bytes as {wanted}.", headers={"Accept-Patch": wanted})
    offset = dialects.read_number(fields, "upload-offset") if dialect == "tus" else ietf.read_offset(fields)
    if offset is None:
        raise BadRequestError("Say with `Upload-Offset` where in the file these bytes begin; HEAD tells.")
    return _read_chunk(request, settings, dialect, offset=offset)


def _read_chunk(request: Request, settings: Settings, dialect: Dialect, *, offset: int) -> Chunk:
    fields = dialects.fields_of(request.headers)
    content_digest = read_content_digest(fields)
    if dialect == "tus":
        total, is_last = dialects.read_number(fields, "upload-length"), None
        announced = tus.read_checksum(fields) or content_digest
    else:
        total, is_last = ietf.read_total(fields, offset=offset), ietf.read_is_last(fields)
        announced = content_digest
    body = stream_body(
        request, limit_bytes=settings.upload_max_bytes, stall_seconds=settings.timings.upload_stall_seconds
    )
    return Chunk(
        stream=body,
        offset=offset,
        length=dialects.read_number(fields, "content-length"),
        total=total,
        is_last=is_last,
        announced=announced,
    )


def status_headers(upload: Upload, dialect: Dialect, settings: Settings, now: datetime) -> dict[str, str]:
    """Return the headers that describe the upload's state."""
    if dialect == "tus":
        return tus.status_headers(upload)
    return ietf.status_headers(upload, largest_bytes=settings.upload_max_bytes, now=now)


def location_of(request: Request, settings: Settings, upload_id: str) -> str:
    """Return the upload's URL, by the host that the request was sent to."""
    # A proxy in front of us may end TLS without saying so, but we know how people reach the site.
    is_site = urlsplit(settings.site_url).netloc == request.url.netloc
    root = settings.site_url if is_site else str(request.base_url).rstrip("/")
    return f"{root}/uploads/{upload_id}"


@contextmanager
def hanging_up() -> Iterator[None]:
    """Close the connection with a refusal that came before the end of the body.

    tus-js-client sends no more then, and no end either: it and we would keep the connection for ever. Whoever is hung
    up on before the answer was read asks with `HEAD`, and learns the same.
    """
    try:
        yield
    except (
        JoinedUploadError,
        NotReadyError,
        OffsetMismatchError,
        UploadCompletedError,
        UploadGoneError,
        UploadStateError,
    ) as problem:
        problem.headers["Connection"] = "close"
        raise
