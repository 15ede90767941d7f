"""What surrounds every request: an id, one log line, the headers of a careful site, and a cap on its body."""

import itertools
import secrets
import time
from collections.abc import Collection

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.errors import BodyTooLargeError
from app.core.http import problem_response
from app.core.logging import log_request

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class RequestMiddleware:
    """Pure ASGI, so that bodies stream through untouched and context variables travel."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
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

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"]
                present = {name for name, _ in headers}
                headers.append((b"x-request-id", request_id.encode()))
                headers.extend(header for header in SECURITY_HEADERS if header[0] not in present)
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
                path=scope["path"],
                status=status,
                milliseconds=round((time.perf_counter() - started) * 1000, 1),
            )


class BodyLimitMiddleware:
    """Refuses bodies over `limit` bytes, by their declared length or while they come.

    FastAPI's own `max_body_size` answers in plain text. Routes that stream to disk are left out: they have limits of
    their own, which are settings.
    """

    def __init__(self, app: ASGIApp, *, limit: int, streaming_paths: Collection[str]) -> None:
        self._app = app
        self._limit = limit
        self._streaming_paths = frozenset(streaming_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in self._streaming_paths:
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdigit() and int(declared) > self._limit:
            problem = BodyTooLargeError(
                f"The body is larger than {self._limit} bytes.", limit_bytes=self._limit
            )
            await problem_response(problem)(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                # FastAPI turns every other exception of a body into a 400.
                raise HTTPException(413)
            return message

        await self._app(scope, receive_counted, send)
