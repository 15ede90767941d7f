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
from app.web.search_server import Searcher
from app.web.tagged import answer_tagged
from app.web.upstreams import UpstreamsDep

router = APIRouter(include_in_schema=False, route_class=BoundedRoute)
ASKED = frozenset({"_search", "_msearch", "_mget", "_count"})
DOCUMENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
NOWHERE = "Of the search server, this site has TYPE/_search, TYPE/ID, _msearch, _mget and _count only."


@router.post("/es/{path:path}")
@reads_body
@opened_by(Scope.READ)
async def search(
    path: str, request: Request, upstreams: UpstreamsDep, viewer_id: ViewerDep, client: ClientDep
) -> Response:
    """Search one index, or all."""
    steps = _steps(path)
    what = steps.pop() if steps else ""
    types = _types(steps, what)
    if types is None:
        raise NotFoundError(NOWHERE)
    body = await read_body(request)
    server, who = upstreams.search, Searcher(viewer_id, client.asker)
    if what == "_msearch":
        return _json(await search_service.search_many(server, types, body, who))
    parsed = search_service.parse(body)
    if what == "_mget":
        return _json(await search_service.get_documents(server, types[0], parsed, who))
    if what == "_count":
        return _json(await search_service.count(server, types, parsed, who))
    # As Elasticsearch 6 tells it where its own paths are used, and as 7 and later do.
    is_new = len(steps) == 1 and steps != ["_all"]
    return _json(await search_service.search(server, types, parsed, who, total_as_object=is_new))


@router.get("/es/{path:path}")
@opened_by(Scope.READ)
async def get_document(
    path: str, request: Request, upstreams: UpstreamsDep, viewer_id: ViewerDep, client: ClientDep
) -> Response:
    """Return one document, with an entity tag."""
    match _steps(path):
        case [kind, "_doc", document_id] if kind in TYPES and DOCUMENT_ID.fullmatch(document_id):
            pass
        case [kind, other, document_id] if kind == other in TYPES and DOCUMENT_ID.fullmatch(document_id):
            pass
        case _:
            raise NotFoundError(NOWHERE)
    server = upstreams.search
    who = Searcher(viewer_id, client.asker)
    found = await search_service.get_document(server, kind, document_id, who)
    return answer_tagged(request, _encoded(found), media_type="application/json", viewer_id=viewer_id)


def _steps(path: str) -> list[str]:
    # Older builds write `es//data/data/61`.
    return [step for step in path.split("/") if step]


def _types(steps: list[str], what: str) -> tuple[str, ...] | None:
    """Return the indices that a path names before what it asks for; None where there is no such path."""
    match steps:
        case ["_all"] if what in {"_search", "_count"}:
            return TYPES
        case [] if what in {"_msearch", "_mget", "_count"}:
            return TYPES
        case [kind] | [kind, _] if kind in TYPES and steps[-1] == kind and what in ASKED:
            return (kind,)
    return None


def _json(document: dict[str, object]) -> Response:
    return Response(_encoded(document), media_type="application/json", headers={"Cache-Control": "no-store"})


def _encoded(document: dict[str, object]) -> bytes:
    # ASCII: what comes from elsewhere may hold half a surrogate pair, which has no UTF-8.
    return json.dumps(document).encode()
