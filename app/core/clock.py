"""The one place that asks what time it is.

Machines disagree about it. What another one will judge by (leases, tokens, links, cut-offs) is a time of the database
they share: `Database.now`, or `app.db.engine.now_of` inside a transaction.
"""

import time
from datetime import UTC, datetime, timedelta


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


class Clock:
    """The clock of another machine, kept by the local monotonic clock: steps of the local wall clock do not move it."""

    def __init__(self) -> None:
        self._seen: tuple[datetime, float] | None = None

    @property
    def is_known(self) -> bool:
        """Whether anybody has looked at it."""
        return self._seen is not None

    def now(self) -> datetime:
        """Return the present moment there; here, as long as nobody has looked."""
        if self._seen is None:
            return utc_now()
        moment, at = self._seen
        return moment + timedelta(seconds=time.monotonic() - at)

    def set(self, moment: datetime, *, at: float) -> None:
        """Note what that clock showed when our monotonic one was at `at`."""
        self._seen = (moment, at)
