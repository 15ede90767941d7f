"""Answers to GET and HEAD for paths without a route: a page for browsers, a problem for other clients."""

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import Message, Receive, Scope, Send

from app.core.errors import NotFoundError
from app.core.http import problem_response
from app.core.settings import Settings
from app.web.links import find_target
from app.web.pages import render
from app.web.serving import FileServer

PAGE_TYPES = ("text/html", "application/xhtml+xml")


class PageFallback:
    """A short link's target, the page of the build, or 404: as a page of ours, or as a problem.

    It is also where a HEAD for a route of ours ends up, as those know only GET; then it is answered as that.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["method"] == "HEAD" and not scope["path"].startswith("/static/"):
            await scope["app"].router({**scope, "method": "GET"}, receive, _without_body(send))
            return
        state = scope["state"]
        server: FileServer | None = state.get("files")
        target = _target(scope, state["resources"].settings, has_build=server is not None)
        if target is not None:
            await RedirectResponse(target, status_code=302)(scope, receive, send)
        elif server is not None and _takes_page(scope, unless_json=True):
            await server.page.send(scope, _with_own_headers(send))
        else:
            not_found = await _not_found(scope)
            await not_found(scope, receive, send)


def _target(scope: Scope, settings: Settings, *, has_build: bool) -> str | None:
    """Return the redirect target of a short link; without a frontend of our own, a page of the OpenML server."""
    path: str = scope["path"]
    if has_build or settings.redirect_url:
        return find_target(path, redirect_url=settings.redirect_url)
    if find_target(path, redirect_url="") is not None:
        return settings.openml_url.rstrip("/") + path.rstrip("/")
    if path.rstrip("/") != "/search":
        return None
    query = scope["query_string"].decode("latin-1")
    # The sandbox has its list of datasets on its first page.
    return settings.openml_url if settings.uses_sandbox else f"{settings.openml_url}search?{query}"


def _takes_page(scope: Scope, *, unless_json: bool) -> bool:
    """Return whether the client accepts a page.

    Browsers name one; programs name JSON or nothing in particular. `unless_json` gives a page to the latter, too: the
    frontend's addresses are its own business.
    """
    # A missing script must not be a page: an old tab would read it as one ("Unexpected token '<'").
    if scope["path"].startswith("/static/"):
        return False
    accepted = Headers(scope=scope).get("accept", "*/*").lower()
    if any(kind in accepted for kind in PAGE_TYPES):
        return True
    return unless_json and "json" not in accepted


async def _not_found(scope: Scope) -> Response:
    if not _takes_page(scope, unless_json=False):
        return problem_response(NotFoundError())
    return await render(
        "message.html",
        title="There is nothing here",
        text="This address leads nowhere. It may be misspelt, or what was here is gone.",
        links=[("/", "Start page"), ("/docs", "The API")],
        status=404,
    )


def _with_own_headers(send: Send) -> Send:
    """Return a `send` for what is inside the middleware, which adds headers: not to the shared ones."""

    async def send_copy(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"]]}
        await send(message)

    return send_copy


def _without_body(send: Send) -> Send:
    ended = False

    async def send_head(message: Message) -> None:
        nonlocal ended
        if message["type"] == "http.response.start":
            await send(message)
        elif not ended:
            ended = True
            await send({"type": "http.response.body"})

    return send_head
