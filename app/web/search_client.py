"""Client of the search server: equal concurrent searches share a request, and failures are cached for a short time."""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from app.core.shares import Subject
from app.web.upstream import AwayError, BusyError, UpstreamClient, UpstreamError

log = structlog.get_logger(__name__)
ANSWER_BYTES = 32 << 20
COUNTS_SECONDS = 30
"""How long a count is good for: every open page asks for the same two each minute."""
AWAY_SECONDS = 2
"""How long nobody asks again after nobody listened."""
COUNTS_KEPT = 256
OK = 200
Found = Mapping[str, Any]


class SearchFailedError(Exception):
    """The search server gave no answer to this search; the text says why.

    Args:
        reason: for people.
        is_own_share: it was not even asked, for whoever wanted to know asks too much at once.
    """

    def __init__(self, reason: str, *, is_own_share: bool = False) -> None:
        super().__init__(reason)
        self.is_own_share = is_own_share


class SearchClient:
    """Searches indices; one for each process."""

    def __init__(self, client: UpstreamClient | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._counts = Shared(clock, seconds=COUNTS_SECONDS)
        self._away_until = 0.0

    async def count(self, types: tuple[str, ...], question: Mapping[str, Any], *, asker: Subject) -> Found:
        """Return the answer to a search that shows no document, as it was at most `COUNTS_SECONDS` ago.

        Raises:
            SearchFailedError: there is no answer.
        """
        try:
            return await self._counts.get_for(
                types, question, lambda: self.search(types, question, asker=asker)
            )
        except SearchFailedError as error:
            if not error.is_own_share:
                raise
            # Whoever asked first asks too much: that is nobody else's fault.
            return await self.search(types, question, asker=asker)

    async def search(self, types: tuple[str, ...], question: Mapping[str, Any], *, asker: Subject) -> Found:
        """Return the answer to a search; `hits.total` may be a number or an object. `asker` is the networks that ask.

        Raises:
            SearchFailedError: there is no answer.
        """
        if self._client is None:
            raise SearchFailedError("this site has no search server")
        if self._clock() < self._away_until:
            raise SearchFailedError("the search server does not answer")
        try:
            status, body = await self._client.ask(
                "POST",
                f"/{','.join(types)}/_search?ignore_unavailable=true&allow_no_indices=true",
                body=json.dumps(question).encode(),
                asker=asker,
                media_type="application/json",
                limit_bytes=ANSWER_BYTES,
            )
        except UpstreamError as error:
            # Not for a search that takes too long: whoever asks one would take the server from all others.
            if isinstance(error, AwayError):
                self._away_until = self._clock() + AWAY_SECONDS
            log.warning("search_failed", types=types, reason=str(error))
            is_own_share = isinstance(error, BusyError) and error.is_own_share
            raise SearchFailedError("the search server does not answer", is_own_share=is_own_share) from error
        if status != OK:
            # Often the asker's doing: half a word of Lucene's syntax, a filter that does not fit its field.
            log.info("search_refused", types=types, status=status)
            raise SearchFailedError(f"the search server answered {status}")
        return _parse(body)


def _parse(body: bytes) -> Found:
    try:
        found: Found = json.loads(body, parse_constant=lambda _constant: None)
        hits = found["hits"]
        total = hits.get("total", 0)
        documents = [hit.get("_source", {}) for hit in hits.get("hits", [])]
        answers = [*documents, *found.get("aggregations", {}).values()]
        counted = isinstance(total["value"] if isinstance(total, dict) else total, int)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise SearchFailedError("the search server's answer cannot be read") from None
    if not counted or not all(isinstance(answer, dict) for answer in answers):
        raise SearchFailedError("the search server's answer cannot be read")
    return found


class Shared:
    """A short-lived cache of answers that coalesces equal concurrent requests. Failures are cached for less time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._kept: OrderedDict[str, tuple[float, asyncio.Future[Found]]] = OrderedDict()

    async def get_for(
        self, types: tuple[str, ...], question: Mapping[str, Any], ask: Callable[[], Awaitable[Found]]
    ) -> Found:
        """Return the answer kept of a question, or ask for it."""
        key = json.dumps([types, question], sort_keys=True)
        expires, asked = self._kept.get(key, (0.0, None))
        if asked is None or (asked.done() and self._clock() >= expires):
            asked = asyncio.ensure_future(ask())
            asked.add_done_callback(lambda done: self._keep(key, done))
            self._kept[key] = (0.0, asked)
            self._kept.move_to_end(key)
            while len(self._kept) > COUNTS_KEPT:
                self._kept.popitem(last=False)
        # Shielded: one who stops waiting must not stop it for the others.
        return await asyncio.shield(asked)

    def _keep(self, key: str, done: "asyncio.Future[Found]") -> None:
        failed = done.cancelled() or done.exception() is not None
        if key in self._kept and self._kept[key][1] is done:
            self._kept[key] = (
                self._clock() + (min(AWAY_SECONDS, self._seconds) if failed else self._seconds),
                done,
            )
