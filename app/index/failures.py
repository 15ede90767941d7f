"""What could not be read, so that one thing that fails each time is in nobody's way."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

FIRST_SECONDS: Final = 5.0
LONGEST_SECONDS: Final = 6 * 3600.0
GIVEN_UP: Final = 3
"""Failures after which others no longer wait for it."""
MOST: Final = 1000


class Failures:
    """Counts failures in a row of lists and documents, the last so many that failed; of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def note(self, key: Hashable) -> None:
        """Note that something failed: it is not worth another try for a while, each time twice as long."""
        count, _ = self._known.pop(key, (0, 0.0))
        seconds = min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(count, 20))
        self._known[key] = (count + 1, self._clock() + seconds)
        while len(self._known) > MOST:
            self._known.popitem(last=False)

    def forget(self, key: Hashable) -> None:
        """Note that it went well."""
        self._known.pop(key, None)

    def is_waiting(self, key: Hashable) -> bool:
        """Say whether it failed a short while ago."""
        return key in self._known and self._known[key][1] > self._clock()

    def is_given_up(self, key: Hashable) -> bool:
        """Say whether it failed again and again."""
        return key in self._known and self._known[key][0] >= GIVEN_UP
