"""How a queue is worked off: claim, work, and wait for a hint or a while when there is nothing."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from app.core.tasks import heed_cancellation
from app.core.wakeups import Wakeups

log = structlog.get_logger(__name__)

IDLE_SECONDS = 1.0
SWEEP_SECONDS = 5.0
"""Pause between two looks at a queue whose new rows a broker announces."""
FAULT_SECONDS = 5.0


async def work_off(
    wakeups: Wakeups, topic: str, step: Callable[[], Awaitable[bool]], *, idle_seconds: Callable[[], float]
) -> None:
    """Call `step` for ever: at once while it found work, else after a hint or `idle_seconds`, asked each time.

    A fault of one step (the database is away) is logged and does not end the loop: the row's lease brings it back.
    """
    with wakeups.listen(topic) as listener:
        while True:
            heed_cancellation()
            try:
                busy = await step()
            except Exception:
                log.exception("worker step failed", topic=topic)
                await asyncio.sleep(FAULT_SECONDS)
                continue
            if not busy:
                await listener.wait(seconds=idle_seconds())


def back_off(attempt: int, *, first_seconds: float, longest_seconds: float) -> timedelta:
    """Return the pause after the given attempt (from 1): doubled each time, a fifth of it random."""
    seconds = min(first_seconds * 2.0 ** min(attempt - 1, 30), longest_seconds)
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret
