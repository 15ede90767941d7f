"""Holding on to a server that may be away: at the start, later, and again."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

import structlog

from app.core.tasks import heed_cancellation

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0

Session = Callable[[Callable[[], None]], Coroutine[Any, Any, None]]
"""Works until it fails; calls its argument once the server has answered."""


async def stay_connected(name: str, session: Session) -> NoReturn:
    """Run `session` again whenever it fails, after growing pauses; log loss and return of the server."""
    pause, is_away = FIRST_PAUSE_SECONDS, False

    def connected() -> None:
        nonlocal pause, is_away
        heed_cancellation()
        if is_away:
            log.info("connected again", to=name)
        pause, is_away = FIRST_PAUSE_SECONDS, False

    while True:
        heed_cancellation()
        try:
            await session(connected)
        except Exception as error:  # noqa: BLE001 - each driver has its own, and none may end the service
            if not is_away:
                # Drivers put the address, and with it the password, into their texts.
                log.warning("cannot be reached, the database is asked instead", to=name, reason=_kind(error))
            is_away = True
        await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _kind(error: Exception) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__
