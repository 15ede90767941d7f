"""A bound on what all processes of one machine do at once, whichever of them are workers."""

import asyncio
import fcntl
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.core.system import usable_processors

LOOK_SECONDS = 0.2
"""Pause between two looks for a free place; a conversion takes longer."""


class HostSemaphore:
    """Places that are locks on files: the system gives back those of a process that died."""

    def __init__(self, files: list[int]) -> None:
        self._files = files
        # A lock belongs to the open file: this process could take its own twice.
        self._taken: set[int] = set()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Hold a place while the body runs; wait for one as long as it takes."""
        while (file := self._free()) is None:  # noqa: ASYNC110 - no event comes from other processes
            await asyncio.sleep(LOOK_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret
        self._taken.add(file)
        try:
            yield
        finally:
            self._taken.discard(file)
            fcntl.flock(file, fcntl.LOCK_UN)

    def _free(self) -> int | None:
        """Lock a place that nobody has and return its file, None if there is none. Asking does not block."""
        for file in self._files:
            if file not in self._taken:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                return file
        return None


@asynccontextmanager
async def open_host_semaphore(folder: Path, *, total: int) -> AsyncIterator[HostSemaphore]:
    """Open `total` places that all processes share which name the same folder; 0: one for each processor."""
    files = await asyncio.to_thread(_open, folder, total or usable_processors())
    try:
        yield HostSemaphore(files)
    finally:
        for file in files:
            os.close(file)


def _open(folder: Path, count: int) -> list[int]:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return [os.open(folder / str(number), os.O_RDWR | os.O_CREAT, 0o600) for number in range(count)]
