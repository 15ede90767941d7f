"""The worker: its loops, side by side, until it is told to stop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import structlog

from app.core.tasks import heed_cancellation, in_background
from app.core.wakeups import LOOKOUT, OUTBOX, PUBLISHED, TASKS, UPLOADS
from app.resources import Resources
from app.worker.convert_upload import Converter
from app.worker.deliver_mail import deliver_one
from app.worker.heartbeat import beating, new_worker_name
from app.worker.janitor import clean_up, forget_the_past, purge_unconfirmed, remove_orphaned_pictures
from app.worker.lookout import Lookout
from app.worker.loops import work_off
from app.worker.machine import open_machine_slots
from app.worker.make_tasks import make_one
from app.worker.publish_upload import publish_one
from app.worker.turns import Turns
from app.worker.watch_processing import watch_one

log = structlog.get_logger(__name__)

RESTART_SECONDS = 5
CALM_SECONDS = 30
"""What nobody waits for begins when the start is over."""
REST_SECONDS = 60.0
"""A loop that nobody wakes looks for itself as rarely; the lookout wakes it when there is something."""
FORGET_SECONDS = 600
ORPHANS_SECONDS = 3600
"""Looking for them reads the whole table of users."""


async def run_worker(resources: Resources) -> None:
    """Work until cancelled."""
    settings = resources.settings
    folder, total = settings.data_dir / "conversions", settings.conversions_per_machine
    broker = resources.broker
    async with open_machine_slots(folder, total=total) as machine:
        heed_cancellation()
        handed_out = [broker.hand_out(topic) for topic in broker.topics] if broker else []
        async with in_background(*handed_out):
            resources.vitals.began()
            await _until_one_ends(_loops(resources, Converter(resources, machine)))


async def run_worker_process(resources: Resources) -> None:
    """Work until cancelled, and let others know that this process does."""
    async with beating(resources):
        await run_worker(resources)


async def _until_one_ends(loops: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run the loops, none of which ends by itself; when one does, let the others tidy up, and say so.

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


@asynccontextmanager
async def embedded_worker(resources: Resources) -> AsyncIterator[None]:
    """Run a worker beside the body."""
    worker = asyncio.create_task(_run_again_and_again(resources))
    try:
        yield
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker


async def _run_again_and_again(resources: Resources) -> None:
    """Start the worker anew when it falls: nobody else does, as long as requests are answered."""
    while True:
        try:
            await run_worker(resources)
        except Exception as error:
            resources.vitals.fell(error)
            log.critical("the worker has ended by a fault, and is started again", exc_info=True)
        await asyncio.sleep(RESTART_SECONDS)


def _loops(resources: Resources, converter: Converter) -> list[Coroutine[Any, Any, None]]:
    owner = new_worker_name()
    # A topic belongs to one kind of loop: what a broker hands out wakes one of them, and it must be one that can do it.
    loops = [
        _look_out(resources),
        _work_off(resources, OUTBOX, partial(deliver_one, resources, owner=owner)),
        _work_off(resources, PUBLISHED, partial(watch_one, resources, owner=owner)),
        _work_off(resources, TASKS, partial(make_one, resources, owner=owner)),
        # Leases are what it looks at: nothing ends sooner.
        _repeat(resources, clean_up, seconds=resources.settings.lease_seconds),
        _repeat(resources, forget_the_past, seconds=FORGET_SECONDS, first_after=CALM_SECONDS),
        _repeat(resources, remove_orphaned_pictures, seconds=ORPHANS_SECONDS, first_after=CALM_SECONDS),
        _repeat(resources, purge_unconfirmed, seconds=ORPHANS_SECONDS, first_after=CALM_SECONDS),
    ]
    turns = Turns(per_user=resources.settings.conversions_per_user)
    # Each has a name of its own: two conversions of one process must not share a lease.
    owners = [f"{owner}/{number}" for number in range(resources.settings.conversions_at_once)]
    loops += [
        _work_off(resources, UPLOADS, partial(publish_one, resources, turns, converter, owner=each))
        for each in owners
    ]
    return loops


async def _work_off(resources: Resources, topic: str, step: Callable[[], Awaitable[bool]]) -> None:
    await work_off(resources.wakeups, topic, step, idle_seconds=lambda: REST_SECONDS)


async def _look_out(resources: Resources) -> None:
    lookout = Lookout(resources)
    await work_off(resources.wakeups, LOOKOUT, lookout.look, idle_seconds=lambda: lookout.pause_seconds)


async def _repeat(
    resources: Resources,
    chore: Callable[[Resources], Awaitable[None]],
    *,
    seconds: float,
    first_after: float = 0,
) -> None:
    async def step() -> bool:
        await chore(resources)
        return False

    await asyncio.sleep(first_after)
    await work_off(resources.wakeups, "janitor", step, idle_seconds=lambda: seconds)
