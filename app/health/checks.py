"""What has to be well for this process to work, and for what it accepts to be worked off."""

from collections.abc import Mapping
from enum import StrEnum
from functools import partial

from app.core.errors import ProblemError
from app.core.probes import Check
from app.db.overdue import find_overdue
from app.db.revisions import MigrationError, require_not_behind
from app.db.worker_heartbeats import describe_absence, find_working, get_recent
from app.resources import Resources
from app.storage.local import require_writable
from app.worker.fair_scheduling import CONVERSIONS_PER_USER


class CheckName(StrEnum):
    """What is looked at."""

    DATABASE = "database"
    MIGRATIONS = "migrations"
    WORKER = "worker"
    QUEUES = "queues"
    DISK = "disk"
    STORAGE = "storage"


def checks_of(resources: Resources) -> Mapping[CheckName, Check]:
    """Return the checks; each returns what is wrong and what to do about it, or None."""
    return {
        CheckName.DATABASE: partial(_check_database, resources),
        CheckName.MIGRATIONS: partial(_check_migrations, resources),
        CheckName.WORKER: partial(_check_worker, resources),
        CheckName.QUEUES: partial(_check_queues, resources),
        CheckName.DISK: partial(_check_disk, resources),
        CheckName.STORAGE: partial(_check_storage, resources),
    }


async def _check_database(resources: Resources) -> None:
    await resources.database.check()


async def _check_migrations(resources: Resources) -> str | None:
    try:
        await require_not_behind(resources.database.reader)
    except MigrationError as error:
        return str(error)
    return None


async def _check_worker(resources: Resources) -> str | None:
    if resources.settings.embedded_worker:
        vitals = resources.vitals
        await vitals.wait_for_news()
        if vitals.is_steady:
            return None
        return f"The worker of this process ends by a fault ({vitals.fault}) and is started again; its log says why."
    now = resources.database.now()
    found = await get_recent(resources.database.reader, now)
    return None if find_working(found, now) else describe_absence(found, now)


async def _check_queues(resources: Resources) -> str | None:
    settings, database = resources.settings, resources.database
    waiting = await find_overdue(database.reader, database.now(), per_user=CONVERSIONS_PER_USER)
    late = [each for each in waiting if each.seconds > settings.ready_queue_seconds]
    if not late:
        return None
    longest = "; ".join(f"{each.queue} have been waiting for {each.seconds:.0f} seconds" for each in late)
    return (
        f"{longest}, more than READY_QUEUE_SECONDS ({settings.ready_queue_seconds:g}). Start more workers, or look "
        "into the log of those that run."
    )


async def _check_disk(resources: Resources) -> str | None:
    settings = resources.settings
    try:
        await require_writable(settings.data_dir)
        free = await resources.storage.working_bytes()
    except OSError as error:
        return f"DATA_DIR takes no bytes: {error.strerror}."
    if free < settings.disk_reserve_bytes:
        return (
            f"The disk of DATA_DIR has {free} bytes left, fewer than DISK_RESERVE_BYTES "
            f"({settings.disk_reserve_bytes}). Make room: uploads are refused."
        )
    return None


async def _check_storage(resources: Resources) -> str | None:
    try:
        await resources.storage.check()
    except OSError as error:
        return f"The folder of uploads takes no bytes: {error.strerror}."
    except ProblemError as problem:
        return problem.detail
    return None
