"""A port in front of another port, whose line can be cut and mended: how tests take a server away."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.conftest import find_free_port


class Forwarder:
    """Forwards connections to `host:port` from a port of its own."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self.port = find_free_port()
        self.passed = 0
        """Bytes forwarded so far, in both directions."""
        self._more = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cut()

    async def has_passed(self, count: int) -> None:
        """Wait until so many bytes were forwarded."""
        while self.passed < count:
            self._more.clear()
            await self._more.wait()

    async def mend(self) -> None:
        """Let connections through, on the same port as before."""
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)

    async def cut(self) -> None:
        """Break every connection and take no new one."""
        if self._server is not None:
            self._server.close()
        for pipe in list(self._pipes):
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pipes.add(task)
        writers = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            writers.append(far_writer)
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            self._pipes.discard(task)
            for open_writer in writers:
                open_writer.transport.abort()
                with suppress(ConnectionError):
                    await open_writer.wait_closed()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not every refusal of a line that is gone is a ConnectionError.
        with suppress(OSError):
            while chunk := await reader.read(65536):
                self.passed += len(chunk)
                self._more.set()
                writer.write(chunk)
                await writer.drain()
            writer.write_eof()
