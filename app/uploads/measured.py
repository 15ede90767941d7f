"""How conversions fare, for the metrics."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Literal

from app.core import metrics
from app.tabular import TabularError


@asynccontextmanager
async def counted(place: AbstractAsyncContextManager[None]) -> AsyncIterator[None]:
    """Hold a place, and count who waits for one and who has one."""
    metrics.CONVERSIONS_WAITING.add(by=1)
    is_waiting = True
    try:
        async with place:
            metrics.CONVERSIONS_WAITING.add(by=-1)
            is_waiting = False
            metrics.CONVERSIONS_RUNNING.add(by=1)
            try:
                yield
            finally:
                metrics.CONVERSIONS_RUNNING.add(by=-1)
    finally:
        if is_waiting:
            metrics.CONVERSIONS_WAITING.add(by=-1)


@contextmanager
def timed(task: Literal["convert", "profile"]) -> Iterator[None]:
    """Note how long a child process takes, and what comes of it: `done`, the name of its fault, or `interrupted`."""
    began, outcome = time.monotonic(), "failed"
    try:
        yield
        outcome = "done"
    except TabularError as error:
        outcome = error.slug
        raise
    except asyncio.CancelledError:
        outcome = "interrupted"
        raise
    finally:
        metrics.CONVERSION_SECONDS.observe(time.monotonic() - began, task, outcome)
