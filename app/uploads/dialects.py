"""The two protocols for uploads in many requests: tus 1.0 and the IETF's draft on resumable uploads.

https://tus.io/protocols/resumable-upload/1.0.0 and draft-ietf-httpbis-resumable-upload-11. Both mean the same: how
much is there, and where do these bytes go. Here is what they share and what tells them apart; `tus.py` and `ietf.py`
read and write the headers of each. Pure: headers in, headers out.
"""

import re
from collections.abc import Mapping
from typing import Literal

from starlette.datastructures import Headers

from app.core.errors import BadRequestError
from app.core.structured_fields import NotStructuredError, parse_item
from app.uploads.problems import MediaTypeNotSupportedError, TusVersionError

Dialect = Literal["tus", "ietf"]
Fields = Mapping[str, str]
"""Headers by their names in lower case, each with all its lines joined (RFC 9110, section 5.3)."""
TUS_VERSION = "1.0.0"
TUS_BYTES = "application/offset+octet-stream"
IETF_BYTES = "application/partial-upload"
ASKED_HEADERS = (
    "Content-Digest",
    "Content-Disposition",
    "Idempotency-Key",
    "Last-Event-ID",
    "Repr-Digest",
    "Tus-Resumable",
    "Upload-Checksum",
    "Upload-Complete",
    "Upload-Concat",
    "Upload-Defer-Length",
    "Upload-Draft-Interop-Version",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "Want-Content-Digest",
    "Want-Repr-Digest",
    "X-HTTP-Method-Override",
    "X-Request-ID",
    "X-Requested-With",
)
"""What clients on pages of other origins may send."""
ANSWERED_HEADERS = (
    "Accept-Patch",
    "Location",
    "Repr-Digest",
    "Retry-After",
    "Tus-Checksum-Algorithm",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Complete",
    "Upload-Concat",
    "Upload-Defer-Length",
    "Upload-Draft-Interop-Version",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Limit",
    "Upload-Metadata",
    "Upload-Offset",
)
"""What they may read."""
_OF_TUS = ("tus-resumable", "upload-checksum", "upload-concat", "upload-defer-length", "upload-metadata")
_ONLY_AS_HEADERS = ("upload-checksum", "content-digest", "repr-digest")
_NUMBER = re.compile(r"[0-9]{1,40}")


def fields_of(headers: Headers) -> Fields:
    """Return the headers, each with all its lines: what was said twice is not what was said first."""
    return {name: ", ".join(headers.getlist(name)) for name in headers}


def dialect_of(fields: Fields) -> Dialect | None:
    """Return which dialect a request speaks, None for neither."""
    kind = media_type(fields)
    if kind == TUS_BYTES or any(name in fields for name in _OF_TUS):
        return "tus"
    if kind == IETF_BYTES or read_complete(fields) is not None:
        return "ietf"
    says_length = "upload-length" in fields and "upload-complete" not in fields
    return "tus" if says_length and kind != "application/json" else None


def media_type(fields: Fields) -> str:
    """Return the type of a request's body, without its parameters."""
    return fields.get("content-type", "").partition(";")[0].strip().lower()


def require_understood(fields: Fields) -> None:
    """Refuse a request of which a header says something else than we would do.

    Raises:
        TusVersionError: it speaks tus in another version, or does not say in which.
        MediaTypeNotSupportedError: its body is encoded.
        BadRequestError: it is a range, of an older draft, or announces a digest behind its body.
    """
    if dialect_of(fields) == "tus" and fields.get("tus-resumable") != TUS_VERSION:
        raise TusVersionError
    if fields.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise MediaTypeNotSupportedError(
            "Bytes are kept as they come: send them without a Content-Encoding (a file may be compressed by itself).",
            headers={"Accept-Encoding": "identity"},
        )
    if "content-range" in fields:
        raise BadRequestError("Say with Upload-Offset where the bytes belong; Content-Range is not read.")
    if "upload-incomplete" in fields:
        raise BadRequestError("Upload-Incomplete is of an older draft; send Upload-Complete.")
    announced = {name.strip().lower() for name in fields.get("trailer", "").split(",")}
    for name in _ONLY_AS_HEADERS:
        if name in announced:
            raise BadRequestError(f"Send {name.title()} as a header; trailers are not read.")


def read_complete(fields: Fields) -> bool | None:
    """Return what `Upload-Complete` says; None if it is missing, or says something else and so has to be ignored."""
    value = read_item(fields, "upload-complete")
    return value if isinstance(value, bool) else None


def read_item(fields: Fields, name: str) -> object:
    """Return the value of a header that is an Item (RFC 9651); None if it is missing, or no Item."""
    text = fields.get(name)
    try:
        return None if text is None else parse_item(text)
    except NotStructuredError:
        return None


def read_number(fields: Fields, name: str) -> int | None:
    """Return a header that holds a number of bytes, None if there is none.

    Raises:
        BadRequestError: it holds something else.
    """
    text = fields.get(name)
    if text is None:
        return None
    if _NUMBER.fullmatch(text.strip(" \t")) is None:
        raise BadRequestError(f"The header {name.title()} is not a number of bytes.")
    return int(text)
