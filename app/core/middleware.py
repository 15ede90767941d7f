"""What surrounds every request: an id, one log line, the headers of a careful site, and a cap on its body."""

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.errors import BodyTooLargeError
from app.core.hidden import printable
from app.core.http import problem_response
from app.core.logging import log_request

BODY_SECONDS = 60
"""In which a body that does not stream to disk has to arrive; a mebibyte takes that long on a modem."""
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    # For what is no page; pages bring policies of their own.
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
HSTS = (b"strict-transport-security", b"max-age=31536000")
CREDENTIALS = {b"authorization", b"x-api-key"}
NO_STORE = (b"cache-control", b"no-store")
"""For answers to somebody, and all that say nothing else and cannot be asked about by a tag."""


class RequestMiddleware:
    """Pure ASGI, so that bodies stream through untouched and context variables travel."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        """Take the application; `https` says that people reach it over TLS only."""
        self._app = app
        self._headers = (*SECURITY_HEADERS, HSTS) if https else SECURITY_HEADERS
        self._process = secrets.token_hex(4)
        self._numbers = itertools.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"{self._process}{next(self._numbers):08x}"
        started = time.perf_counter()
        status = 500
        # What somebody's credentials brought forth is nobody else's, whatever stands in between.
        private = any(name in CREDENTIALS for name, _ in scope["headers"])

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"]
                present = {name for name, _ in headers}
                headers.append((b"x-request-id", request_id.encode()))
                headers.extend(header for header in self._headers if header[0] not in present)
                if b"cache-control" not in present and (private or b"etag" not in present):
                    headers.append(NO_STORE)
            await send(message)

        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            # The path alone: query strings carry the tokens of mail links.
            log_request(
                request_id=request_id,
                method=scope["method"],
                path=printable(scope["path"]),
                status=status,
                milliseconds=round((time.perf_counter() - started) * 1000, 1),
            )


class BodyLimitMiddleware:
    """Refuses bodies over `limit` bytes, by their declared length or while they come.

    FastAPI's own `max_body_size` answers in plain text. Routes that stream to disk are left out: they have limits of
    their own, which are settings.
    """

    def __init__(self, app: ASGIApp, *, limit: int, streams: Callable[[str, Headers], bool]) -> None:
        self._app = app
        self._limit = limit
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = Headers(scope=scope) if scope["type"] == "http" else None
        if headers is None or self._streams(scope["path"], headers):
            await self._app(scope, receive, send)
            return
        declared = headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > self._limit:
            problem = BodyTooLargeError(
                f"The body is larger than {self._limit} bytes.", limit_bytes=self._limit
            )
            await problem_response(problem)(scope, receive, send)
            return
        received, receiving = 0, True
        deadline = asyncio.get_running_loop().time() + BODY_SECONDS

        async def receive_counted() -> Message:
            nonlocal received, receiving
            try:
                async with asyncio.timeout_at(deadline if receiving else None):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408) from None
            received += len(message.get("body", b""))
            if received > self._limit:
                # FastAPI turns every other exception of a body into a 400.
                raise HTTPException(413)
            # Later calls only wait for the client to go away.
            receiving = bool(message.get("more_body"))
            return message

        await self._app(scope, receive_counted, send)
