"""The worker: its loops, side by side, until it is told to stop."""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from app.core.wakeups import OUTBOX, PUBLISHED, TASKS, UPLOADS
from app.resources import Resources
from app.worker.deliver_mail import deliver_one
from app.worker.janitor import clean_up, remove_orphaned_pictures
from app.worker.loops import IDLE_SECONDS, SWEEP_SECONDS, work_off
from app.worker.make_tasks import make_one
from app.worker.publish_upload import publish_one
from app.worker.turns import Turns
from app.worker.watch_processing import watch_one

ORPHANS_SECONDS = 3600
"""Looking for them reads the whole table of users."""


async def run_worker(resources: Resources) -> None:
    """Work until cancelled."""
    async with asyncio.TaskGroup() as group:
        for work in _loops(resources):
            group.create_task(work)


@asynccontextmanager
async def embedded_worker(resources: Resources) -> AsyncIterator[None]:
    """Run a worker beside the body."""
    worker = asyncio.create_task(run_worker(resources))
    try:
        yield
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker


def _loops(resources: Resources) -> list[Coroutine[Any, Any, None]]:
    owner = _owner()
    # A topic belongs to one kind of loop: what a broker hands out wakes one of them, and it must be one that can do it.
    loops = [
        _work_off(resources, OUTBOX, partial(deliver_one, resources, owner=owner)),
        _work_off(resources, PUBLISHED, partial(watch_one, resources, owner=owner)),
        _work_off(resources, TASKS, partial(make_one, resources, owner=owner)),
        # Leases are what it looks at: nothing ends sooner.
        _repeat(resources, clean_up, seconds=resources.settings.lease_seconds),
        _repeat(resources, remove_orphaned_pictures, seconds=ORPHANS_SECONDS),
    ]
    turns = Turns(per_user=resources.settings.conversions_per_user)
    # Each has a name of its own: two conversions of one process must not share a lease.
    owners = [f"{owner}/{number}" for number in range(resources.settings.conversions_at_once)]
    loops += [
        _work_off(resources, UPLOADS, partial(publish_one, resources, turns, owner=each)) for each in owners
    ]
    if resources.broker is not None:
        loops += [resources.broker.hand_out(topic) for topic in resources.broker.topics]
    return loops


async def _work_off(resources: Resources, topic: str, step: Callable[[], Awaitable[bool]]) -> None:
    def idle_seconds() -> float:
        broker = resources.broker
        return SWEEP_SECONDS if broker is not None and broker.is_handing_out(topic) else IDLE_SECONDS

    await work_off(resources.wakeups, topic, step, idle_seconds=idle_seconds)


async def _repeat(
    resources: Resources, chore: Callable[[Resources], Awaitable[None]], *, seconds: float
) -> None:
    async def step() -> bool:
        await chore(resources)
        return False

    await work_off(resources.wakeups, "janitor", step, idle_seconds=lambda: seconds)


def _owner() -> str:
    """Return a name that no other worker has, and that tells an operator where to look."""
    return f"{socket.gethostname()[:32]}:{os.getpid()}:{secrets.token_hex(4)}"
