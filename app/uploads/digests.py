"""Digests of RFC 9530 in requests and answers: of a whole file (`Repr-Digest`), and of one request's bytes."""

import hashlib
from base64 import b64encode

from app.core.errors import BadRequestError
from app.core.structured_fields import NotStructuredError, parse_dictionary
from app.uploads.append import Announced
from app.uploads.dialects import Fields
from app.uploads.problems import DigestMismatchError

ALGORITHMS = {"sha-512": "sha512", "sha-256": "sha256"}
"""Those that are checked, best first, as hashlib names them. Others may be ignored (RFC 9530, section 2)."""


def read_repr_digest(fields: Fields) -> str | None:
    """Return the SHA-256 that the whole file shall have, in hexadecimal, None if the client said none.

    Raises:
        BadRequestError: it cannot be read.
    """
    digest = _read(fields, "repr-digest").get("sha-256")
    return digest.hex() if digest is not None else None


def read_content_digest(fields: Fields) -> Announced | None:
    """Return the hash of the bytes of this one request, None if the client said none that we compute.

    Raises:
        BadRequestError: it cannot be read.
    """
    digests = _read(fields, "content-digest")
    for name, algorithm in ALGORITHMS.items():
        if name in digests:
            return Announced(algorithm, digests[name], DigestMismatchError)
    return None


def repr_digest(sha256: str | None) -> dict[str, str]:
    """Return the header that says which file arrived, once that is known (`sha256` in hexadecimal)."""
    return {"Repr-Digest": f"sha-256=:{b64encode(bytes.fromhex(sha256)).decode()}:"} if sha256 else {}


def _read(fields: Fields, name: str) -> dict[str, bytes]:
    """Return the digests of the algorithms that we compute."""
    try:
        members = parse_dictionary(fields.get(name, ""))
    except NotStructuredError:
        raise BadRequestError(f"{name.title()} cannot be read; send e.g. sha-256=:…: (RFC 9530).") from None
    digests = {known: members[known] for known in ALGORITHMS if known in members}
    for known, digest in digests.items():
        size = hashlib.new(ALGORITHMS[known]).digest_size
        if not isinstance(digest, bytes) or len(digest) != size:
            raise BadRequestError(f"The digest in {name.title()} is not one of {known} in base64.")
    return digests
