"""Threads for work whose size somebody else chose: each purpose has its own, and a queue that ends."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from app.core.concurrency import ConcurrencyLimit
from app.core.errors import TooBusyError

P = ParamSpec("P")
T = TypeVar("T")


class BoundedExecutor:
    """Threads of one purpose. Whoever fills their queue delays nothing else, and is told to come back."""

    def __init__(self, name: str, *, threads: int, queue: int, per_user: int | None = None) -> None:
        """Take what the threads are called, and the limits.

        Args:
            name: of the threads.
            threads: how many there are.
            queue: how many calls may wait for one.
            per_user: how many calls of one user may run and wait; by default as many as of all.
        """
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._limit = threads + queue
        self._calls = 0
        self._slots = ConcurrencyLimit(total=self._limit, per_user=per_user or self._limit)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function in a thread.

        Raises:
            TooBusyError: as many calls run and wait as may.
        """
        if self._calls >= self._limit:
            raise TooBusyError(retry_after_seconds=2)
        call = self._threads.submit(function, *args, **kwargs)
        self._calls += 1
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
        self._calls -= 1
