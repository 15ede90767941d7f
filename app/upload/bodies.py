"""What the routes of `/uploads` read of a request, and say of an upload, in each of the dialects."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fastapi import Request
from pydantic import ValidationError

from app.core.errors import (
    MalformedBodyError,
    MediaTypeNotSupportedError,
    OffsetMismatchError,
    Problem,
    UploadCompletedError,
    UploadGoneError,
    UploadStateError,
    ValidationFailedError,
)
from app.core.multipart import read_body
from app.db.uploads import Upload
from app.resources import Resources
from app.upload import dialects
from app.upload.append import Chunk
from app.upload.creation import Creation
from app.upload.dialects import TUS_BYTES, TUS_VERSION, Dialect
from app.upload.schemas import UploadRequest


async def read_creation(request: Request, dialect: Dialect | None) -> Creation:
    """Return what the request says of the upload that it begins.

    Raises:
        TusVersionError, BadRequestError: the headers are not as the dialect has them.
        MediaTypeNotSupportedError, MalformedBodyError, ValidationFailedError: the body is not as it should be.
    """
    if dialect == "tus":
        dialects.require_tus_version(request.headers)
        return dialects.read_tus_creation(request.headers)
    if dialect == "ietf":
        return dialects.read_ietf_creation(request.headers)
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
        sha256=dialects.read_repr_digest(request.headers),
        idempotency_key=request.headers.get("idempotency-key"),
    )


async def read_json(request: Request) -> dict[str, Any]:
    """Return the body, an object; nothing at all is an empty one."""
    content = await request.body()
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


def has_bytes(request: Request, dialect: Dialect) -> bool:
    """Say whether a request that begins an upload brings bytes of it."""
    if dialect == "ietf":
        return True
    return dialects.media_type(request.headers) == TUS_BYTES


def read_chunk(request: Request, resources: Resources, dialect: Dialect, *, offset: int) -> Chunk:
    """Return the bytes that the request brings, not read yet, and what its headers say of them."""
    headers: Mapping[str, str] = request.headers
    settings = resources.settings
    body = read_body(
        request.stream(),
        headers.get("content-length", ""),
        limit_bytes=settings.upload_max_bytes,
        form_bytes=0,
        stall_seconds=settings.upload_stall_seconds,
    )
    return Chunk(
        stream=body,
        offset=offset,
        length=dialects.read_number(headers, "content-length"),
        total=dialects.read_number(headers, "upload-length"),
        is_last=dialects.read_is_last(headers) if dialect == "ietf" else None,
        announced=dialects.read_announced(headers, dialect),
    )


def standing(upload: Upload, dialect: Dialect, resources: Resources) -> dict[str, str]:
    """Return the headers that say how the upload stands."""
    settings = resources.settings
    return dialects.standing(
        upload,
        dialect,
        largest_bytes=settings.upload_max_bytes,
        expire_seconds=int(settings.upload_expire_hours * 3600),
    )


@contextmanager
def hanging_up() -> Iterator[None]:
    """Close the connection with a refusal that came before the end of the body.

    tus-js-client sends no more then, and no end either: it and we would keep the connection for ever. Whoever is hung
    up on before the answer was read asks with `HEAD`, and learns the same.
    """
    try:
        yield
    except (OffsetMismatchError, UploadCompletedError, UploadGoneError, UploadStateError) as problem:
        problem.headers["Connection"] = "close"
        raise


@contextmanager
def spoken(dialect: Dialect | None) -> Iterator[None]:
    """Answer problems in the client's dialect: tus wants its version in every answer."""
    try:
        yield
    except Problem as problem:
        if dialect == "tus":
            problem.headers["Tus-Resumable"] = TUS_VERSION
        raise
