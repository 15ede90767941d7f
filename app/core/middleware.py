"""What every request gets: an id, one log line, security headers, and a limit on its body."""

import asyncio
import itertools
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import tracing
from app.core.access import Answered, note_answer
from app.core.clients import ProxyNetwork
from app.core.errors import BadRequestError, NotReadyError
from app.core.http import problem_response

BODY_BYTES = 1 << 20
"""Largest body that does not stream to disk."""
SMALL_FORM_BYTES = 1 << 16
"""Largest form without a file. It is read byte by byte on the event loop: half a second for a mebibyte of `&`."""
BODY_SECONDS = 60
"""In which a body that does not stream to disk has to arrive; a mebibyte takes that long on a modem."""
_BODY = "openml.body"
"""Where the scope of a request has its body."""
LIVE = "/health/live"
"""Says that the process answers, so it is answered; whether it can work is said by `/health/ready`, which waits."""
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    # For what is no page; pages bring policies of their own.
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
HSTS = (b"strict-transport-security", b"max-age=31536000")
CREDENTIALS = {b"authorization", b"x-api-key"}
CLIENT_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
"""UUIDs, trace ids and the like; nothing that a log or a page could take for more than a word."""
NO_STORE = (b"cache-control", b"no-store")
"""For answers to signed-in requests, and those without a `Cache-Control` and an `ETag` of their own."""
STOPPING = "The service stops or starts anew. Send the same again: an upload that was received goes on, once."


class RequestMiddleware:
    """Pure ASGI, so that bodies stream through untouched and context variables travel."""

    def __init__(self, app: ASGIApp, *, https: bool, trusted_proxies: Sequence[ProxyNetwork] = ()) -> None:
        """Take the application, and whose `X-Forwarded-For` counts; `https`: people reach it over TLS only."""
        self._app = app
        self._trusted = trusted_proxies
        self._headers = (*SECURITY_HEADERS, HSTS) if https else SECURITY_HEADERS
        self._process = secrets.token_hex(4)
        self._numbers = itertools.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with tracing.request(scope):
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        ids = {"request_id": f"{self._process}{next(self._numbers):08x}"}
        # Two requests may bring the same one, so it stands beside ours and never in its place.
        if theirs := _client_request_id(scope):
            ids["client_request_id"] = theirs
        answered_id = (theirs or ids["request_id"]).encode()
        started = time.perf_counter()
        status, has_begun, sent = 500, False, 0
        # What somebody's credentials brought forth is nobody else's, whatever stands in between.
        private = any(name in CREDENTIALS for name, _ in scope["headers"])

        async def send_with_headers(message: Message) -> None:
            nonlocal status, has_begun, sent
            if message["type"] == "http.response.start":
                status, has_begun = message["status"], True
                headers = message["headers"]
                present = {name for name, _ in headers}
                headers.append((b"x-request-id", answered_id))
                headers.extend(header for header in self._headers if header[0] not in present)
                if b"cache-control" not in present and (private or b"etag" not in present):
                    headers.append(NO_STORE)
            await send(message)
            sent += len(message.get("body", b""))

        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(**ids)
        # Which other lines have by `core.logging.add_trace`.
        if trace_id := tracing.trace_id():
            ids["trace_id"] = trace_id
            tracing.annotate("openml.request_id", ids["request_id"])
        try:
            await self._app(scope, receive, send_with_headers)
        except asyncio.CancelledError:
            # The server stops, and has waited for as long as it may. Nobody else cancels a whole request.
            if not has_begun:
                await problem_response(NotReadyError(STOPPING))(scope, receive, send_with_headers)
        finally:
            body: IncomingBody | None = scope.get(_BODY)
            received = body.received if body else 0
            answer = Answered(status, time.perf_counter() - started, received, sent)
            note_answer(scope, ids, answer, trusted=self._trusted)


def _client_request_id(scope: Scope) -> str | None:
    """Return the id that a client gave its request, if it gave one and it can stand in a line of a log as it is."""
    given: list[bytes] = [value for name, value in scope["headers"] if name == b"x-request-id"]
    if len(given) == 1 and CLIENT_REQUEST_ID.fullmatch(given[0]):
        return given[0].decode("ascii")
    return None


class UpgradeMiddleware:
    """Refuses a request with a body and an offer to upgrade, and ends its connection.

    Our own servers take no such offer (`app/core/framing.py`), and never show one. uvicorn with httptools, started
    in another way, loses such a body and reads it as the next request; a connection that ends brings no next request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and any(name == b"upgrade" for name, _ in scope["headers"]):
            headers = Headers(scope=scope)
            if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
                problem = BadRequestError(
                    "This server cannot read the body of a request that offers an Upgrade; send it without one.",
                    headers={"Connection": "close"},
                )
                await problem_response(problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class IncomingBody:
    """The body of a request as it comes: to a route at most `limit_bytes` in `BODY_SECONDS`, or its reader's limits.

    Attributes:
        limit_bytes: `BODY_BYTES`, or `SMALL_FORM_BYTES` for a route that takes a form.
        declared: its length in bytes, if the client says so.
        received: bytes that came so far.
        has_ended: nothing more will come.
        is_bounded: these limits hold. They do for every `BoundedRoute` until a reader with limits of its own takes over
            or the answer begins. Files are sent by applications that read nothing, and wait here for the client to go.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        self.declared = int(length) if length.isdecimal() else None
        self.has_ended = not self.declared and "transfer-encoding" not in headers
        self.limit_bytes = BODY_BYTES
        self.is_bounded = False
        self._receive = receive
        self.received = 0
        self._deadline = asyncio.get_running_loop().time() + BODY_SECONDS

    async def receive(self) -> Message:
        """Return the next piece, or the client's departure.

        Raises:
            HTTPException: 413 or 408; FastAPI turns every other exception of a body into a 400.
        """
        is_bounded = self.is_bounded and not self.has_ended
        if is_bounded and (self.declared or 0) > self.limit_bytes:
            raise HTTPException(413)
        try:
            async with asyncio.timeout_at(self._deadline if is_bounded else None):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, headers={"Connection": "close"}) from None
        self.received += len(message.get("body", b""))
        if is_bounded and self.received > self.limit_bytes:
            raise HTTPException(413)
        # Later calls only wait for the client to go away.
        self.has_ended = not message.get("more_body", False)
        return message


def admit_body(scope: Scope, receive: Receive) -> IncomingBody:
    """Return the body of a new request, and leave it in its scope for the readers."""
    body = scope[_BODY] = IncomingBody(scope, receive)
    return body


def body_of(scope: Scope) -> IncomingBody:
    """Return the body of the request; `core.bodies` reads it."""
    body: IncomingBody = scope[_BODY]
    return body


class BodyMiddleware:
    """Hands each request its body, whose limits hold until the answer begins."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = admit_body(scope, receive)

        async def send_unbounded(message: Message) -> None:
            # What is left of it the server reads and forgets, for a while (core/framing.py).
            body.is_bounded = False
            await send(message)

        await self._app(scope, body.receive, send_unbounded)


class LateRoutesMiddleware:
    """Lets requests wait until the routes are there: a service listens while it still imports most of itself."""

    def __init__(self, app: ASGIApp, *, until_complete: Callable[[], Awaitable[None]]) -> None:
        """Take what is next, and what returns once the routes are there."""
        self._app = app
        self._until_complete = until_complete
        self._is_complete = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if not self._is_complete and scope["type"] == "http":
            if scope["path"] == LIVE and scope["method"] == "GET":
                await JSONResponse({"status": "ok"})(scope, receive, send)
                return
            await self._until_complete()
            self._is_complete = True
        await self._app(scope, receive, send)
