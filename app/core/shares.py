"""A fairly shared concurrency limit: no subject takes more of it than it leaves to all the others together.

One who asks alone gets half of them, the second half of the rest, and so on. So whoever comes next finds a place,
unless very many hold some.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from types import TracebackType
from typing import Self

Subject = tuple[str, ...]
"""Whom a place counts for, e.g. the networks that an address lies in: none of them takes more than it leaves."""
Waiting = asyncio.Future["Place"]


class ShareUsedUpError(Exception):
    """There is no place: `is_own_share` says whether it is the asker who holds too many."""

    def __init__(self, *, is_own_share: bool) -> None:
        super().__init__("no place is free")
        self.is_own_share = is_own_share


class Place:
    """A held place of the limit; releasing it again has no effect."""

    def __init__(self, shares: "Shares", subject: Subject) -> None:
        self._shares: Shares | None = shares
        self._subject = subject

    def give_back(self) -> None:
        """Release it."""
        shares, self._shares = self._shares, None
        if shares is not None:
            shares._take_back(self._subject)  # noqa: SLF001 - two halves of one thing

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_back()


class Shares:
    """Places in one process.

    Args:
        total: how many places there are, two or more.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._free = total
        self._taken: Counter[str] = Counter()
        self._queues: OrderedDict[Subject, deque[Waiting]] = OrderedDict()

    def take_now(self, subject: Subject) -> Place:
        """Return a place.

        Raises:
            ShareUsedUpError: none is free for this subject.
        """
        if subject in self._queues or not self._may_take(subject):
            raise ShareUsedUpError(is_own_share=self._free > 0)
        return self._grant(subject)

    async def take(self, subject: Subject, *, seconds: float) -> Place:
        """Return a place, at most so many seconds from now; subjects that wait get places in turn.

        Raises:
            ShareUsedUpError: none became free for this subject, or as many of its requests wait as there are places.
        """
        try:
            return self.take_now(subject)
        except ShareUsedUpError as error:
            queue = self._queues.setdefault(subject, deque())
            if len(queue) >= self._total:
                raise
            refusal = error
        waiting: Waiting = asyncio.get_running_loop().create_future()
        queue.append(waiting)
        place: Place | None = None
        try:
            async with asyncio.timeout(seconds):
                place = await waiting
        except TimeoutError:
            raise refusal from None
        finally:
            if place is None:
                self._leave(subject, waiting)
        return place

    def _leave(self, subject: Subject, waiting: Waiting) -> None:
        if waiting.done() and not waiting.cancelled():
            waiting.result().give_back()
        queue = self._queues.get(subject)
        if queue is not None and waiting in queue:
            queue.remove(waiting)
            self._forget_if_empty(subject)

    def _may_take(self, subject: Subject) -> bool:
        return self._free > max((self._taken[name] for name in subject), default=0)

    def _grant(self, subject: Subject) -> Place:
        self._free -= 1
        self._taken.update(subject)
        return Place(self, subject)

    def _take_back(self, subject: Subject) -> None:
        self._free += 1
        self._taken.subtract(subject)
        for name in subject:
            if not self._taken[name]:
                del self._taken[name]
        self._hand_out()

    def _hand_out(self) -> None:
        """Assign free places to waiting subjects in round-robin order, until none may take more."""
        while self._free and self._hand_one_each():
            pass

    def _hand_one_each(self) -> bool:
        granted = False
        for subject in [*self._queues]:
            if self._may_take(subject):
                waiting = self._queues[subject].popleft()
                self._queues.move_to_end(subject)
                self._forget_if_empty(subject)
                if not waiting.done():
                    waiting.set_result(self._grant(subject))
                granted = True
        return granted

    def _forget_if_empty(self, subject: Subject) -> None:
        if not self._queues[subject]:
            del self._queues[subject]
