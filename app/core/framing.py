"""HTTP/1.1 as it is read from a connection, so that no two readers of one stream see different requests in it.

uvicorn's protocol on llhttp, which takes a third of h11's processor time (docs/decisions.md), with what the two leave
open: offers to upgrade, trailers, heads without a bound, and what follows a request that was refused.

Two programs have this file: the service, and the package `openml-sandbox` by a link to it, which its wheel resolves.
So it imports nothing of either, and says in plain text what it refuses; `answer_to` is there to be overridden.
"""

import asyncio
from http import HTTPStatus
from typing import Any

import httptools
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

HEAD_BYTES = 64 << 10
"""Most bytes in a row that are neither the end of a head nor a body: heads, trailers, what stands beside chunks' sizes.

Browsers and proxies stop at 8 to 32 KiB. Counted by segments, so what comes in one read may be larger, by 256 KiB.
"""
HEADERS = 256
"""Most headers of a request: every reader of one goes through all of them."""
HEAD_SECONDS = 30
"""In which a head has to arrive, and the rest of a body that was answered before it was read."""
QUEUED_REQUESTS = 64
"""Most requests that wait on one connection for the answer to an earlier one; hardly any client sends two."""
UPGRADE = b"upgrade"


class FramingError(Exception):
    """A request is not read: another reader of the same bytes could understand another one, or it is too large.

    Attributes:
        status: Of the answer: 400, 405 or 431.
        detail: A sentence for whoever sent it.
        limit_bytes: The bound that was exceeded, where there is one in bytes.
    """

    def __init__(
        self, detail: str, *, status: HTTPStatus = HTTPStatus.BAD_REQUEST, limit_bytes: int | None = None
    ) -> None:
        self.status = status
        self.detail = detail
        self.limit_bytes = limit_bytes
        super().__init__(detail)


class StrictHttpProtocol(HttpToolsProtocol):
    """One connection; uvicorn makes it (`http=` of its configuration).

    An offer to speak another protocol (`Upgrade`) is not taken, as RFC 9110, section 7.8 lets a server decide: its
    request is one like any other. uvicorn and httptools would take its body for the next request.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*args, **kwargs)
        self.ws_protocol_class = None
        self._running: RequestResponseCycle | None = None
        self._reads_head = False
        self._reads_body = False
        self._progressed = False
        self._idle_bytes = 0
        self._refusal: FramingError | None = None
        self._is_deaf = False
        self._is_finishing = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._rest_timer: asyncio.TimerHandle | None = None

    # --- what uvicorn's loop calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # narrower than the base
        """Initialise the connection."""
        super().connection_made(_JoiningTransport(transport, self.loop))  # type: ignore[arg-type]  # all that is used
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up, and cancel timeouts."""
        self._is_deaf = True
        self._stop_waiting_for_head()
        self._stop_waiting_for_rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what came; a stream that cannot be understood is read no further."""
        self._unset_keepalive_if_required()
        if self._is_deaf:
            return
        self._progressed = False
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            self._refuse(self._refusal or FramingError(f"This is not HTTP/1.1: {error}"))
            return
        self._idle_bytes = 0 if self._progressed else self._idle_bytes + len(data)
        if self._idle_bytes > HEAD_BYTES:
            self._refuse(_too_large("The headers of the request are too large", limit_bytes=HEAD_BYTES))
        elif self._head_timer is None and (self._reads_head or not self._progressed):
            self._expect_head()

    def _feed(self, data: bytes) -> None:
        rest = memoryview(data)
        while True:
            try:
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as offer:
                # llhttp cannot be told to go on; another one reads the head without the offer, and all that follows.
                rest = rest[offer.args[0] :]
                head = self._head_without_offer()
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                self.parser.feed_data(head)
            else:
                return

    def _head_without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != UPGRADE]
        return b"\r\n".join([*lines, b"", b""])

    # --- what the parser calls

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._progressed = self._reads_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; those behind a body (trailers) are not the request's (RFC 9110, section 6.5.1)."""
        if self._reads_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the head is ambiguous."""
        self._progressed = True
        self._refusal = self._excess() or self._head_problem()
        if self._refusal:
            raise self._refusal
        if self.parser.should_upgrade():
            return
        self._reads_head, self._reads_body = False, True
        self._stop_waiting_for_head()
        super().on_headers_complete()

    def _head_problem(self) -> FramingError | None:
        """Say why a request is not answered of which two readers could think differently."""
        version = self.parser.get_http_version()
        hosts = sum(name == b"host" for name, _ in self.headers)
        if version not in {"1.0", "1.1"}:
            return FramingError("This server speaks HTTP/1.1.")
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            return FramingError("A request needs one Host header (RFC 9112, section 3.2).")
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if codings and (version == "1.0" or codings != [b"chunked"]):
            return FramingError("Of transfer codings this server knows chunked alone, in HTTP/1.1.")
        if self.parser.get_method() == b"CONNECT":
            return FramingError("This server is no proxy.", status=HTTPStatus.METHOD_NOT_ALLOWED)
        return None

    def _excess(self) -> FramingError | None:
        """Return why a request exceeds the limits, None if it does not."""
        if len(self.headers) > HEADERS:
            return _too_large(f"A request has at most {HEADERS} headers.")
        if len(self.pipeline) >= QUEUED_REQUESTS:
            return FramingError("Too many requests wait for their answers on this connection.")
        return None

    def on_body(self, body: bytes) -> None:
        """Pass a chunk of a body to the application."""
        self._progressed = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; not one that offers an upgrade, which is read again."""
        if self._reads_head:
            return
        self._progressed, self._reads_body = True, False
        self._stop_waiting_for_rest()
        super().on_message_complete()
        if self._is_finishing:
            # Not before: an answer that came before the end of the body would be lost with the connection.
            self.cycle.keep_alive = False
            if self.cycle.response_complete:
                self.transport.close()

    # --- what a server asks for that is about to stop

    @property
    def is_idle(self) -> bool:
        """Whether no request is on its way."""
        return not self._reads_head and (self._running is None or self._running.response_complete)

    def finish(self) -> None:
        """Answer what has begun, or begins now, with `Connection: close`."""
        self._is_finishing = True
        if self._running is not None and not self._reads_body:
            self.cycle.keep_alive = False

    # --- what belongs to the answers

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]  # narrower than the base
        self._running = cycle
        if cycle.waiting_for_100_continue:
            app = _closing_unless_continued(cycle, app)
        super()._start_asgi_task(cycle, app)  # type: ignore[arg-type] # uvicorn has types of its own for ASGI

    def on_response_complete(self) -> None:
        """Go on with the next request, or read the rest of a body that was answered, for a while."""
        super().on_response_complete()
        if self._reads_body and self.cycle.response_complete and not self.transport.is_closing():
            self._rest_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _refuse(self, error: FramingError) -> None:
        """Answer what cannot be read if it is its turn, end the connection, and execute nothing that follows."""
        self._is_deaf = True
        self.pipeline.clear()
        answer = self.answer_to(error)
        running = self._running
        if running is None or running.response_complete:
            self._end_with(answer)
        elif not running.more_body:
            # Its request was sound: it is answered, and then the connection ends.
            running.keep_alive = False
        else:
            running.disconnected = True
            running.message_event.set()
            if running.response_started:
                self.transport.close()
            else:
                self._end_with(answer)

    def answer_to(self, error: FramingError) -> Response:
        """Return what is answered; asked once for a connection, also where it is too late to send it."""
        return PlainTextResponse(error.detail, error.status)

    def _end_with(self, answer: Response) -> None:
        headers = [*self.server_state.default_headers, *answer.raw_headers, (b"connection", b"close")]
        lines = [b"%s: %s\r\n" % header for header in headers]
        self.transport.write(b"".join([STATUS_LINE[answer.status_code], *lines, b"\r\n", bytes(answer.body)]))
        self.transport.close()

    # --- time

    def _stop_waiting_for_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_waiting_for_rest(self) -> None:
        if self._rest_timer is not None:
            self._rest_timer.cancel()
            self._rest_timer = None

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._end_if_idle)

    def _end_if_idle(self) -> None:
        self._head_timer = None
        if self._running is None or self._running.response_complete:
            self.transport.close()


class _JoiningTransport:
    """A transport that sends the head of an answer together with what follows it, as uvicorn does not.

    That is one system call and one packet instead of two. A head that nothing follows goes out at the end of the
    loop's round.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def write(self, data: bytes) -> None:
        """Send a part of an answer."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 "):
            self._head = data
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def close(self) -> None:
        """Close the connection once all is sent."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head:
            data, self._head = self._head, b""
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the transport has
        return getattr(self._transport, name)


def _too_large(detail: str, *, limit_bytes: int | None = None) -> FramingError:
    return FramingError(detail, status=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, limit_bytes=limit_bytes)


def _closing_unless_continued(cycle: RequestResponseCycle, app: ASGIApp) -> ASGIApp:
    """End the connection after an answer that came instead of `100 Continue`.

    The client may send the body all the same, or not: what comes next could be it, or the next request.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_knowingly(message: Message) -> None:
            if message["type"] == "http.response.start" and cycle.waiting_for_100_continue:
                cycle.keep_alive = False
            await send(message)

        await app(scope, receive, send_knowingly)

    return answer
