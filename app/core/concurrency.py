"""How many of something one process does at once, in all and for each user. There is no queue: more are refused."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from app.core.errors import TooBusyError, TooManyRequestsError

RETRY_SECONDS = 5


class ConcurrencyLimit:
    """Places for something that takes long and little else: a body that comes slowly, a stream of events."""

    def __init__(self, *, total: int, per_user: int) -> None:
        self._total = total
        self._per_user = per_user
        self._taken: Counter[int] = Counter()
        self._count = 0

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
