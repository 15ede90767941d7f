"""Whose row comes next: everybody in turn, so that a thousand rows of one person do not make the others wait."""

from collections import OrderedDict
from collections.abc import Sequence

from app.db.queue import Waiting

CONVERSIONS_PER_USER = 2
"""That all workers together do at once: who has a thousand files gets through while others are served."""
CACHED_AT_MOST = 10_000


class FairScheduler:
    """What one worker knows of who had a turn; it forgets those who had theirs longest ago."""

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
