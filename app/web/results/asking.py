"""Asking OpenML's server for results: few questions at once, fairly shared, and answers kept for a minute."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, TypeVar

from app.core.shares import Shares, Subject
from app.openml.cache import TimedCache
from app.openml.client import OpenMLClient
from app.openml.listings import Entry
from app.openml.reading import PAGE
from app.openml.runs import Evaluation, Run

T = TypeVar("T")
ASKING: Final = 8
"""Requests of pages that are at the server at once."""
KEPT: Final = 64
"""Answers that are kept; a thousand results are half a megabyte."""
KEPT_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 15.0
"""How long a page waits; its question goes on, so that the next may have the answer."""


class SlowError(Exception):
    """The server has not answered in time."""


class ResultsSource:
    """What pages ask of one server; of one process."""

    def __init__(self, openml: OpenMLClient, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._openml = openml
        self._patience_seconds = patience_seconds
        self.readers = openml.readers
        """Threads for what grows with an answer."""
        self._shares = Shares(ASKING)
        self._caches: OrderedDict[Hashable, TimedCache[Any]] = OrderedDict()

    async def evaluations(
        self, filters: str, measure: str, *, lower: bool, page: int, asker: Subject
    ) -> tuple[list[Evaluation], int]:
        """Return a page of results by a measure, the best first, and how many it had of `reading.PAGE`.

        Raises:
            OpenMLError: there is no answer.
            ShareUsedUpError: there are too many questions.
            SlowError: it takes too long.
        """

        def ask() -> Awaitable[tuple[list[Evaluation], int]]:
            offset = (page - 1) * PAGE
            return self._openml.runs.evaluations(filters, measure, lowest_first=lower, offset=offset)

        return await self._get((filters, measure, page), ask, asker)

    async def run(self, run_id: int, *, asker: Subject) -> Run:
        """Return a run. Raises as `evaluations`."""
        return await self._get(("run", run_id), lambda: self._openml.runs.run(run_id), asker)

    async def study(self, study_id: int, *, asker: Subject) -> Entry:
        """Return the description of a collection. Raises as `evaluations`."""
        return await self._get(
            ("study", study_id), lambda: self._openml.read_entry(f"study/{study_id}", "study"), asker
        )

    async def _get(self, key: Hashable, ask: Callable[[], Awaitable[T]], asker: Subject) -> T:
        async def fetch() -> T:
            with self._shares.take_now(asker):
                return await ask()

        cache: TimedCache[T] = self._caches.setdefault(key, TimedCache(fetch, seconds=KEPT_SECONDS))
        self._caches.move_to_end(key)
        while len(self._caches) > KEPT:
            self._caches.popitem(last=False)
        try:
            async with asyncio.timeout(self._patience_seconds):
                return await cache.get()
        except TimeoutError:
            raise SlowError from None
