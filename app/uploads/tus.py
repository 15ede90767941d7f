"""The headers of tus 1.0, read and written: https://tus.io/protocols/resumable-upload/1.0.0."""

import base64
import binascii
import hashlib
import re
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

from app.core.errors import BadRequestError, ValidationFailedError
from app.db.upload_values import Upload
from app.uploads.append import Announced
from app.uploads.creation import Creation
from app.uploads.dialects import Fields, read_number
from app.uploads.digests import read_repr_digest
from app.uploads.metadata import parse_metadata
from app.uploads.problems import ChecksumMismatchError

EXTENSIONS = (
    "creation,creation-with-upload,creation-defer-length,termination,expiration,checksum,concatenation"
)
CHECKSUMS = {"sha1": "sha1", "sha256": "sha256"}
"""Algorithms of `Upload-Checksum`, by their names in tus, as hashlib names them."""
LONGEST_METADATA = 16_384
MOST_PARTS = 100
"""Uploads of which one file may be joined."""
PARTIAL = "partial"
_FINAL = "final;"
_UPLOAD = re.compile(r"(?:^|/)uploads/([0-9a-f]{32})/?$")
_LISTS = frozenset({"creator", "contributor"})
_UNRELATED = ("name", "type", "filetype", "relativePath", "caption")
"""Fields that Uppy sends with every file; they do not describe the dataset."""


def read_creation(fields: Fields) -> Creation:
    """Return the upload that a request declares.

    `Upload-Metadata` holds the file's name (`filename`, or `name`) and any field of the dataset's description;
    or all of it as JSON under `metadata`; `publish` is `true` for an upload that needs no preview.

    Raises:
        BadRequestError: the length is missing, declared twice, or invalid.
        ValidationFailedError: the metadata lacks the file's name, or cannot be read.
    """
    concat = _read_concat(fields)
    # Before the metadata: a length that is missing is what the protocol has an answer for.
    size = None if concat and concat != PARTIAL else _read_size(fields)
    raw = fields.get("upload-metadata", "")
    given = _read_metadata(raw)
    if concat == PARTIAL:
        return Creation(
            file_name=given.get("filename", PARTIAL),
            size=size,
            idempotency_key=fields.get("idempotency-key"),
            tus_metadata=raw or None,
            ends_by_length=False,
            is_partial=True,
        )
    parts = _read_parts(fields, concat) if concat else ()
    metadata: dict[str, Any] = parse_metadata(given.pop("metadata")) if "metadata" in given else {}
    file_name = given.pop("filename", None) or given.pop("name", None)
    if not file_name:
        raise _wrong("Give the file's name as `filename`; its end says what the file is.")
    publish = given.pop("publish", "").lower() in {"true", "1", "yes"}
    for name, value in given.items():
        metadata[name] = [one.strip() for one in value.split(";")] if name in _LISTS else value
    for known in _UNRELATED:
        metadata.pop(known, None)
    return Creation(
        file_name=file_name,
        size=size,
        metadata=metadata,
        publish=publish,
        sha256=read_repr_digest(fields),
        idempotency_key=fields.get("idempotency-key"),
        tus_metadata=raw or None,
        joined_from=concat,
        partial_ids=parts,
    )


def read_checksum(fields: Fields) -> Announced | None:
    """Return the hash of the bytes of this one request, None if the client said none.

    Raises:
        BadRequestError: it cannot be read, or is of a kind that we do not compute.
    """
    text = fields.get("upload-checksum")
    if text is None:
        return None
    name, _, encoded = text.partition(" ")
    algorithm = CHECKSUMS.get(name)
    if algorithm is None:
        raise BadRequestError(f"The algorithm of Upload-Checksum can be one of: {', '.join(CHECKSUMS)}.")
    try:
        digest = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        digest = b""
    if len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise BadRequestError(f"What Upload-Checksum has is no {name} digest in base64.")
    return Announced(algorithm, digest, ChecksumMismatchError)


def greeting(largest_bytes: int) -> dict[str, str]:
    """Return what `OPTIONS` says of tus."""
    return {
        "Tus-Version": "1.0.0",
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(largest_bytes),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
    }


def status_headers(upload: Upload) -> dict[str, str]:
    """Return the headers that say how much of an upload is there."""
    headers = {"Upload-Offset": str(upload.received_bytes or 0), "Cache-Control": "no-store"}
    if upload.total_bytes is None:
        headers["Upload-Defer-Length"] = "1"
    else:
        headers["Upload-Length"] = str(upload.total_bytes)
    if upload.tus_metadata:
        headers["Upload-Metadata"] = upload.tus_metadata
    if upload.is_partial or upload.joined_from:
        headers["Upload-Concat"] = upload.joined_from or PARTIAL
    return {**headers, **_expires(upload.expires_at)}


def _expires(at: datetime | None) -> dict[str, str]:
    """Return the header that says when an unfinished upload is given up."""
    return {"Upload-Expires": format_datetime(at, usegmt=True)} if at else {}


def _read_concat(fields: Fields) -> str | None:
    """Return `partial`, or what begins with `final;`; None for a file that comes as a whole."""
    text = fields.get("upload-concat")
    if text is None or text == PARTIAL or text.startswith(_FINAL):
        return text
    raise BadRequestError(
        "Upload-Concat is either `partial`, or `final;` and the addresses of partial uploads."
    )


def _read_parts(fields: Fields, concat: str) -> list[str]:
    """Return the ids of the partial uploads that a file is joined from."""
    if "upload-length" in fields or "upload-defer-length" in fields:
        raise BadRequestError("The length of a joined upload is that of its parts; send no Upload-Length.")
    addresses = concat.removeprefix(_FINAL).split()
    if not 0 < len(addresses) <= MOST_PARTS or len(concat) > LONGEST_METADATA:
        raise BadRequestError(f"Name between 1 and {MOST_PARTS} partial uploads in Upload-Concat.")
    parts = [match[1] for address in addresses if (match := _UPLOAD.search(_path_of(address)))]
    if len(set(parts)) < len(addresses):
        raise BadRequestError("Upload-Concat names something that is no upload of ours, or an upload twice.")
    return parts


def _path_of(address: str) -> str:
    """Return the path of a web address, nothing if it is none."""
    try:
        return urlsplit(address).path
    except ValueError:
        return ""


def _read_size(fields: Fields) -> int | None:
    size, deferred = read_number(fields, "upload-length"), fields.get("upload-defer-length")
    if deferred not in {None, "1"}:
        raise BadRequestError("Upload-Defer-Length can be 1 only.")
    if size is not None and deferred is not None:
        raise BadRequestError("Send either Upload-Length or Upload-Defer-Length, not both.")
    if size is None and deferred is None:
        raise BadRequestError(
            "Say with Upload-Length how many bytes the file has, or send Upload-Defer-Length: 1."
        )
    return size


def _read_metadata(text: str) -> dict[str, str]:
    """Return the pairs of `Upload-Metadata`: names, and values in base64."""
    if len(text) > LONGEST_METADATA:
        raise _wrong("This is too much; send the description with PATCH afterwards.")
    found: dict[str, str] = {}
    for pair in text.split(",") if text.strip() else []:
        name, _, encoded = pair.strip().partition(" ")
        if not name:
            raise _wrong("A pair has no name.")
        if name in found:
            raise _wrong(f"The name {name[:64]!r} stands there twice.")
        try:
            found[name] = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise _wrong(f"The value of {name[:64]!r} is not UTF-8 text in base64.") from None
    return found


def _wrong(message: str) -> ValidationFailedError:
    return ValidationFailedError.for_fields([{"field": "Upload-Metadata", "message": message}])
