"""A value that is expensive to get and changes rarely: fetched once for all who ask, kept for a while."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog

T = TypeVar("T")
log = structlog.get_logger(__name__)


class TimedCache(Generic[T]):
    """Caches one value. Concurrent calls of `get` share one fetch."""

    def __init__(self, fetch: Callable[[], Awaitable[T]], *, seconds: float) -> None:
        self._fetch = fetch
        self._seconds = seconds
        self._value: tuple[T] | None = None
        self._fresh_until = 0.0
        self._fetching: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Return the value. One that is too old serves as long as no newer one can be had."""
        if self._value is not None and time.monotonic() < self._fresh_until:
            return self._value[0]
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._renew())
            # Whoever asked may be gone before the fetch fails.
            self._fetching.add_done_callback(_notice)
        try:
            # One who gives up must not take the others' fetch along.
            return await asyncio.shield(self._fetching)
        except Exception as error:
            if self._value is None:
                raise
            log.warning("an old value has to serve", reason=str(error))
            return self._value[0]

    async def _renew(self) -> T:
        value = await self._fetch()
        self._value = (value,)
        self._fresh_until = time.monotonic() + self._seconds
        return value


def _notice(task: asyncio.Task[T]) -> None:
    if not task.cancelled():
        task.exception()
