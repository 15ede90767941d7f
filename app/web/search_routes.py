"""The search server's paths that the SPA uses, in the spelling of Elasticsearch 6 and of 8."""

import json
import re

from fastapi import APIRouter, Request, Response

from app.core.bodies import BoundedRoute, read_body, reads_body
from app.core.errors import NotFoundError
from app.core.scopes import Scope, opened_by
from app.deps import ClientDep, ViewerDep
from app.web import search_service
from app.web.search_query import TYPES
from app.web.upstreams import UpstreamsDep

router = APIRouter(include_in_schema=False, route_class=BoundedRoute)
DOCUMENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
NOWHERE = "Of the search server, this site has TYPE/TYPE/_search, TYPE/_search and TYPE/TYPE/ID only."


@router.post("/es/{path:path}")
@reads_body
@opened_by(Scope.READ)
async def search(
    path: str, request: Request, upstreams: UpstreamsDep, viewer_id: ViewerDep, client: ClientDep
) -> Response:
    """Search one index, or all."""
    types: tuple[str, ...]
    match _steps(path):
        case ["_all", "_search"]:
            types, total_as_object = TYPES, False
        case [kind, other, "_search"] if kind == other and kind in TYPES:
            types, total_as_object = (kind,), False
        case [kind, "_search"] if kind in TYPES:
            types, total_as_object = (kind,), True
        case _:
            raise NotFoundError(NOWHERE)
    found = await search_service.search(
        upstreams.search,
        types,
        _parse(await read_body(request)),
        viewer_id=viewer_id,
        asker=client.asker,
        total_as_object=total_as_object,
    )
    return _json(found)


@router.get("/es/{path:path}")
@opened_by(Scope.READ)
async def get_document(
    path: str, upstreams: UpstreamsDep, viewer_id: ViewerDep, client: ClientDep
) -> Response:
    """Return one document."""
    match _steps(path):
        case [kind, "_doc", document_id] if kind in TYPES and DOCUMENT_ID.fullmatch(document_id):
            pass
        case [kind, other, document_id] if kind == other in TYPES and DOCUMENT_ID.fullmatch(document_id):
            pass
        case _:
            raise NotFoundError(NOWHERE)
    server = upstreams.search
    found = await search_service.get_document(
        server, kind, document_id, viewer_id=viewer_id, asker=client.asker
    )
    return _json(found)


def _steps(path: str) -> list[str]:
    # Older builds write `es//data/data/61`.
    return [step for step in path.split("/") if step]


def _parse(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _json(document: dict[str, object]) -> Response:
    # ASCII: what comes from elsewhere may hold half a surrogate pair, which has no UTF-8.
    return Response(
        json.dumps(document), media_type="application/json", headers={"Cache-Control": "no-store"}
    )
