"""Readiness checks: this process can work, and a worker processes what it accepts."""

from collections.abc import Mapping
from enum import StrEnum
from functools import partial

from app.core.leaving import Leaving, is_drained
from app.core.probes import Check
from app.core.settings import Settings
from app.core.vitals import Vitals
from app.db.engine import Database
from app.db.overdue import find_overdue
from app.db.revisions import MigrationError, read_schema
from app.db.store_marks import StoreGuard
from app.db.worker_heartbeats import describe_absence, find_working, get_recent
from app.storage.local import require_writable
from app.storage.parts import UploadStorage
from app.storage.problems import StorageError
from app.worker.scheduling import CONVERSIONS_PER_USER


class CheckName(StrEnum):
    """What is looked at."""

    STOPPING = "stopping"
    DATABASE = "database"
    MIGRATIONS = "migrations"
    WORKER = "worker"
    QUEUES = "queues"
    DISK = "disk"
    STORAGE = "storage"


def checks_of(
    settings: Settings, database: Database, vitals: Vitals | None, storage: UploadStorage, store: StoreGuard
) -> Mapping[CheckName, Check]:
    """Return the checks; each returns what is wrong and what to do about it, or None.

    `vitals` are those of the worker inside this process; None where it has none, and others are looked for.
    """
    return {
        CheckName.DATABASE: partial(_check_database, database),
        CheckName.MIGRATIONS: partial(_check_migrations, database),
        CheckName.WORKER: partial(_check_worker, vitals, database),
        CheckName.QUEUES: partial(_check_queues, database, settings),
        CheckName.DISK: partial(check_disk, storage, settings),
        CheckName.STORAGE: partial(_check_storage, storage, store),
    }


async def check_stopping(leaving: Leaving, settings: Settings) -> str | None:
    """Return why this process, or the instance, is to be asked for nothing more; or None."""
    if leaving.is_on:
        return "This process is about to stop."
    if await is_drained(settings):
        return "This instance was taken out with openml-web drain; openml-web drain --off takes it back."
    return None


async def _check_database(database: Database) -> None:
    await database.check()


async def _check_migrations(database: Database) -> str | None:
    try:
        (await read_schema(database.reader)).require_usable()
    except MigrationError as error:
        return str(error)
    return None


async def _check_worker(vitals: Vitals | None, database: Database) -> str | None:
    if vitals is not None:
        await vitals.wait_for_news()
        if vitals.is_steady:
            return None
        return f"The worker of this process ends by a fault ({vitals.fault}) and is started again; its log says why."
    now = database.now()
    found = await get_recent(database.reader, now)
    return None if find_working(found, now) else describe_absence(found, now)


async def _check_queues(database: Database, settings: Settings) -> str | None:
    waiting = await find_overdue(database.reader, database.now(), per_user=CONVERSIONS_PER_USER)
    late = [each for each in waiting if each.seconds > settings.timings.ready_queue_seconds]
    if not late:
        return None
    longest = "; ".join(f"{each.queue} have been waiting for {each.seconds:.0f} seconds" for each in late)
    return (
        f"{longest}, more than ready_queue_seconds ({settings.timings.ready_queue_seconds:g}) of TIMINGS. Start more "
        "workers, or look into the log of those that run."
    )


async def check_disk(storage: UploadStorage, settings: Settings) -> str | None:
    """Return what is wrong with the disk of `DATA_DIR`, or None."""
    try:
        await require_writable(settings.data_dir)
        free = await storage.working_bytes()
    except StorageError as error:
        return f"DATA_DIR takes no bytes: {error}."
    if free < settings.disk_reserve_bytes:
        return (
            f"The disk of DATA_DIR has {free} bytes left, fewer than DISK_RESERVE_BYTES "
            f"({settings.disk_reserve_bytes}). Make room: uploads are refused."
        )
    return None


async def _check_storage(storage: UploadStorage, store: StoreGuard) -> str | None:
    try:
        await storage.check()
        return await store.find_fault()
    except StorageError as error:
        return str(error)
