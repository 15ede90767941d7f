"""How clients speak of bytes that come in many requests: tus 1.0 and the IETF's draft on resumable uploads.

https://tus.io/protocols/resumable-upload/1.0.0 and draft-ietf-httpbis-resumable-upload-11. Both mean the same: how much
is there, and where do these bytes go. Pure: headers in, headers out.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Literal

from python_multipart.multipart import parse_options_header

from app.core.errors import (
    BadRequestError,
    ChecksumMismatchError,
    DigestMismatchError,
    TusVersionError,
    ValidationFailedError,
)
from app.db.uploads import Upload, UploadState
from app.upload.append import Announced
from app.upload.creation import Creation
from app.upload.metadata import parse_metadata

Dialect = Literal["tus", "ietf"]
TUS_VERSION = "1.0.0"
TUS_EXTENSIONS = "creation,creation-with-upload,creation-defer-length,termination,expiration,checksum"
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
    "Upload-Defer-Length",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "X-HTTP-Method-Override",
    "X-Requested-With",
)
"""What clients on pages of other origins may send."""
ANSWERED_HEADERS = (
    "Location",
    "Retry-After",
    "Tus-Checksum-Algorithm",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Complete",
    "Upload-Defer-Length",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Limit",
    "Upload-Metadata",
    "Upload-Offset",
)
"""What they may read."""
LONGEST_TUS_METADATA = 16_384
_NUMBER = re.compile(r"[0-9]{1,18}")
_LISTS = frozenset({"creator", "contributor"})
_DIGEST = re.compile(r"(?:^|,)\s*sha-256\s*=\s*:([A-Za-z0-9+/=]+):")

Headers = Mapping[str, str]


def dialect_of(headers: Headers) -> Dialect | None:
    """Return which dialect a request speaks, None for neither."""
    if "tus-resumable" in headers or media_type(headers) == TUS_BYTES:
        return "tus"
    if "upload-complete" in headers or media_type(headers) == IETF_BYTES:
        return "ietf"
    return None


def media_type(headers: Headers) -> str:
    """Return the type of a request's body, without its parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def require_tus_version(headers: Headers) -> None:
    """Refuse a request of tus in another version.

    Raises:
        TusVersionError: as it says.
    """
    if headers.get("tus-resumable") != TUS_VERSION:
        raise TusVersionError


def greeting(largest_bytes: int, expire_seconds: int) -> dict[str, str]:
    """Return what `OPTIONS` says of both dialects."""
    return {
        "Tus-Resumable": TUS_VERSION,
        "Tus-Version": TUS_VERSION,
        "Tus-Extension": TUS_EXTENSIONS,
        "Tus-Max-Size": str(largest_bytes),
        "Tus-Checksum-Algorithm": "sha256",
        "Upload-Limit": f"max-size={largest_bytes}, max-age={expire_seconds}",
        "Accept-Patch": f"{TUS_BYTES}, {IETF_BYTES}, application/json",
    }


def read_tus_creation(headers: Headers) -> Creation:
    """Return what a tus client says of an upload.

    `Upload-Metadata` holds the file's name (`filename`, or `name`) and any field of the dataset's description;
    or all of it as JSON under `metadata`; `publish` is `true` for an upload that needs no preview.

    Raises:
        ValidationFailedError: something is missing, or cannot be read.
    """
    size = read_number(headers, "upload-length")
    if size is None and headers.get("upload-defer-length") != "1":
        raise _wrong("Upload-Length", "Say how many bytes the file has, or send Upload-Defer-Length: 1.")
    raw = headers.get("upload-metadata", "")
    fields = _read_tus_metadata(raw)
    metadata: dict[str, Any] = parse_metadata(fields.pop("metadata")) if "metadata" in fields else {}
    file_name = fields.pop("filename", None) or fields.pop("name", None)
    if not file_name:
        raise _wrong("Upload-Metadata", "Give the file's name as `filename`; its end says what the file is.")
    publish = fields.pop("publish", "").lower() in {"true", "1", "yes"}
    for name, value in fields.items():
        metadata[name] = [one.strip() for one in value.split(";")] if name in _LISTS else value
    for known in ("name", "type", "filetype", "relativePath", "caption"):
        metadata.pop(known, None)  # What Uppy tells of every file; it says nothing of the dataset.
    return Creation(
        file_name=file_name,
        size=size,
        metadata=metadata,
        publish=publish,
        sha256=read_repr_digest(headers),
        idempotency_key=headers.get("idempotency-key"),
        tus_metadata=raw or None,
    )


def read_ietf_creation(headers: Headers) -> Creation:
    """Return what a client of the draft says of an upload: the file's name stands in `Content-Disposition`.

    Raises:
        ValidationFailedError: something is missing, or cannot be read.
    """
    _, options = parse_options_header(headers.get("content-disposition", ""))
    file_name = options.get(b"filename", b"").decode("utf-8", errors="replace")
    if not file_name:
        raise _wrong(
            "Content-Disposition",
            'Give the file\'s name, e.g. attachment; filename="river.csv"; its end says what the file is.',
        )
    size = read_number(headers, "upload-length")
    length = read_number(headers, "content-length")
    if size is None and read_is_last(headers) and length is not None:
        size = length
    return Creation(
        file_name=file_name,
        size=size,
        sha256=read_repr_digest(headers),
        idempotency_key=headers.get("idempotency-key"),
    )


def read_is_last(headers: Headers) -> bool:
    """Return whether the file ends with these bytes (`Upload-Complete`).

    Raises:
        BadRequestError: it does not say.
    """
    text = headers.get("upload-complete", "").strip()
    if text not in {"?0", "?1"}:
        raise BadRequestError("Say with `Upload-Complete: ?1` or `?0` whether these are the last bytes.")
    return text == "?1"


def read_offset(headers: Headers) -> int:
    """Return where in the file the bytes begin.

    Raises:
        BadRequestError: the request does not say.
    """
    offset = read_number(headers, "upload-offset")
    if offset is None:
        raise BadRequestError("Say with `Upload-Offset` where in the file these bytes begin; HEAD tells.")
    return offset


def read_number(headers: Headers, name: str) -> int | None:
    """Return a header that holds a number, None if there is none.

    Raises:
        BadRequestError: it holds something else.
    """
    text = headers.get(name)
    if text is None:
        return None
    if _NUMBER.fullmatch(text.strip()) is None:
        raise BadRequestError(f"The header {name.title()} is not a number of bytes.")
    return int(text)


def read_repr_digest(headers: Headers) -> str | None:
    """Return the hash that the whole file shall have (RFC 9530), in hexadecimal, None if the client said none.

    Raises:
        BadRequestError: it cannot be read.
    """
    digest = _read_digest(headers, "repr-digest")
    return digest.hex() if digest else None


def read_announced(headers: Headers, dialect: Dialect) -> Announced | None:
    """Return the hash of the bytes of this one request, None if the client said none.

    Raises:
        BadRequestError: it cannot be read, or is of a kind that we do not compute.
    """
    if dialect == "ietf":
        digest = _read_digest(headers, "content-digest")
        return Announced(digest, DigestMismatchError) if digest else None
    text = headers.get("upload-checksum")
    if text is None:
        return None
    algorithm, _, encoded = text.partition(" ")
    if algorithm != "sha256":
        raise BadRequestError("The checksum of `Upload-Checksum` can be sha256 only.")
    return Announced(_sha256(encoded.strip(), "Upload-Checksum"), ChecksumMismatchError)


def standing(upload: Upload, dialect: Dialect, *, largest_bytes: int, expire_seconds: int) -> dict[str, str]:
    """Return the headers that say how much of an upload is there."""
    headers = {"Upload-Offset": str(upload.received_bytes or 0), "Cache-Control": "no-store"}
    if upload.total_bytes is not None:
        headers["Upload-Length"] = str(upload.total_bytes)
    if dialect == "ietf":
        headers["Upload-Complete"] = "?0" if upload.state == UploadState.RECEIVING else "?1"
        headers["Upload-Limit"] = f"max-size={largest_bytes}, max-age={expire_seconds}"
        return headers
    headers["Tus-Resumable"] = TUS_VERSION
    if upload.total_bytes is None:
        headers["Upload-Defer-Length"] = "1"
    if upload.tus_metadata:
        headers["Upload-Metadata"] = upload.tus_metadata
    return {**headers, **expires(upload.expires_at)}


def expires(at: datetime | None) -> dict[str, str]:
    """Return the header that says when an unfinished upload is given up."""
    return {"Upload-Expires": format_datetime(at, usegmt=True)} if at else {}


def _read_tus_metadata(text: str) -> dict[str, str]:
    """Return the pairs of `Upload-Metadata`: names, and values in base64."""
    if len(text) > LONGEST_TUS_METADATA:
        raise _wrong("Upload-Metadata", "This is too much; send the description with PATCH afterwards.")
    fields = {}
    for pair in filter(None, (pair.strip() for pair in text.split(","))):
        name, _, encoded = pair.partition(" ")
        try:
            fields[name] = base64.b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise _wrong(
                "Upload-Metadata", f"The value of {name[:64]!r} is not UTF-8 text in base64."
            ) from None
    return fields


def _read_digest(headers: Headers, name: str) -> bytes | None:
    text = headers.get(name)
    if text is None:
        return None
    found = _DIGEST.search(text)
    if found is None:
        # Other algorithms may be ignored (RFC 9530); what cannot be checked is not promised.
        return None
    return _sha256(found[1], name.title())


def _sha256(encoded: str, header: str) -> bytes:
    try:
        digest = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise BadRequestError(f"The digest in {header} is not a SHA-256 digest in base64.")
    return digest


def _wrong(header: str, message: str) -> ValidationFailedError:
    return ValidationFailedError.for_fields([{"field": header, "message": message}])
