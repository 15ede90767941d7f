"""The only readers of request bodies: JSON and small forms, files, and forms with files, split into their parts.

A limit is the reader's: none depends on a path or on what a client says. No part of a form is ever held whole,
and nothing touches a disk here.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from email.message import Message as Headers
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import Request, Response, params
from fastapi.routing import APIRoute
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.types import Message, Receive

from app.core.errors import BodyStalledError, BodyTooLargeError, MalformedBodyError
from app.core.middleware import BODY_BYTES, SMALL_FORM_BYTES, IncomingBody, body_of

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks  # exists for type checkers only

LEAST_BYTES = 4096
"""What has to arrive while a body is waited for; less is no upload, whatever the line."""
PART_HEADER_BYTES = 16_384
MOST_PARTS = 64
EXTENDED_CHARSETS = frozenset({"utf-8", "iso-8859-1"})
"""Those that RFC 8187 names, and RFC 5987 before it."""
URLENCODED = "application/x-www-form-urlencoded"
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
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
    """A route that reads an unused body before its function runs, within the limits of every body.

    So a body that is too large is refused by each route, also by one that takes none, before anything is done. The
    function's name is the operation's.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - FastAPI's
        super().__init__(*args, **{**kwargs, "generate_unique_id_function": _operation_id})

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
                if request.headers.get("content-type", "").lower().startswith(URLENCODED):
                    request = Request(request.scope, _escaped(request.receive))
            if not (is_read or body.has_ended):
                _require_declared(body, BODY_BYTES)
                async for _ in request.stream():
                    pass
            return await handle(request)

        return handle_bounded


def _escaped(receive: Receive) -> Receive:
    """Return a source of the same body with `%XX` for each byte beyond ASCII.

    The framework reads such bytes as Latin-1; clients that do not escape them (`curl -d`) send UTF-8, as URLs have it.
    """

    async def receive_escaped() -> Message:
        message = await receive()
        if body := message.get("body"):
            message["body"] = _BEYOND_ASCII.sub(lambda byte: b"%%%02X" % ord(byte[0]), body)
        return message

    return receive_escaped


def _operation_id(route: APIRoute) -> str:
    return route.name


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
    """Yield the body's chunks; end with `BodyStalledError` where fewer than `LEAST_BYTES` arrive in `seconds`."""
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


@dataclass(frozen=True, slots=True)
class PartStart:
    """A part begins. `file_name` is None for a plain field; it comes from the client as it is, unchecked."""

    name: str
    file_name: str | None


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is complete."""


PartEvent = PartStart | bytes | PartEnd


async def read_parts(body: AsyncIterator[bytes], content_type: str) -> AsyncIterator[PartEvent]:
    """Yield the start, the bytes and the end of each part.

    Raises:
        MalformedBodyError: the body is no multipart/form-data, or breaks off before its last boundary.
    """
    collector = _Collector()
    try:
        parser = MultipartParser(_boundary(content_type), collector.callbacks())
        async for chunk in body:
            parser.write(chunk)
            for event in collector.drain():
                yield event
        parser.finalize()
    except FormParserError as error:
        raise MalformedBodyError(f"The body is not valid multipart/form-data: {error}") from None
    if not collector.complete:
        raise MalformedBodyError("The body breaks off before its end; send it again.")


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise MalformedBodyError("Send multipart/form-data.")
    return boundary


class _Collector:
    """Turns the parser's callbacks into events."""

    def __init__(self) -> None:
        self.complete = False
        self._events: deque[PartEvent] = deque()
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._header_bytes = 0
        self._headers: dict[bytes, bytes] = {}
        self._parts = 0

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def drain(self) -> list[PartEvent]:
        events = list(self._events)
        self._events.clear()
        return events

    def _on_part_begin(self) -> None:
        self._headers = {}
        self._header_bytes = 0
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise MalformedBodyError(f"The form has more than {MOST_PARTS} parts.")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_value += data[start:end]

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > PART_HEADER_BYTES:
            raise MalformedBodyError("The headers of a part are too long.")

    def _on_header_end(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _on_headers_finished(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        name = options.get(b"name")
        if name is None:
            raise MalformedBodyError("A part of the form has no name.")
        plain = options.get(b"filename")
        file_name = _extended_file_name(disposition) if plain is None else _text(plain)
        self._events.append(PartStart(_text(name), file_name))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])

    def _on_part_end(self) -> None:
        self._events.append(PartEnd())

    def _on_end(self) -> None:
        self.complete = True


def _extended_file_name(disposition: bytes) -> str | None:
    """Return the name of a client that says it as `filename*` alone (RFC 8187), which the parser passes over.

    Raises:
        MalformedBodyError: it is not as its encoding says, or that is none of the two that there may be.
    """
    if b"filename*" not in disposition.lower():
        return None
    header = Headers()
    header["Content-Disposition"] = disposition.decode("latin-1")
    value = header.get_param("filename", header="Content-Disposition")
    if not isinstance(value, tuple):
        return value
    charset, _, text = value
    if (charset or "").lower() not in EXTENDED_CHARSETS:
        raise MalformedBodyError("The part's `filename*` has another encoding than UTF-8.")
    try:
        return text.encode("latin-1").decode(charset or "utf-8")
    except UnicodeError:
        raise MalformedBodyError(f"The part's `filename*` is not {charset}.") from None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")
