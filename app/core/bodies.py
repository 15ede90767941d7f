"""The only readers of request bodies. A limit is the reader's: none depends on a path or on what a client says."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from fastapi import Request, Response, params
from fastapi.routing import APIRoute

from app.core.errors import BodyStalledError, BodyTooLargeError
from app.core.middleware import BODY_BYTES, SMALL_FORM_BYTES, IncomingBody, body_of

LEAST_BYTES = 4096
"""What has to arrive while a body is waited for; less is no upload, whatever the line."""
_MARK = "reads_body"
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


async def read_body(request: Request, limit_bytes: int = BODY_BYTES) -> bytes:
    """Return the whole body; the route's function is marked with `reads_body`.

    Args:
        request: whose body was not read yet.
        limit_bytes: most that the body may hold, at most `BODY_BYTES`.

    Raises:
        BodyTooLargeError: the body is longer; a declared length is refused before anything is read.
        HTTPException: 408, it takes more than `BODY_SECONDS` to come.
    """
    _require_declared(body_of(request.scope), limit_bytes)
    content = bytearray()
    async for chunk in request.stream():
        if len(content) + len(chunk) > limit_bytes:
            raise _too_long(limit_bytes)
        content += chunk
    return bytes(content)


async def repeated_fields(request: Request, names: Iterable[str]) -> list[str]:
    """Return which of the fields came more than once in a small form that FastAPI has read already."""
    form = await request.form()
    return [name for name in names if len(form.getlist(name)) > 1]


def stream_body(
    request: Request, *, limit_bytes: int, form_bytes: int = 0, stall_seconds: float
) -> AsyncIterator[bytes]:
    """Return the body as it arrives, for what goes to disk or to a store; the function is marked with `reads_body`.

    Args:
        request: whose body was not read yet.
        limit_bytes: largest file.
        form_bytes: what the form may hold beside it, if the body is one.
        stall_seconds: in which `LEAST_BYTES` have to arrive, or the end; how long it takes in all is not limited.

    Raises:
        BodyTooLargeError: the body is longer, at once or while it comes.
        BodyStalledError: the client has gone silent (while it comes).
    """
    body = body_of(request.scope)
    if body.declared is not None and body.declared > limit_bytes + form_bytes:
        # The connection stays: a browser that is hung up on while it sends never sees the answer.
        raise BodyTooLargeError(f"The file is larger than {limit_bytes} bytes.", limit_bytes=limit_bytes)
    body.is_bounded = False
    return _bounded(_unstalled(request.stream(), stall_seconds), limit_bytes + form_bytes, limit_bytes)


def reads_body(endpoint: Endpoint) -> Endpoint:
    """Mark a route's function that reads the body by itself, after whatever it judges before."""
    vars(endpoint)[_MARK] = True
    return endpoint


class BoundedRoute(APIRoute):
    """A route that reads what nobody wants of it before its function runs, within the limits of every body.

    So a body that is too large is refused by each route, also by one that takes none, before anything is done.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what serves a request."""
        handle = super().get_route_handler()
        is_read = self.body_field is not None or hasattr(self.endpoint, _MARK)
        is_form = self.body_field is not None and isinstance(self.body_field.field_info, params.Form)

        async def handle_bounded(request: Request) -> Response:
            body = body_of(request.scope)
            body.is_bounded = True
            if is_form:
                body.limit_bytes = SMALL_FORM_BYTES
            if not (is_read or body.has_ended):
                _require_declared(body, BODY_BYTES)
                async for _ in request.stream():
                    pass
            return await handle(request)

        return handle_bounded


def _require_declared(body: IncomingBody, limit_bytes: int) -> None:
    if body.declared is not None and body.declared > limit_bytes:
        raise _too_long(limit_bytes)


def _too_long(limit_bytes: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"The body is larger than {limit_bytes} bytes.", limit_bytes=limit_bytes)


async def _bounded(stream: AsyncIterator[bytes], most: int, limit_bytes: int) -> AsyncIterator[bytes]:
    received = 0
    async for chunk in stream:
        received += len(chunk)
        if received > most:
            raise BodyTooLargeError.of_file(limit_bytes)
        if chunk:
            yield chunk


async def _unstalled(stream: AsyncIterator[bytes], seconds: float) -> AsyncIterator[bytes]:
    """Pass the body on for as long as it comes: a byte now and then would keep a place for nothing."""
    arrived, left = 0, seconds
    while True:
        # What is done with the bytes in between is not the client's time.
        began = time.monotonic()
        try:
            async with asyncio.timeout(left):
                chunk = await anext(stream, None)
        except TimeoutError:
            # Whatever else comes, nobody reads it.
            raise BodyStalledError(
                f"Fewer than {LEAST_BYTES} bytes arrived in {seconds:g} seconds; send it again.",
                headers={"Connection": "close"},
            ) from None
        if chunk is None:
            return
        left -= time.monotonic() - began
        arrived += len(chunk)
        yield chunk
        if arrived >= LEAST_BYTES:
            arrived, left = 0, seconds
