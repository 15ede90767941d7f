"""Which row a worker begins, and how many at once.

Users take turns (fair scheduling), so that a thousand rows of one user do not delay the others. The limit of
conversions is that of the machine, shared by its processes.
"""

import asyncio
import fcntl
import os
import random
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from app.core import metrics
from app.core.system import usable_processors
from app.db.queue import Waiting

CONVERSIONS_AT_ONCE = 2
"""That one worker does: while one waits for its store or for OpenML, the other computes. More workers use more
processors, as far as `CONVERSIONS_PER_MACHINE` goes."""
CONVERSIONS_PER_USER = 2
"""That all workers together do at once: who has a thousand files gets through while others are served."""
CACHED_AT_MOST = 10_000
LOOK_SECONDS = 0.2
"""Seconds between two attempts to take the semaphore; a conversion takes longer."""


class FairScheduler:
    """Chooses whose row is claimed next; it remembers the last turn of `CACHED_AT_MOST` users."""

    def __init__(self, *, per_user: int) -> None:
        self._per_user = per_user
        self._turn = 0
        self._last: OrderedDict[int, int] = OrderedDict()

    def choose(self, waiting: Sequence[Waiting]) -> int | None:
        """Return the user whose turn it is, None if everybody has as much under way as one may have.

        Who has least under way comes first, of those who had no turn for longest, of those who waits for longest.
        """
        allowed = [one for one in waiting if one.under_way < self._per_user]
        if not allowed:
            return None
        return min(
            allowed, key=lambda one: (one.under_way, self._last.get(one.user_id, 0), one.since)
        ).user_id

    def served(self, user_id: int) -> None:
        """Note that the user had a turn."""
        self._turn += 1
        self._last[user_id] = self._turn
        self._last.move_to_end(user_id)
        if len(self._last) > CACHED_AT_MOST:
            self._last.popitem(last=False)


class HostSemaphore:
    """A semaphore of file locks, which the system releases when a process ends."""

    def __init__(self, files: list[int]) -> None:
        self._files = files
        # A lock belongs to the open file: this process could take its own twice.
        self._taken: set[int] = set()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Hold the semaphore while the body runs; wait for it without a limit."""
        with metrics.CONVERSIONS_WAITING.held():
            while (file := self._free()) is None:  # noqa: ASYNC110 - no event comes from other processes
                await asyncio.sleep(LOOK_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret
        self._taken.add(file)
        try:
            with metrics.CONVERSIONS_RUNNING.held():
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
