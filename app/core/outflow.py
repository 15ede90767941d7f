"""Bodies of answers: sent in pieces, at a least rate, with a bound on what they hold in memory.

A client that reads slowly keeps what the answer holds: a connection to another server, an open file, memory. So each
has to read at a least rate, measured over a window that allows for short interruptions.
"""

import array
import asyncio
import fcntl
import socket
import termios
import weakref
from collections.abc import Iterator, Sequence

import structlog
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.clients import Client, ProxyNetwork
from app.core.errors import TooBusyError, TooManyRequestsError
from app.core.http import problem_response
from app.core.shares import Place, Shares, ShareUsedUpError

log = structlog.get_logger(__name__)
LEAST_RATE = 8192
"""Bytes a second that a reader has to take: a tenth of a slow telephone line."""
STALL_SECONDS = 30.0
"""How long a reader may take nothing at all."""
PIECE_BYTES = 1 << 16
"""Handed to the server at once. It waits for the reader between pieces only, and keeps a copy of what is not sent."""
LARGE_BYTES = 1 << 18
LARGE_ANSWERS = 64
"""Answers larger than that which lie in memory as a whole while they are read."""
RETRY_SECONDS = 5
LOOK_SECONDS = 0.5
"""How often it is looked how far a reader who is behind has come."""


class LeastRateMiddleware:
    """Sends bodies in pieces, and cuts off who takes fewer than `least_rate` bytes a second.

    Time counts only while something waits for the reader, so an answer that itself comes slowly, as a stream of events
    does, costs nobody anything. Who takes nothing for `window_seconds` is cut off; who is a little too slow, later. It
    needs uvicorn, through whose `receive` it knows the connection; under another server bodies only come in pieces.
    """

    def __init__(self, app: ASGIApp, *, least_rate: int, window_seconds: float) -> None:
        self._app = app
        self._least_rate = least_rate
        self._window_seconds = window_seconds
        self._readers: weakref.WeakKeyDictionary[asyncio.WriteTransport, _Reader] = (
            weakref.WeakKeyDictionary()
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reader = self._reader_of(receive)
        if reader is not None:
            reader.path = scope["path"]

        async def send_in_pieces(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                return
            for piece in _pieces(message):
                await send(piece)
                if reader is not None:
                    reader.note(len(piece.get("body", b"")))

        await self._app(scope, receive, send_in_pieces)

    def _reader_of(self, receive: Receive) -> "_Reader | None":
        transport = getattr(getattr(receive, "__self__", None), "transport", None)
        if transport is None:
            return None
        reader = self._readers.get(transport)
        if reader is None:
            reader = _Reader(transport, self._least_rate, self._window_seconds)
            self._readers[transport] = reader
        return reader


def _pieces(message: Message) -> Iterator[Message]:
    body: bytes = message.get("body", b"")
    if len(body) <= PIECE_BYTES:
        yield message
        return
    for start in range(0, len(body), PIECE_BYTES):
        end = start + PIECE_BYTES
        more = message.get("more_body", False) or end < len(body)
        yield {**message, "body": body[start:end], "more_body": more}


class _Reader:
    """The other end of a connection, and the time that it may still let answers wait.

    The time is measured by a timer that runs while anything waits, also when the answer is done: its end would lie here
    as long as the reader likes.
    """

    def __init__(self, transport: asyncio.WriteTransport, least_rate: int, window_seconds: float) -> None:
        # The transport is the key under which this is kept: to hold it would keep both for ever.
        self._transport = weakref.ref(transport)
        self._least_rate = least_rate
        self._window = self._left = window_seconds
        self._given = self._taken = 0
        self._timer: asyncio.TimerHandle | None = None
        self.path = ""

    def note(self, size: int) -> None:
        """Take note of bytes that were handed over for this reader."""
        self._given += size
        transport = self._transport()
        if self._timer is None and transport is not None and transport.get_write_buffer_size():
            self._taken = self._given - _on_the_way(transport)
            self._look_again()

    def _look_again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        transport = self._transport()
        if transport is None or _is_gone(transport):
            return
        if not transport.get_write_buffer_size():
            self._left = self._window
            return
        taken = self._given - _on_the_way(transport)
        progress, self._taken = taken - self._taken, taken
        self._left = min(self._window, self._left - LOOK_SECONDS + progress / self._least_rate)
        if self._left > 0:
            self._look_again()
            return
        # The path alone, as in the line of the request; escaped, for it may hold anything.
        log.info("slow_reader_cut_off", path=self.path.encode("unicode_escape").decode("ascii"))
        transport.abort()  # To close it would be to wait for the reader.


def _is_gone(transport: asyncio.WriteTransport) -> bool:
    connection: socket.socket | None = transport.get_extra_info("socket")
    return connection is None or connection.fileno() == -1


def _on_the_way(transport: asyncio.WriteTransport) -> int:
    """Return how many bytes the reader's side has not confirmed: those that wait here, and the system's, if it says."""
    waiting = transport.get_write_buffer_size()
    count = array.array("i", [0])
    try:
        # Systems take what they are given in portions of up to megabytes, which would look like standing still.
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, count)
    except (OSError, ValueError):
        return waiting
    return waiting + count[0]


class WholeAnswersMiddleware:
    """Bounds how many large answers lie in memory as a whole while they are read, with a share for each network."""

    def __init__(self, app: ASGIApp, *, trusted_proxies: Sequence[ProxyNetwork]) -> None:
        self._app = app
        self._trusted_proxies = trusted_proxies
        self._places = Shares(LARGE_ANSWERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        place: Place | None = None

        async def send_held(message: Message) -> None:
            nonlocal start, place
            if message["type"] == "http.response.start":
                # Held back until it is known what follows it.
                start = message
                return
            if start is not None:
                begun, start = start, None
                try:
                    place = self._place_for(message, scope)
                except ShareUsedUpError as error:
                    await _refusal(error)(scope, receive, send)
                    return
                await send(begun)
            await send(message)

        try:
            await self._app(scope, receive, send_held)
        finally:
            if place is not None:
                place.give_back()

    def _place_for(self, message: Message, scope: Scope) -> Place | None:
        is_whole = not message.get("more_body", False)
        if not is_whole or len(message.get("body", b"")) <= LARGE_BYTES or scope["method"] == "HEAD":
            return None
        client = Client.of(HTTPConnection(scope), trusted_proxies=self._trusted_proxies)
        return self._places.take_now(client.asker)


def _refusal(error: ShareUsedUpError) -> ASGIApp:
    if not error.is_own_share:
        return problem_response(TooBusyError(retry_after_seconds=RETRY_SECONDS))
    text = "Your network reads as many large answers at once as it may; wait until one has ended"
    return problem_response(TooManyRequestsError(text, retry_after_seconds=RETRY_SECONDS))
