"""What the API page says of the headers of tus 1.0 and of the IETF's draft, of the bodies they come with, of events."""

from typing import Any

from app.core.components import Described, asked, component, headers, takes
from app.tabular import ACCEPTED
from app.uploads.dialects import IETF_BYTES, TUS_BYTES, TUS_VERSION
from app.uploads.tus import CHECKSUMS, EXTENSIONS

_TEXT: dict[str, Any] = {"type": "string"}
_NATURAL: dict[str, Any] = {"type": "integer", "minimum": 0}
_COMPLETE: dict[str, Any] = {"type": "string", "enum": ["?1", "?0"]}
_FILE: dict[str, Any] = {"type": "string", "format": "binary"}
_DIGEST = "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:"
_METADATA = "filename cml2ZXIuY3N2,dataset_name cml2ZXItbGV2ZWxz"
_PARTS = "final;/uploads/6f0c2a3d9be84f5f8f0b6f6d6f7f2a11 /uploads/0b6f6d6f7f2a116f0c2a3d9be84f5f8f"


def _one(description: str, schema: dict[str, Any], example: object, **more: object) -> dict[str, Any]:
    return {"description": description, "schema": schema, "example": example, **more}


REQUEST_HEADERS: Described = {
    "Prefer": _one(
        "`respond-async` (RFC 7240): answer 202 once the bytes are safe; do not wait for OpenML.",
        _TEXT,
        "respond-async",
    ),
    "Idempotency-Key": _one(
        "A request that is sent again with the same key is the same upload.",
        {"type": "string", "minLength": 1, "maxLength": 255},
        "2f1c7f0e-river",
    ),
    "Repr-Digest": _one(
        "`sha-256=:…:` of the whole file (RFC 9530); what arrives is compared with it.", _TEXT, _DIGEST
    ),
    "Content-Digest": _one(
        "`sha-256=:…:` or `sha-512=:…:` of the bytes of this request (RFC 9530); others are not kept.",
        _TEXT,
        _DIGEST,
    ),
    "Content-Disposition": _one(
        "IETF draft: the file's name, whose end says what the file is.",
        _TEXT,
        'attachment; filename="river.csv"',
    ),
    "Last-Event-ID": _one("The last `state` that was seen; later ones follow.", _TEXT, "3"),
    "Tus-Resumable": _one(
        "The version of tus; every request of a tus client has it.",
        {"type": "string", "enum": [TUS_VERSION]},
        TUS_VERSION,
    ),
    "Upload-Length": _one("How many bytes the whole file has.", _NATURAL, 4096),
    "Upload-Defer-Length": _one(
        "tus: `Upload-Length` comes with a later `PATCH`.", {"type": "string", "enum": ["1"]}, "1"
    ),
    "Upload-Metadata": _one(
        "tus: names, and values in base64: `filename` and any field of the dataset's description.",
        _TEXT,
        _METADATA,
    ),
    "Upload-Checksum": _one(
        f"tus: {' or '.join(CHECKSUMS)}, and the digest of the bytes of this request in base64.",
        _TEXT,
        "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
    ),
    "Upload-Concat": _one(
        "tus: `partial` begins a part of a file; `final;` and the addresses of parts joins them.",
        _TEXT,
        _PARTS,
    ),
    "Upload-Offset": _one("Where in the file the bytes of this request begin.", _NATURAL, 0),
    "Upload-Complete": _one(
        "IETF draft: whether the file ends with the bytes of this request.", _COMPLETE, "?0"
    ),
}
ANSWER_HEADERS: Described = {
    "Accept-Encoding": _one("The encodings of bodies that are taken (RFC 9110).", _TEXT, "identity"),
    "Accept-Patch": _one("The types of bodies that `PATCH` takes (RFC 5789).", _TEXT, IETF_BYTES),
    "Preference-Applied": _one("Which preference was followed (RFC 7240).", _TEXT, "respond-async"),
    "Repr-Digest": _one("Of the whole file (RFC 9530), once it is known.", _TEXT, _DIGEST),
    "Tus-Resumable": _one("The version of tus that is spoken here.", _TEXT, TUS_VERSION, required=True),
    "Tus-Version": _one("The versions of tus that are spoken here.", _TEXT, TUS_VERSION),
    "Tus-Extension": _one("The extensions of tus that there are.", _TEXT, EXTENSIONS),
    "Tus-Max-Size": _one("How many bytes a file may have.", _NATURAL, 1_000_000_000),
    "Tus-Checksum-Algorithm": _one("What `Upload-Checksum` may use.", _TEXT, ",".join(CHECKSUMS)),
    "Upload-Length": _one("How many bytes the whole file has, once it is known.", _NATURAL, 4096),
    "Upload-Defer-Length": _one("tus: the length is not known yet.", _TEXT, "1"),
    "Upload-Metadata": _one("tus: what the client said of the upload.", _TEXT, _METADATA),
    "Upload-Concat": _one("tus: what the client said of parts.", _TEXT, _PARTS),
    "Upload-Offset": _one("How many bytes are safe here: go on from there.", _NATURAL, 4096),
    "Upload-Complete": _one("IETF draft: whether all bytes are here.", _COMPLETE, "?0"),
    "Upload-Limit": _one(
        "IETF draft: how many bytes a file may have, and in how many seconds the upload is given up.",
        _TEXT,
        "max-size=1000000000, max-age=259200",
    ),
    "Upload-Expires": _one("tus: when the upload is given up.", _TEXT, "Fri, 04 Jan 2030 10:00:00 GMT"),
}
GREETING = headers(
    "Accept-Patch",
    "Tus-Checksum-Algorithm",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Version",
    "Upload-Limit",
)
STATUS_HEADERS = headers(
    "Cache-Control",
    "Repr-Digest",
    "Upload-Complete",
    "Upload-Concat",
    "Upload-Defer-Length",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Limit",
    "Upload-Metadata",
    "Upload-Offset",
)
"""Of answers that say how an upload stands; which of them there are depends on what the client speaks."""
_METADATA_BODY = {"application/json": component("schemas", "DraftMetadata")}
ASK: dict[str, Any] = {"parameters": asked("Tus-Resumable")}
"""What requests have that bring nothing."""
CHANGE: dict[str, Any] = takes(_METADATA_BODY, required=False)
"""What requests have that may bring another description."""
CREATE: dict[str, Any] = {
    "parameters": asked(
        "Idempotency-Key",
        "Repr-Digest",
        "Content-Digest",
        "Content-Disposition",
        "Tus-Resumable",
        "Upload-Checksum",
        "Upload-Complete",
        "Upload-Concat",
        "Upload-Defer-Length",
        "Upload-Length",
        "Upload-Metadata",
    ),
    **takes(
        {
            "application/json": component("schemas", "UploadRequest"),
            TUS_BYTES: _FILE,
            "application/octet-stream": _FILE,
        },
        required=False,
    ),
}
SEND: dict[str, Any] = {
    "parameters": asked(
        "Content-Digest",
        "Tus-Resumable",
        "Upload-Checksum",
        "Upload-Complete",
        "Upload-Length",
        "Upload-Offset",
    ),
    **takes({**_METADATA_BODY, TUS_BYTES: _FILE, IETF_BYTES: _FILE}),
}
FOLLOW: dict[str, Any] = {"parameters": asked("Last-Event-ID")}
EVENTS: dict[str, Any] = {
    "description": "A stream of server-sent events. Each `state` has as `data` a step (`UploadEventResponse`) and as "
    "`id` its number; each `upload` has how the upload fares (`UploadStatusResponse`).",
    "headers": headers("Cache-Control"),
    "content": {
        "text/event-stream": {
            "schema": {"type": "string"},
            "example": 'event: state\nid: 1\ndata: {"id":1,"state":"receiving","at":"2030-01-01T10:00:00Z"}\n\n',
            "x-events": {
                "state": component("schemas", "UploadEventResponse"),
                "upload": component("schemas", "UploadStatusResponse"),
            },
        }
    },
}
FORM: dict[str, Any] = {
    "parameters": asked("Prefer", "Idempotency-Key"),
    **takes(
        {
            "multipart/form-data": {
                "type": "object",
                "required": ["dataset", "metadata"],
                "properties": {
                    "dataset": {**_FILE, "description": f"The table: a file of {ACCEPTED}."},
                    "metadata": component("schemas", "UploadMetadata"),
                },
            }
        }
    ),
}
FORM["requestBody"]["content"]["multipart/form-data"]["encoding"] = {
    "metadata": {"contentType": "application/json"}
}
