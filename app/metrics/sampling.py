"""Gauges sampled from a process' components twice a second, so that the components need not count."""

import asyncio
import time
from collections.abc import Callable
from typing import NoReturn

from app.core import metrics
from app.core.clock import utc_now
from app.core.concurrency import BoundedExecutor
from app.resources import Resources

LOOK_SECONDS = 0.5


async def sample(resources: Resources, kind: str, flush: Callable[[], None]) -> NoReturn:
    """Sample the components of a process of that kind, and flush queued counts, until cancelled."""
    loop = asyncio.get_running_loop()
    metrics.PROCESSES.set(1, kind)
    spent = time.process_time()
    while True:
        due = loop.time() + LOOK_SECONDS
        await asyncio.sleep(LOOK_SECONDS)
        metrics.LOOP_DELAY.observe(max(0.0, loop.time() - due))
        before, spent = spent, time.process_time()
        metrics.CPU_SECONDS.add(kind, by=spent - before)
        look(resources, kind)
        flush()


def look(resources: Resources, kind: str) -> None:
    """Set the gauges of this process from its components."""
    metrics.UPLOAD_BODIES.set(resources.receive_limit.count)
    metrics.EVENT_STREAMS.set(resources.stream_limit.count)
    # Those of `openml-web worker` are counted by what they write into the database.
    metrics.EMBEDDED_WORKERS.set(float(kind == "web" and resources.vitals.is_steady))
    executors: dict[str, BoundedExecutor] = {
        "password": resources.passwords.executor,
        "checks": resources.checks,
        "openml-answers": resources.openml.readers,
    }
    for name, executor in executors.items():
        metrics.EXECUTOR_CALLS.set(executor.calls, name)
        metrics.EXECUTOR_LIMIT.set(executor.limit, name)
    database = resources.database
    for pool, connections in database.pools.items():
        metrics.DATABASE_CONNECTIONS.set(connections.in_use, pool)
        metrics.DATABASE_LIMIT.set(connections.size, pool)
        metrics.DATABASE_WAITING.set(connections.waiting, pool)
    metrics.DATABASE_AWAY.set(float(database.is_away))
    metrics.CLOCK_OFFSET.set(abs((database.now() - utc_now()).total_seconds()))
