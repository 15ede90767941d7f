"""Values read from the database and the system at a scrape, and cached for a few seconds.

The answer is made in a thread of its own, and the database is asked on the process' event loop. Neither a database that
says nothing, nor a loop or a disk that stands still, holds the answer up: what was not read in time is left out.
"""

import asyncio
import platform
import shutil
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping
from typing import Any, Final

import structlog
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app import __version__
from app.core import metrics
from app.core.clock import utc_now
from app.core.errors import DatabaseUnavailableError
from app.core.measuring import Metric
from app.db.measures import Measures, measure
from app.db.sizes import measure_tables
from app.index.engine import IndexUnavailableError
from app.resources import Resources
from app.storage.problems import StorageError
from app.worker.scheduling import CONVERSIONS_PER_USER

log = structlog.get_logger(__name__)

KEEP_SECONDS: Final = 5.0
WAIT_SECONDS: Final = 3.0
"""Longest wait for what is asked; Prometheus waits for ten by default."""
Values = Mapping[tuple[str, ...], float]


class ScrapedCollector(Collector):
    """Reads the values at a scrape; `collect` blocks and must not run on the event loop's thread."""

    def __init__(self, resources: Resources, loop: asyncio.AbstractEventLoop) -> None:
        self._resources = resources
        self._loop = loop
        self._lock = threading.Lock()
        self._found: dict[Metric, Values] = {}
        self._found_at = float("-inf")

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what could be read."""
        with self._lock:
            if time.monotonic() - self._found_at > KEEP_SECONDS:
                asked = (self._disk(), self._store(), self._index(), self._published())
                read = [item for question in asked for item in self._ask(question).items()]
                self._found = {**self._settled(), **dict(read), **self._measured()}
                self._found_at = time.monotonic()
            found = self._found
        for metric, values in found.items():
            family = GaugeMetricFamily(metric.full_name, metric.help, labels=metric.labels)
            for labels, value in values.items():
                family.add_metric(labels, value)
            yield family

    def _settled(self) -> dict[Metric, Values]:
        settings = self._resources.settings
        database = self._resources.database.url.get_backend_name()
        return {
            metrics.BUILD: {(__version__, platform.python_version(), database): 1},
            metrics.DISK_RESERVE: {(): settings.disk_reserve_bytes},
            metrics.UPLOAD_USER_LIMIT: {(): settings.upload_user_bytes},
        }

    def _measured(self) -> dict[Metric, Values]:
        found = self._ask(self._database())
        return {**found, metrics.DATABASE_UP: {(): float(bool(found))}}

    async def _database(self) -> dict[Metric, Values]:
        database = self._resources.database
        try:
            found = await measure(database.reader, database.now(), per_user=CONVERSIONS_PER_USER)
            sizes = await measure_tables(database)
        except DatabaseUnavailableError:
            return {}  # The log says by itself that it is away.
        return {**_of_rows(found), metrics.TABLE_BYTES: {(name,): size for name, size in sizes.items()}}

    async def _disk(self) -> dict[Metric, Values]:
        disk = await asyncio.to_thread(shutil.disk_usage, self._resources.settings.data_dir)
        return {metrics.DISK_FREE: {(): disk.free}, metrics.DISK_SIZE: {(): disk.total}}

    async def _store(self) -> dict[Metric, Values]:
        try:
            fault = await self._resources.store.find_fault()
        except (DatabaseUnavailableError, StorageError):
            return {}
        return {metrics.STORE_KNOWN: {(): float(fault is None)}}

    async def _index(self) -> dict[Metric, Values]:
        index = self._resources.index
        if index is None:
            return {}
        try:
            found = await index.status()
        except IndexUnavailableError:
            return {}  # It is not begun yet.
        age = utc_now().timestamp() - found.fresh_at if found.fresh_at else None
        return {
            metrics.INDEX_DOCUMENTS: {(kind,): count for kind, count in found.documents.items()},
            metrics.INDEX_WAITING: {(): found.waiting},
            metrics.INDEX_BYTES: {(): found.size},
            **({metrics.INDEX_AGE: {(): max(0.0, age)}} if age is not None else {}),
        }

    async def _published(self) -> dict[Metric, Values]:
        taken = await self._resources.published.measure()
        return {metrics.PUBLISHED_BYTES: {(): taken.size}, metrics.PUBLISHED_FILES: {(): taken.files}}

    def _ask(self, question: Coroutine[Any, Any, dict[Metric, Values]]) -> dict[Metric, Values]:
        """Run a query on the event loop; return nothing if that takes too long."""
        asked = asyncio.run_coroutine_threadsafe(question, self._loop)
        try:
            return asked.result(WAIT_SECONDS / 2)
        except TimeoutError:
            asked.cancel()
        except Exception:
            log.exception("what metrics are made of cannot be read")
        return {}


def _of_rows(found: Measures) -> dict[Metric, Values]:
    def each(values: Mapping[Any, float]) -> Values:
        return {(str(name),): value for name, value in values.items()}

    return {
        metrics.UPLOADS: each(found.uploads),
        metrics.UPLOADS_AGE: each(found.ages),
        metrics.UPLOAD_BYTES: {(): found.reserved_bytes},
        metrics.UPLOAD_USER_BYTES: {(): found.fullest_user_bytes},
        metrics.QUEUE_ROWS: each(found.queues),
        metrics.QUEUE_SECONDS: each(found.due_seconds),
        metrics.WORKERS: {(): found.workers},
        metrics.MAILS_GIVEN_UP: {(): found.mails_given_up},
    }
