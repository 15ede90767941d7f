"""Answers with an entity tag: who has one is told so, and everybody asks again each time."""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from fastapi import Request, Response

from app.web.serving import is_known

OK: Final = 200
_NO_FIELDS: Final[Mapping[str, str]] = MappingProxyType({})


def answer_tagged(
    request: Request,
    body: bytes,
    *,
    media_type: str,
    viewer_id: int | None,
    headers: Mapping[str, str] = _NO_FIELDS,
    status: int = OK,
) -> Response:
    """Return a body, or 304 where whoever asks has this very one.

    Args:
        request: may have an `If-None-Match`.
        body: what is shown; its entity tag is a hash of it.
        media_type: of the body.
        viewer_id: for whom it was made; what somebody who signed in sees is nobody else's.
        headers: other fields of the answer.
        status: of the body; an error has a tag, and is never 304.
    """
    tag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    fields = {
        **headers,
        "Cache-Control": "no-cache" if viewer_id is None else "private, no-cache",
        "Vary": "Authorization, X-API-Key",
        "ETag": tag,
    }
    if status == OK and is_known(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=fields)
    return Response(body, status_code=status, media_type=media_type, headers=fields)
