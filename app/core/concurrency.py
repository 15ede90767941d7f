"""Limits of how much a process does at once, in all and for each user; beyond them `TooBusyError` is raised.

`ConcurrencyLimit` is for what takes long and little else; `BoundedExecutor` has threads of its own for what is
computed, whose size somebody else chose.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from app.core.errors import TooBusyError, TooManyRequestsError

P = ParamSpec("P")
T = TypeVar("T")
RETRY_SECONDS = 5


class ConcurrencyLimit:
    """A limit for what takes long and computes little: a body that arrives slowly, a stream of events."""

    def __init__(self, *, total: int, per_user: int) -> None:
        self._total = total
        self._per_user = per_user
        self._taken: Counter[int] = Counter()
        self._count = 0

    @property
    def count(self) -> int:
        """How many places are taken."""
        return self._count

    @contextmanager
    def take(self, user_id: int) -> Iterator[None]:
        """Hold a place while the body runs.

        Raises:
            TooBusyError: all places are taken.
            TooManyRequestsError: this user has as many as one may have.
        """
        if self._count >= self._total:
            raise TooBusyError(retry_after_seconds=RETRY_SECONDS)
        if self._taken[user_id] >= self._per_user:
            raise TooManyRequestsError(
                f"You have {self._per_user} of these open; wait until one has ended",
                retry_after_seconds=RETRY_SECONDS,
            )
        self._taken[user_id] += 1
        self._count += 1
        try:
            yield
        finally:
            self._taken[user_id] -= 1
            self._count -= 1
            if not self._taken[user_id]:
                del self._taken[user_id]


class BoundedExecutor:
    """Threads of one purpose, with a bounded queue: a call beyond it raises `TooBusyError`."""

    def __init__(self, name: str, *, threads: int, queue: int, per_user: int | None = None) -> None:
        """Take what the threads are called, and the limits.

        Args:
            name: of the threads.
            threads: how many there are.
            queue: how many calls may wait for one.
            per_user: how many calls of one user may run and wait; by default as many as of all.
        """
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self.limit = threads + queue
        self.calls = 0
        """How many run and wait."""
        self._slots = ConcurrencyLimit(total=self.limit, per_user=per_user or self.limit)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function in a thread.

        Raises:
            TooBusyError: as many calls run and wait as may.
        """
        if self.calls >= self.limit:
            raise TooBusyError(retry_after_seconds=2)
        call = self._threads.submit(function, *args, **kwargs)
        self.calls += 1
        loop = asyncio.get_running_loop()
        # A call that runs goes on though nobody waits for it any more, and counts until it ends.
        call.add_done_callback(lambda _: loop.is_closed() or loop.call_soon_threadsafe(self._count_down))
        return await asyncio.wrap_future(call)

    async def run_for(self, user_id: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function in a thread, for a user who shares the threads with others.

        Raises:
            TooBusyError: as many calls run and wait as may.
            TooManyRequestsError: as many of this user's do as may.
        """
        with self._slots.take(user_id):
            return await self.run(function, *args, **kwargs)

    def close(self) -> None:
        """Let what runs end, and drop what waits."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _count_down(self) -> None:
        self.calls -= 1
