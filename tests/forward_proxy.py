"""A forward proxy as companies have them, on a port of its own; and TLS in front of another port."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

Place = tuple[str, int]


@dataclass
class ForwardProxy:
    """Takes CONNECT, and requests with the whole address in their first line (RFC 9112, 3.2.2 and 3.2.3).

    Attributes:
        hosts: where `host:port` really is; only the proxy knows these names.
        login: `name:password` that it wants; empty: none.
        refuses: the status line that everything is answered with instead, e.g. `403 Forbidden`; empty: none.
        asked: method and `host:port` of each request.
    """

    hosts: dict[str, Place]
    login: str = ""
    refuses: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://{f'{self.login}@' if self.login else ''}127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection, which has one request on it."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *fields = head.rstrip("\r\n").split("\r\n")
        method, target, version = first.split(" ")
        place, path = self._place(method, target)
        self.asked.append((method, place))
        status = self.refuses or self._login_refused(fields)
        if not status and place not in self.hosts:
            status = "502 Bad Gateway"
        if status:
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            return
        server_reader, server_writer = await asyncio.open_connection(*self.hosts[place])
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            kept = [one for one in fields if not one.lower().startswith(("proxy-", "connection:"))]
            lines = [f"{method} {path} {version}", *kept, "Connection: close"]
            server_writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        await _both_ways(reader, writer, server_reader, server_writer)

    def _place(self, method: str, target: str) -> tuple[str, str]:
        if method == "CONNECT":
            return target, ""
        parts = urlsplit(target)
        assert parts.scheme == "http", f"a proxy needs the whole address, not {target}"
        path = parts._replace(scheme="", netloc="").geturl() or "/"
        return f"{parts.hostname}:{parts.port or 80}", path

    def _login_refused(self, fields: list[str]) -> str:
        wanted = f"proxy-authorization: basic {base64.b64encode(self.login.encode()).decode()}".lower()
        if not self.login or wanted in [one.lower() for one in fields]:
            return ""
        return '407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="office"'


async def _both_ways(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    server_reader: asyncio.StreamReader,
    server_writer: asyncio.StreamWriter,
) -> None:
    there = asyncio.create_task(_pipe(reader, server_writer))
    try:
        await _pipe(server_reader, writer)
        with suppress(OSError):
            writer.close()
            await writer.wait_closed()
    finally:
        there.cancel()
        server_writer.transport.abort()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while block := await reader.read(1 << 16):
            writer.write(block)
            await writer.drain()


@asynccontextmanager
async def _listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve connections on a free port; at the end, none of them is left."""
    tasks: set[asyncio.Task[None]] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await serve(reader, writer)
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        left = list(tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


@asynccontextmanager
async def forward_proxy(**choices: Any) -> AsyncIterator[ForwardProxy]:
    """Run a proxy with these attributes."""
    proxy = ForwardProxy(**choices)
    async with _listening(proxy.serve) as proxy.port:
        yield proxy


@asynccontextmanager
async def tls_before(place: Place, context: ssl.SSLContext) -> AsyncIterator[Place]:
    """Take TLS off connections to the place that is yielded, and pass them on to another."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _both_ways(reader, writer, *(await asyncio.open_connection(*place)))

    async with _listening(serve, context) as port:
        yield "127.0.0.1", port
