"""A port in front of another port, whose line can be cut and mended: how tests take a server away."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Literal, Self

from tests.conftest import find_free_port

BODY_BYTES = 65_536
"""What goes up between two answers and is more than this was a body."""


class _CutError(Exception):
    """The line is cut on purpose."""


class Forwarder:
    """Forwards connections to `host:port` from a port of its own.

    Args:
        host: where to.
        port: where to.
        cut_after: a bad line: each connection breaks after so many bytes to the server; and every other answer to a
            body is lost, beginning with the first, so that its client cannot know that all of it arrived.
        hold_after: a line that dies without a word: what a connection sends after so many bytes goes nowhere.
    """

    def __init__(
        self, host: str, port: int, *, cut_after: int | None = None, hold_after: int | None = None
    ) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = find_free_port()
        self.passed = 0
        """Bytes forwarded so far, in both directions."""
        self._more = asyncio.Event()
        self._cut_after = cut_after
        self._hold_after = hold_after
        self._answers = 0
        self.held = asyncio.Event()
        self._fails: Literal["", "cut", "mute"] = ""
        self._answers_left = 0
        self.cuts = 0
        self.lost_answers = 0

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
        self.heal()
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)

    async def cut(self) -> None:
        """Break every connection and take no new one."""
        if self._server is not None:
            self._server.close()
        self.fail("cut")
        await asyncio.gather(*self._pipes, return_exceptions=True)

    def fail(self, how: Literal["cut", "mute"], *, after_answers: int = 0) -> None:
        """Break every line, old and new ones, once the server has answered so often more.

        `cut` closes them; `mute` swallows what either end sends, as a firewall does that forgot a connection.
        """
        self._fails, self._answers_left = how, after_answers
        if not after_answers:
            self._break()

    def heal(self) -> None:
        """Let everything through again; what was swallowed stays so."""
        self._fails = ""

    @property
    def is_broken(self) -> bool:
        """Whether lines fail by now."""
        return bool(self._fails) and not self._answers_left

    def _break(self) -> None:
        if self._fails == "cut":
            for writer in self._writers:
                writer.transport.abort()

    def _count_answer(self) -> None:
        if self._fails and self._answers_left:
            self._answers_left -= 1
            if not self._answers_left:
                asyncio.get_running_loop().call_soon(self._break)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pipes.add(task)
        writers = [writer]
        self._writers.add(writer)
        try:
            if self.is_broken and self._fails == "cut":
                return
            try:
                far_reader, far_writer = await asyncio.open_connection(*self._target)
            except OSError:
                return  # Whoever it is that is away, is so for our client as well.
            writers.append(far_writer)
            line = _Line()
            up = self._pump(reader, far_writer, partial(self._sent, line))
            down = self._pump(far_reader, writer, partial(self._answered, line), self._count_answer)
            try:
                # When one end is reset, so is the other. Not every refusal of a line that is gone is a ConnectionError.
                with suppress(OSError):
                    await asyncio.gather(up, down)
            except _CutError:
                # It is the client's line that is cut: what had come through it still arrives.
                far_writer.close()
                writers.remove(far_writer)
        finally:
            self._pipes.discard(task)
            self._writers.discard(writer)
            for open_writer in writers:
                open_writer.transport.abort()
                with suppress(OSError):
                    await open_writer.wait_closed()

    def _sent(self, line: "_Line", count: int) -> bool:
        line.sent += count
        line.unanswered += count
        if self._cut_after is not None and line.sent > self._cut_after:
            self.cuts += 1
            raise _CutError
        if self._hold_after is not None and line.sent > self._hold_after:
            self.held.set()
            return False
        return True

    def _answered(self, line: "_Line", _count: int) -> bool:
        if self._cut_after is not None and line.unanswered > BODY_BYTES:
            self._answers += 1
            if self._answers % 2:
                self.lost_answers += 1
                raise _CutError
        line.unanswered = 0
        return True

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        passes: Callable[[int], bool],
        passed: Callable[[], None] = lambda: None,
    ) -> None:
        while chunk := await reader.read(65536):
            if passes(len(chunk)) and not self.is_broken:
                self.passed += len(chunk)
                self._more.set()
                writer.write(chunk)
                await writer.drain()
                passed()
        writer.write_eof()


@dataclass
class _Line:
    """What has gone to the server on one connection, and how much of it since its last answer."""

    sent: int = 0
    unanswered: int = 0
