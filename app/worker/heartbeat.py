"""Signs of life of a worker process, and what they say of the workers of a machine."""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

from app.core.tasks import end, in_background
from app.db import worker_heartbeats
from app.db.engine import Database
from app.db.worker_heartbeats import BEAT_SECONDS, Heartbeat
from app.events.notifications import Notifications
from app.worker.queues import work_off

TOPIC = "heartbeat"
FAREWELL_SECONDS = 2.0
"""Seconds that a stopping process may take to remove its row; otherwise the missing heartbeats show that it ended."""


def new_worker_name() -> str:
    """Return a unique name of a worker, with its host and process id."""
    return f"{_host()[:32]}:{os.getpid()}:{secrets.token_hex(4)}"


@asynccontextmanager
async def beating(database: Database, notifications: Notifications) -> AsyncIterator[None]:
    """Say every few seconds that this process works, while the body does; at its end, how it ended."""
    now = database.now()
    heartbeat = Heartbeat(new_worker_name(), _host(), os.getpid(), started_at=now, seen_at=now, fault="")

    async def beat() -> bool:
        await _write(database, heartbeat)
        return False

    try:
        async with in_background(work_off(notifications, TOPIC, beat, idle_seconds=lambda: BEAT_SECONDS)):
            yield
    except Exception as error:
        fault = type(error.__cause__ or error).__name__
        await _say(_write(database, heartbeat._replace(fault=fault)))
        raise
    except asyncio.CancelledError:
        await _say(_remove(database, heartbeat))
        raise


async def _write(database: Database, heartbeat: Heartbeat) -> None:
    present = heartbeat._replace(seen_at=database.now())
    await database.unit(lambda session: worker_heartbeats.beat(session, present))


async def _remove(database: Database, heartbeat: Heartbeat) -> None:
    await database.unit(lambda session: worker_heartbeats.remove(session, heartbeat.id))


async def _say(farewell: Coroutine[Any, Any, None]) -> None:
    """Run it in a task of its own for a bounded time, because the current task was cancelled."""
    task = asyncio.create_task(farewell)
    await asyncio.wait({task}, timeout=FAREWELL_SECONDS)
    await end(task)


async def examine_host(database: Database) -> tuple[bool, str]:
    """Return whether the worker processes of this machine (or container) work, and a sentence that says so.

    Raises:
        DatabaseUnavailableError: the database is away, in trouble or full.
    """
    await database.look_at_clock()
    now = database.now()
    found = await worker_heartbeats.get_recent(database.reader, now)
    here = [each for each in found if each.host == _host()]
    still = [each for each in here if _stands_still(each, here, now)]
    if still:
        seconds = (now - still[0].seen_at).total_seconds()
        return False, (
            f"The worker with process number {still[0].pid} was not heard of for {seconds:.0f} seconds, though it is "
            "there: it stands still, or cannot reach the database."
        )
    working = worker_heartbeats.find_working(here, now)
    if not working:
        return False, worker_heartbeats.describe_absence(here, now)
    return (
        True,
        f"{len(working)} working on {_host()}: process {', '.join(str(each.pid) for each in working)}.",
    )


def _stands_still(heartbeat: Heartbeat, others: Sequence[Heartbeat], now: datetime) -> bool:
    """Say whether a process of this machine says nothing, though it is there and has not got its number from it."""
    if heartbeat.fault or heartbeat.is_fresh(now):
        return False
    if any(each.pid == heartbeat.pid and each.seen_at > heartbeat.seen_at for each in others):
        return False
    try:
        with suppress(PermissionError):
            os.kill(heartbeat.pid, 0)
    except ProcessLookupError:
        return False
    return True


def _host() -> str:
    return socket.gethostname()[:64]
