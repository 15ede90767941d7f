"""Clients that ask and then read slowly, or not at all, over sockets with the smallest buffers there are."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

AT_ONCE = 8
"""How many ask at the same time: they read slowly, and ask as people do."""


class SlowReader:
    """One request, of whose answer only the beginning was read."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self.status = 0

    async def ask(self, head: bytes) -> None:
        """Send the request and read the status."""
        await self._loop.sock_sendall(self._connection, head)
        beginning = await self._loop.sock_recv(self._connection, 1024)
        self.status = int(beginning.split(b" ", 2)[1])

    async def read(self, count: int) -> int:
        """Read at most so many bytes; 0 at the end, whichever it is."""
        try:
            return len(await self._loop.sock_recv(self._connection, count))
        except ConnectionError:
            return 0

    async def read_to_the_end(self) -> int:
        """Read all that still comes, and return how much that was."""
        total = 0
        while count := await self.read(1 << 20):
            total += count
        return total


@asynccontextmanager
async def slow_readers(
    url: str,
    path: str,
    count: int,
    *,
    method: str = "GET",
    headers: Mapping[int, str] | None = None,
    body: str = "",
    buffer_bytes: int = 4096,
) -> AsyncIterator[list[SlowReader]]:
    """Let so many ask for `path`; `headers` are one more line for each, by its number."""
    loop = asyncio.get_running_loop()
    at_once = asyncio.Semaphore(AT_ONCE)
    place = urlsplit(url)
    connections = [socket.socket() for _ in range(count)]

    async def begin(number: int, connection: socket.socket) -> SlowReader:
        connection.settimeout(0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        await loop.sock_connect(connection, (place.hostname, place.port))
        more = (headers or {}).get(number, "X-Nothing: x")
        reader = SlowReader(connection)
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n{more}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        async with at_once:
            await reader.ask(head.encode())
        return reader

    try:
        yield [*await asyncio.gather(*map(begin, range(count), connections))]
    finally:
        for connection in connections:
            connection.close()
