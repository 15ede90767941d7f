"""The pages of what is published, at the short addresses that the official frontend has, too.

Where there is a build, or `REDIRECT_URL`, those lead to its pages; without an index, to those of the OpenML server.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from app.core.bodies import BoundedRoute
from app.core.limits import hits_from
from app.deps import ClientDep, LimitsDep, ResourcesDep, SettingsDep, ViewerDep
from app.index.engine import IndexUnavailableError
from app.web.catalogue.contents import WantedPart
from app.web.catalogue.query import read_query
from app.web.catalogue.service import Catalogue, Context
from app.web.catalogue.texts import render_markdown
from app.web.fallback import PageFallback
from app.web.mailbox import MailboxDep
from app.web.pages import fill, page_headers
from app.web.tagged import answer_tagged
from app.web.upstreams import UpstreamsDep

log = structlog.get_logger(__name__)
router = APIRouter(include_in_schema=False, route_class=BoundedRoute)
NUMBER: Final = re.compile(r"[0-9]{1,18}")
KINDS: Final = {"data": "dataset", "task": "task", "study": "collection", "user": "user"}
RETRY_SECONDS = 5


async def get_any_catalogue(
    resources: ResourcesDep, upstreams: UpstreamsDep, viewer_id: ViewerDep, client: ClientDep
) -> Catalogue | None:
    """Return the catalogue, whoever shows pages of it; None where there is no index."""
    if resources.index is None:
        return None
    return Catalogue(
        index=resources.index,
        settings=resources.settings,
        viewer_id=viewer_id,
        asker=client.asker,
        is_read_here=upstreams.reads is not None,
        passes_files_on=upstreams.files is not None,
        published=resources.published,
    )


AnyCatalogueDep = Annotated[Catalogue | None, Depends(get_any_catalogue)]


async def get_catalogue(request: Request, catalogue: AnyCatalogueDep) -> Catalogue | None:
    """Return the catalogue; None where there is none, or the pages are somebody else's."""
    return None if request.scope["state"].get("files") is not None else catalogue


CatalogueDep = Annotated[Catalogue | None, Depends(get_catalogue)]


class Elsewhere(Response):
    """What answers an address that has no page of ours: a build, a redirect, or 404."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        await PageFallback()(scope, receive, send)


@router.get("/")
async def start_page(
    request: Request, settings: SettingsDep, catalogue: CatalogueDep, mailbox: MailboxDep
) -> Response:
    """Say what this is, what is new, and where to go."""
    shown: Context = {
        "title": "Find and publish datasets on OpenML",
        "openml_url": settings.openml_url,
        "mailbox": mailbox,
    }
    if catalogue is None:
        page = await asyncio.to_thread(
            fill, "start.html", {**shown, "has_search": False, "counts": None, "newest": []}
        )
        return HTMLResponse(page, headers={**page_headers(), "Cache-Control": "no-store"})
    found = {"wide": True, "has_search": True, **await catalogue.start()}
    return await _answer("start.html", request, catalogue, {**shown, **found})


@router.get("/search")
@router.get("/search/")
async def search_page(request: Request, catalogue: CatalogueDep, mailbox: MailboxDep) -> Response:
    """Show what is found, or one thing: the official frontend's addresses of things are searches."""
    if catalogue is None:
        return Elsewhere()
    query = read_query(request.query_params)
    number = request.query_params.get("id", "")
    if NUMBER.fullmatch(number):
        return await _one(query.kind, number, request, catalogue, mailbox=mailbox)
    try:
        context = await catalogue.search(query)
    except IndexUnavailableError as error:
        return await _unavailable(request, catalogue, error, mailbox=mailbox)
    shown = {**context, "title": "Search", "wide": True, "mailbox": mailbox}
    return await _answer("search.html", request, catalogue, shown)


async def count_look(request: Request, limits: LimitsDep, client: ClientDep) -> None:
    """Count who asks for what a dataset's file holds, as the API does."""
    if "look" in request.query_params:
        await limits.hit(*hits_from("contents-address", client))


@router.get("/d/{number}", dependencies=[Depends(count_look)])
@router.get("/d/{number}/", dependencies=[Depends(count_look)])
async def dataset_page(
    number: str, request: Request, catalogue: CatalogueDep, mailbox: MailboxDep
) -> Response:
    """Show a dataset; with `look` in the address, what its file holds, whoever asks first."""
    return await _short("data", number, request, catalogue, mailbox=mailbox)


@router.get("/t/{number}")
@router.get("/t/{number}/")
async def task_page(number: str, request: Request, catalogue: CatalogueDep, mailbox: MailboxDep) -> Response:
    """Show a task."""
    return await _short("task", number, request, catalogue, mailbox=mailbox)


@router.get("/s/{number}")
@router.get("/s/{number}/")
@router.get("/b/{number}")
@router.get("/b/{number}/")
async def collection_page(
    number: str, request: Request, catalogue: CatalogueDep, mailbox: MailboxDep
) -> Response:
    """Show a collection."""
    return await _short("study", number, request, catalogue, mailbox=mailbox)


@router.get("/u/{number}")
@router.get("/u/{number}/")
async def person_page(
    number: str, request: Request, catalogue: CatalogueDep, mailbox: MailboxDep
) -> Response:
    """Show a user's public profile."""
    return await _short("user", number, request, catalogue, mailbox=mailbox)


async def _short(
    kind: str, number: str, request: Request, catalogue: Catalogue | None, *, mailbox: bool
) -> Response:
    if catalogue is None or catalogue.settings.redirect_url or not NUMBER.fullmatch(number):
        return Elsewhere()
    return await _one(kind, number, request, catalogue, mailbox=mailbox)


async def _one(kind: str, number: str, request: Request, catalogue: Catalogue, *, mailbox: bool) -> Response:
    query = request.query_params
    pages = {name: int(query[name]) for name in ("columns", "rows") if NUMBER.fullmatch(query.get(name, ""))}
    # The other address of a dataset has no limit of its own, and asks for nothing.
    asked = WantedPart(**pages, look="look" in query and not request.url.path.startswith("/search"))
    finders: dict[str, Callable[[], Awaitable[Context | None]]] = {
        "data": lambda: catalogue.dataset(number, asked),
        "task": lambda: catalogue.task(number),
        "study": lambda: catalogue.collection(number),
        "user": lambda: catalogue.person(number),
    }
    try:
        context = await finders[kind]()
    except IndexUnavailableError as error:
        return await _unavailable(request, catalogue, error, mailbox=mailbox)
    if context is None:
        return await _missing(kind, number, request, catalogue, mailbox=mailbox)
    shown = {**context, "wide": True, "mailbox": mailbox}
    return await _answer(f"{KINDS[kind]}.html", request, catalogue, shown)


async def _missing(
    kind: str, number: str, request: Request, catalogue: Catalogue, *, mailbox: bool
) -> Response:
    text = (
        f"There is no {KINDS[kind]} {int(number)} here, or it is private. "
        "What was published a moment ago may take a few seconds to appear."
    )
    shown: Context = {
        "title": f"No such {KINDS[kind]}",
        "text": text,
        "links": [(f"/search?type={kind}", "Search"), ("/", "Start page")],
        "kind": kind,
        "number": int(number),
        "mailbox": mailbox,
    }
    return await _answer("missing.html", request, catalogue, shown, status=404)


async def _unavailable(
    request: Request, catalogue: Catalogue, error: IndexUnavailableError, *, mailbox: bool
) -> Response:
    log.warning("catalogue_unavailable", path=request.url.path, reason=str(error))
    again = request.url.replace(scheme="", netloc="")
    shown: Context = {
        "title": "Not now",
        "text": "The search does not answer now. Try again in a moment.",
        "links": [(str(again), "Try again"), ("/", "Start page")],
        "mailbox": mailbox,
    }
    answer = await _answer("message.html", request, catalogue, shown, status=503)
    answer.headers["Retry-After"] = str(RETRY_SECONDS)
    return answer


async def _answer(
    template: str, request: Request, catalogue: Catalogue, context: Context, *, status: int = 200
) -> Response:
    """Return a page with an entity tag: whoever has it is told so, and anybody asks again."""
    shown = {**context, "markdown": render_markdown}
    page = await catalogue.run(fill, template, shown)
    return answer_tagged(
        request,
        page.encode(),
        media_type="text/html",
        viewer_id=catalogue.viewer_id,
        headers=page_headers(),
        status=status,
    )
