"""Measuring of one process: its values, what is looked at in it, and the address, if this process answers it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from prometheus_client import CollectorRegistry

from app.core.measuring import record_with
from app.core.tasks import in_background
from app.metrics.recorder import FileRecorder, SummedCollector
from app.metrics.sampling import sample
from app.metrics.scraping import ScrapedCollector
from app.metrics.server import MetricsServer
from app.metrics.shared import SharedFolder
from app.resources import Resources

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_metrics(resources: Resources, kind: str) -> AsyncIterator[None]:
    """Record metrics of this process while the body runs; if they cannot be stored, log it and run without."""
    settings = resources.settings
    try:
        folder = await asyncio.to_thread(SharedFolder, settings.data_dir)
    except OSError as error:
        log.error(  # noqa: TRY400 - the reason says all
            "metrics cannot be kept", reason=str(error)
        )
        yield
        return
    recorder = FileRecorder(folder)
    record_with(recorder)
    registry = CollectorRegistry()
    registry.register(SummedCollector(folder))
    registry.register(ScrapedCollector(resources, asyncio.get_running_loop()))
    server = MetricsServer(settings.metrics_listen, folder, registry)
    try:
        async with in_background(sample(resources, kind, recorder.flush)):
            yield
    finally:
        recorder.flush()
        record_with(None)
        await asyncio.to_thread(server.close)
        await asyncio.to_thread(folder.leave)
