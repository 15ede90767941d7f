"""How a queue is worked off: claim, work, and wait for a hint or a while when there is nothing."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from app.core.errors import DatabaseUnavailableError
from app.core.tasks import heed_cancellation
from app.events.notifications import LOOKOUT, Notifications

log = structlog.get_logger(__name__)

FAULT_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.25


async def work_off(
    notifications: Notifications,
    topic: str,
    step: Callable[[], Awaitable[bool]],
    *,
    idle_seconds: Callable[[], float],
) -> None:
    """Call `step` for ever: at once while it found work, else after a hint or `idle_seconds`, asked each time.

    A fault of one step is logged and does not end the loop: the row's lease brings it back. While the database is away,
    which `db.faults` logs, it is tried again after pauses that grow.
    """
    failed, worked = 0, False
    with notifications.listen(topic) as listener:
        while True:
            heed_cancellation()
            try:
                busy = await step()
            except DatabaseUnavailableError:
                failed += 1
                pause = back_off(failed, first_seconds=FIRST_PAUSE_SECONDS, longest_seconds=FAULT_SECONDS)
                await asyncio.sleep(pause.total_seconds())
                continue
            except Exception:
                log.exception("worker step failed", topic=topic)
                await asyncio.sleep(FAULT_SECONDS)
                continue
            failed = 0
            if busy:
                worked = True
                continue
            if worked:
                # It may have put off what it had.
                notifications.wake(LOOKOUT)
            worked = False
            await listener.wait(seconds=idle_seconds())


def back_off(attempt: int, *, first_seconds: float, longest_seconds: float) -> timedelta:
    """Return the pause after the given attempt (from 1): doubled each time, a fifth of it random."""
    seconds = min(first_seconds * 2.0 ** min(attempt - 1, 30), longest_seconds)
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret
