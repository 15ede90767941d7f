"""Running a worker: its loops concurrently until they are cancelled, in a process of its own or in a web process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog

from app.core.vitals import Vitals
from app.db.engine import Database
from app.events.notifications import LOOKOUT, Notifications
from app.worker.heartbeat import beating
from app.worker.lookout import Lookout
from app.worker.queues import work_off

log = structlog.get_logger(__name__)

RESTART_SECONDS = 5
REST_SECONDS = 60.0
"""A loop that nobody notifies looks for itself as rarely; the lookout notifies it when there is something."""

Loop = Coroutine[Any, Any, None]
Work = Callable[[], Awaitable[None]]
"""What a worker does until it is cancelled."""


async def run_side_by_side(loops: Sequence[Loop]) -> None:
    """Run the loops, none of which ends by itself; when one does, cancel the others, wait for them, and raise.

    No task group: after a fault, Python 3.11's leaves the task that ran it marked as cancelled.

    Raises:
        RuntimeError: a loop has ended.
    """
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    fault = next((task.exception() for task in ended if not task.cancelled()), None)
    raise RuntimeError("a loop of the worker has ended") from fault


async def run_worker_process(database: Database, notifications: Notifications, work: Work) -> None:
    """Work until cancelled, and let others know that this process does."""
    async with beating(database, notifications):
        await work()


@asynccontextmanager
async def embedded_worker(vitals: Vitals, work: Work) -> AsyncIterator[None]:
    """Run a worker beside the body."""
    worker = asyncio.create_task(_run_again_and_again(vitals, work))
    try:
        yield
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker


async def _run_again_and_again(vitals: Vitals, work: Work) -> None:
    """Restart the worker after a fault: no supervisor does while the process answers requests."""
    while True:
        try:
            await work()
        except Exception as error:
            vitals.fell(error)
            log.critical("the worker has ended by a fault, and is started again", exc_info=True)
        await asyncio.sleep(RESTART_SECONDS)


async def work_off_queue(
    notifications: Notifications, topic: str, step: Callable[[], Awaitable[bool]]
) -> None:
    """Take row after row of one queue with `step`, for ever."""
    await work_off(notifications, topic, step, idle_seconds=lambda: REST_SECONDS)


async def look_out(lookout: Lookout, notifications: Notifications) -> None:
    """Notify the loops of this worker when rows of theirs are due, until cancelled."""
    await work_off(notifications, LOOKOUT, lookout.look, idle_seconds=lambda: lookout.pause_seconds)


async def repeat(
    notifications: Notifications,
    chore: Callable[[], Awaitable[None]],
    *,
    seconds: float,
    first_after: float = 0,
) -> None:
    """Run a chore every `seconds`, until cancelled; a fault is logged and does not end it."""

    async def step() -> bool:
        await chore()
        return False

    await asyncio.sleep(first_after)
    await work_off(notifications, "janitor", step, idle_seconds=lambda: seconds)
