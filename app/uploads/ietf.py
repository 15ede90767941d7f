"""The headers of draft-ietf-httpbis-resumable-upload-11, read and written."""

from datetime import datetime

from python_multipart.multipart import parse_options_header

from app.core.errors import BadRequestError, ValidationFailedError
from app.db.upload_states import UploadState
from app.db.upload_values import Upload
from app.uploads.creation import Creation
from app.uploads.dialects import IETF_BYTES, TUS_BYTES, Fields, read_complete, read_item, read_number
from app.uploads.digests import read_repr_digest, repr_digest
from app.uploads.problems import InconsistentLengthError


def read_creation(fields: Fields) -> Creation:
    """Return the upload that a request declares; the file's name is read from `Content-Disposition`.

    Raises:
        InconsistentLengthError: it declares two lengths.
        ValidationFailedError: the file's name is missing.
    """
    _, options = parse_options_header(fields.get("content-disposition", ""))
    file_name = options.get(b"filename", b"").decode("utf-8", errors="replace")
    if not file_name:
        raise ValidationFailedError.for_fields(
            [
                {
                    "field": "Content-Disposition",
                    "message": 'Give the file\'s name, e.g. attachment; filename="river.csv"; its end says what the '
                    "file is.",
                }
            ]
        )
    return Creation(
        file_name=file_name,
        size=read_total(fields, offset=0),
        sha256=read_repr_digest(fields),
        idempotency_key=fields.get("idempotency-key"),
        ends_by_length=False,
    )


def read_is_last(fields: Fields) -> bool:
    """Return whether the file ends with these bytes.

    Raises:
        BadRequestError: the request does not say.
    """
    is_last = read_complete(fields)
    if is_last is None:
        raise BadRequestError("Say with `Upload-Complete: ?1` or `?0` whether these are the last bytes.")
    return is_last


def read_offset(fields: Fields) -> int | None:
    """Return where in the file the bytes begin, None if the request does not say."""
    return _natural(fields, "upload-offset")


def read_total(fields: Fields, *, offset: int) -> int | None:
    """Return how long the whole file is by what the request says of it: in words, or by its own length.

    Raises:
        InconsistentLengthError: it says two things.
    """
    told, length = _natural(fields, "upload-length"), read_number(fields, "content-length")
    if not read_complete(fields) or length is None:
        return told
    end = offset + length
    if told not in {None, end}:
        raise InconsistentLengthError(f"Upload-Length says {told} bytes; the file would end at {end}.")
    return end


def greeting(largest_bytes: int, lifetime_seconds: int) -> dict[str, str]:
    """Return what `OPTIONS` says of the draft; `lifetime_seconds` is what a new upload has."""
    return {
        "Accept-Patch": f"{TUS_BYTES}, {IETF_BYTES}, application/json",
        "Upload-Limit": f"max-size={largest_bytes}, max-age={lifetime_seconds}",
    }


def status_headers(upload: Upload, *, largest_bytes: int, now: datetime) -> dict[str, str]:
    """Return the headers that say how much of an upload is there, and how long it has yet."""
    headers = {
        "Upload-Offset": str(upload.received_bytes or 0),
        "Upload-Complete": "?0" if upload.state == UploadState.RECEIVING else "?1",
        "Upload-Limit": f"max-size={largest_bytes}",
        "Cache-Control": "no-store",
    }
    if upload.total_bytes is not None:
        headers["Upload-Length"] = str(upload.total_bytes)
    if upload.expires_at is not None:
        left = max(0, int((upload.expires_at - now).total_seconds()))
        headers["Upload-Limit"] += f", max-age={left}"
    return {**headers, **repr_digest(upload.received_sha256)}


def _natural(fields: Fields, name: str) -> int | None:
    """Return a number of bytes; any other value has the header ignored, as the draft says."""
    value = read_item(fields, name)
    return value if type(value) is int and value >= 0 else None
