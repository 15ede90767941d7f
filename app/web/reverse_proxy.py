"""Reverse proxy for OpenML's read API and files, Croissant and dashboards.

Only paths of a known shape go through, only with GET (and the one POST of Dash), and nothing that comes back may run
as a script of this host: the access token of whoever looks at it lies in localStorage. Dashboards are the exception,
for they are pages; their server is the operator's own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode

import structlog
from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.core.bodies import BoundedRoute, read_body, reads_body
from app.core.errors import BadRequestError, NotFoundError, TooBusyError, TooManyRequestsError
from app.core.outgoing import OUR_NAME
from app.deps import get_client
from app.index.engine import IndexUnavailableError
from app.openml.problems import OpenMLUnreachableError
from app.web.catalogue.routes import AnyCatalogueDep
from app.web.catalogue.service import Catalogue
from app.web.pages import render
from app.web.results.pages import ResultsPages, ResultsPagesDep
from app.web.tagged import answer_tagged
from app.web.upstream import (
    BusyError,
    StreamedAnswer,
    UnreachableError,
    UpstreamClient,
    UpstreamError,
)
from app.web.upstreams import UpstreamsDep

log = structlog.get_logger(__name__)
router = APIRouter(include_in_schema=False, route_class=BoundedRoute)

READS = ["GET", "HEAD"]
REST_PATH = re.compile(r"v1(?:/[A-Za-z0-9~%.:_(),=-]+)+/?")
"""What OpenML's server takes in a path, and `=`, which openml-python sends."""
FILE_PATH = re.compile(r"(?:v1/)?(?:download|get_csv)/[0-9]{1,18}(?:/[^/\\\x00-\x1f\x7f]{1,255})?/?")
PATH_CHARACTERS = 2000
QUERY_FIELDS = 100
KEY_NAMES = ("api_key", "apikey", "session_hash")
INERT = {
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}
ASKED = ("accept", "range", "if-none-match", "if-modified-since", "if-range")
ANSWERED = (
    "content-type",
    "content-length",
    "content-encoding",
    "content-range",
    "content-disposition",
    "accept-ranges",
    "etag",
    "last-modified",
)
DATASET = re.compile(r"[1-9][0-9]{0,9}")
NOTHING = "There are no charts on this site."
_TOGETHER = "There are no charts of all {} together on this site; each one has its own."
NOT_THERE = {
    kind: _TOGETHER.format(things)
    for kind, things in (
        ("data", "datasets"),
        ("task", "tasks"),
        ("flow", "flows"),
        ("run", "runs"),
        ("study", "collections"),
    )
}
"""Why there are no charts, by what they would be of."""
NO_SCRIPT = "text/plain; charset=utf-8"
NO_BODY = (204, 304)
SERVER_FAULT = 500
BUSY_RETRY_SECONDS = 5
OWN_SHARE = "Your network reads as much at once as it may; wait until some of it has ended"


@dataclass(frozen=True, slots=True)
class Policy:
    """How the answers of one server are passed on."""

    media_types: tuple[str, ...] = ()
    """Types that are kept; others become plain text. Empty: all are kept."""
    headers: Mapping[str, str] = field(default_factory=lambda: INERT)
    kept: tuple[str, ...] = ANSWERED


REST = Policy(("text/xml", "application/xml", "application/json", "text/plain"))
FILES = Policy(("text/plain", "text/csv", "application/octet-stream", "application/x-arff", "text/x-arff"))
CROISSANT = Policy(("application/json", "application/ld+json"))
DASHBOARD = Policy(
    headers={"Content-Security-Policy": "frame-ancestors 'self'"}, kept=(*ANSWERED, "cache-control")
)


@router.api_route("/api/{path:path}", methods=READS)
async def read_openml(path: str, request: Request, upstreams: UpstreamsDep) -> Response:
    """Answer a read of OpenML's REST API, as anybody may make it."""
    client = upstreams.reads
    if client is None or not _is_plain(path) or not REST_PATH.fullmatch(path):
        raise NotFoundError("OpenML's REST API has no such path here.")
    answer = await _open(request, client, f"/api/{_quoted(path)}{_query_without_keys(request)}")
    return await _proxied(answer, REST)


@router.api_route("/data/{path:path}", methods=READS)
async def download_file(path: str, request: Request, upstreams: UpstreamsDep) -> Response:
    """Answer with a public file of OpenML, or a part of it."""
    client = upstreams.files
    if client is None or not _is_plain(path) or not FILE_PATH.fullmatch(path):
        raise NotFoundError("There is no such file here.")
    return await _proxied(await _open(request, client, f"/data/{_quoted(path)}"), FILES)


@router.api_route("/croissant/dataset/{dataset_id}", methods=READS)
async def describe_as_croissant(
    dataset_id: str, request: Request, upstreams: UpstreamsDep, catalogue: AnyCatalogueDep
) -> Response:
    """Answer with the Croissant description of a dataset: another server's, or one made of the index."""
    if not re.fullmatch(r"[0-9]{1,18}", dataset_id):
        raise _no_croissant(dataset_id)
    if upstreams.croissant is not None:
        answer = await _open(request, upstreams.croissant, f"/croissant/dataset/{dataset_id}")
        is_json = _media_type(answer) in CROISSANT.media_types
        if answer.status >= SERVER_FAULT or (is_json and answer.status in {200, 304}):
            return await _proxied(answer, CROISSANT)
        # The SPA would save whatever came as `dataset_N_croissant.json`.
        await answer.close()
    return await _made_of_index(dataset_id, request, catalogue)


async def _made_of_index(dataset_id: str, request: Request, catalogue: Catalogue | None) -> Response:
    try:
        body = await catalogue.croissant(dataset_id) if catalogue else None
    except IndexUnavailableError:
        body = None
    if body is None or catalogue is None:
        raise _no_croissant(dataset_id)
    return answer_tagged(
        request,
        body,
        media_type="application/ld+json",
        viewer_id=catalogue.viewer_id,
        headers=INERT,
    )


def _no_croissant(dataset_id: str) -> NotFoundError:
    return NotFoundError(f"There is no Croissant description of dataset {dataset_id}.")


@router.post("/dashboard/_dash-update-component")
@reads_body
async def update_dashboard(request: Request, upstreams: UpstreamsDep) -> Response:
    """Pass on a dashboard's question for what it shows."""
    client = upstreams.dashboard
    if client is None:
        raise NotFoundError("There are no dashboards here.")
    answer = await _open(
        request, client, "/dashboard/_dash-update-component", method="POST", body=await read_body(request)
    )
    return await _proxied(answer, DASHBOARD)


@router.api_route("/dashboard", methods=READS)
@router.api_route("/dashboard/{path:path}", methods=READS)
async def show_dashboard(
    request: Request, upstreams: UpstreamsDep, pages: ResultsPagesDep, path: str = ""
) -> Response:
    """Answer with a dashboard, or say that there is none: the SPA shows this in a frame."""
    client = upstreams.dashboard
    if client is None:
        return await _own_dashboard(path.rstrip("/"), request, pages)
    if not _is_plain(path):
        raise NotFoundError
    query = quote(request.scope["query_string"], safe="=&%+,;:@/?!$'()*~-._")
    try:
        answer = await _open(request, client, f"/dashboard/{_quoted(path)}{'?' if query else ''}{query}")
        return await _proxied(answer, DASHBOARD)
    except (OpenMLUnreachableError, TooBusyError, TooManyRequestsError) as problem:
        return await _no_dashboard("The charts cannot be shown at the moment.", status=problem.status)


async def _own_dashboard(path: str, request: Request, pages: ResultsPages | None) -> Response:
    """Answer where there is no server of dashboards: with our charts of a dataset, of results, or what is not there."""
    kind, _, number = path.partition("/")
    if kind == "data" and DATASET.fullmatch(number):
        title = f"Charts of dataset {number}"
        return await render(
            "dashboard_data.html", title=title, dataset_id=number, wide=True, framed_by="'self'"
        )
    if pages is not None and (page := await pages.answer(path, request)):
        return page
    return await _no_dashboard(NOT_THERE.get(kind, NOTHING), status=404)


async def _no_dashboard(text: str, *, status: int) -> Response:
    return await render("dashboard.html", title="Charts", text=text, status=status, framed_by="'self'")


async def _open(
    request: Request, client: UpstreamClient, path: str, *, method: str = "", body: bytes | None = None
) -> StreamedAnswer:
    if OUR_NAME in request.headers.get("via", ""):
        raise NotFoundError(
            "This host passes such requests on to itself; its settings name the wrong server."
        )
    headers = {name: value for name in ASKED if (value := request.headers.get(name)) and _is_visible(value)}
    encodings = request.headers.get("accept-encoding", "")
    headers["accept-encoding"] = encodings if encodings and _is_visible(encodings) else "identity"
    if body is not None:
        headers["content-type"] = "application/json"
    asker = (await get_client(request)).asker
    try:
        return await client.open(method or request.method, path, asker=asker, headers=headers, body=body)
    except BusyError as error:
        if error.is_own_share:
            raise TooManyRequestsError(OWN_SHARE, retry_after_seconds=BUSY_RETRY_SECONDS) from None
        raise TooBusyError(retry_after_seconds=BUSY_RETRY_SECONDS) from None
    except UpstreamError as error:
        log.warning("upstream_failed", path=request.url.path, reason=str(error))
        raise OpenMLUnreachableError from None


async def _proxied(answer: StreamedAnswer, policy: Policy) -> Response:
    if answer.location is not None:
        await answer.close()
        # Whoever made the dataset chose the address: this host sends nobody there.
        raise NotFoundError("This is kept on another server.", location=answer.location)
    if answer.status >= SERVER_FAULT:
        await answer.close()
        log.warning("upstream_failed", reason=f"status {answer.status}")
        raise OpenMLUnreachableError
    headers = {name: answer.headers[name] for name in policy.kept if name in answer.headers}
    if answer.status in NO_BODY:
        headers.pop("content-length", None)
    if policy.media_types and _media_type(answer) not in policy.media_types:
        headers["content-type"] = NO_SCRIPT
    if "content-encoding" in headers:
        headers["vary"] = "Accept-Encoding"
    return ProxiedResponse(answer, headers={**headers, **policy.headers})


class ProxiedResponse(StreamingResponse):
    """Streams an upstream answer to the client; if it is incomplete, so is the response."""

    def __init__(self, answer: StreamedAnswer, *, headers: Mapping[str, str]) -> None:
        super().__init__(answer.chunks(), status_code=answer.status, headers=headers)
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response, and close the upstream answer."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._answer.close()

    async def stream_response(self, send: Send) -> None:
        """Send all bytes; if some are missing, do not end the response, so that clients detect the truncation."""
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": [*self.raw_headers]}
        )
        try:
            async for chunk in self._answer.chunks():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except UnreachableError as error:
            log.warning("upstream_failed", reason=str(error))
            return
        await send({"type": "http.response.body"})


def _media_type(answer: StreamedAnswer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_plain(path: str) -> bool:
    """Return whether the path leads downwards only, and is one line of text."""
    steps = path.split("/")
    return len(path) <= PATH_CHARACTERS and ".." not in steps and "." not in steps and path.isprintable()


def _is_visible(value: str) -> bool:
    return value.isascii() and value.isprintable()


def _quoted(path: str) -> str:
    return quote(path, safe="/~:_(),=@!$&'*+;-.")


def _query_without_keys(request: Request) -> str:
    """Return the query string, with its question mark, without whatever OpenML would take for an API key."""
    query = request.scope["query_string"].decode("latin-1")
    try:
        fields = parse_qsl(query, keep_blank_values=True, max_num_fields=QUERY_FIELDS)
    except ValueError:
        raise BadRequestError(f"The query string has more than {QUERY_FIELDS} fields.") from None
    kept = [(name, value) for name, value in fields if not _names_key(name)]
    return f"?{urlencode(kept)}" if kept else ""


def _names_key(name: str) -> bool:
    # PHP reads `api.key`, ` api key` and `api[key` as `api_key`.
    return re.sub(r"[ .\[]", "_", name.strip().lower()).lstrip("_").startswith(KEY_NAMES)
