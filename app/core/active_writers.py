"""The request that may append to an upload in this process: one at a time, and a later one ends an earlier one.

A client whose connection broke may send a second request before the first is known to have ended. The bytes of the
first are recorded before the second gets its offset, or they would be sent again each time.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TypeVar

END_SECONDS = 0.5
"""How long an earlier request may read on what has arrived of it already, before it is stopped."""
KEEP_SECONDS = 10.0
"""How long it may take after that to bring its bytes to the disk."""
T = TypeVar("T")


class ActiveWriter:
    """One request whose body is appended to an upload."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.is_stopped = False
        self.is_leaving = False
        """It is stopped because this process is, and not by a later request."""
        self._wait: asyncio.Timeout | None = None

    async def read(self, stream: AsyncIterator[T]) -> AsyncIterator[T]:
        """Yield the chunks, until the end or until a later request becomes the active writer."""
        while not self.is_stopped:
            try:
                async with asyncio.timeout(None) as self._wait:
                    item = await anext(stream, None)
            except TimeoutError:
                return
            finally:
                self._wait = None
            if item is None:
                return
            yield item

    def stop(self) -> None:
        """End `read`: at once if it waits for bytes, or else before the next ones."""
        self.is_stopped = True
        if self._wait is not None:
            self._wait.reschedule(asyncio.get_running_loop().time())


class ActiveWriters:
    """The active writer of each upload that this process receives, by a name for the upload."""

    def __init__(self) -> None:
        self._current: dict[str, ActiveWriter] = {}

    @contextmanager
    def begin(self, name: str) -> Iterator[ActiveWriter]:
        """Yield the writer that is the current one for `name` until the body ends, or another begins."""
        writer = self._current[name] = ActiveWriter()
        try:
            yield writer
        finally:
            writer.ended.set()
            if self._current.get(name) is writer:
                del self._current[name]

    def stop_all(self) -> None:
        """Stop every writer, because the process is about to stop."""
        for writer in self._current.values():
            writer.is_leaving = True
            writer.stop()

    async def finish(self, name: str) -> None:
        """Wait until nothing is on its way to `name` any more; what hangs is stopped."""
        writer = self._current.get(name)
        if writer is None:
            return
        if await _has_ended(writer, END_SECONDS):
            return
        writer.stop()
        await _has_ended(writer, KEEP_SECONDS)


async def _has_ended(writer: ActiveWriter, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await writer.ended.wait()
    except TimeoutError:
        return False
    return True
