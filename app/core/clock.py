"""The one place that asks what time it is."""

import time
from datetime import UTC, datetime, timedelta


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


class Clock:
    """Somebody else's clock, known from one look at it; a step of our own does not move it."""

    def __init__(self) -> None:
        self._seen: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """Return the present moment there; here, as long as nobody has looked."""
        if self._seen is None:
            return utc_now()
        moment, at = self._seen
        return moment + timedelta(seconds=time.monotonic() - at)

    def set(self, moment: datetime) -> None:
        """Note what that clock shows right now."""
        self._seen = (moment, time.monotonic())
