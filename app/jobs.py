"""What the worker of this service does: the loops of every package that has some. Wiring only."""

from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from app.accounts.api_tokens import tell_of_ends
from app.accounts.mail_delivery import MailDelivery
from app.accounts.second_factor import carry_out_resets
from app.accounts.totp import reseal
from app.core.tasks import heed_cancellation, in_background
from app.db.outbox import TO_SEND
from app.db.store_marks import StoreGuard
from app.db.task_requests import TO_MAKE
from app.db.upload_queues import TO_PUBLISH, TO_WATCH
from app.events.notifications import OUTBOX, PUBLISHED, TASKS, UPLOADS
from app.index.filling import keep_filled
from app.index.sources import Sources
from app.resources import Resources
from app.storage.problems import StorageError
from app.tasks.waiting import make_one
from app.uploads.at_openml import watch_one
from app.uploads.conversion import Converter
from app.uploads.lifecycle import clean_up
from app.uploads.pipeline import Publisher
from app.worker.heartbeat import new_worker_name
from app.worker.janitor import forget_the_past, purge_unconfirmed, remove_orphaned_pictures
from app.worker.lookout import Lookout
from app.worker.run import Loop, look_out, repeat, run_side_by_side, work_off_queue
from app.worker.scheduling import (
    CONVERSIONS_AT_ONCE,
    CONVERSIONS_PER_USER,
    FairScheduler,
    open_host_semaphore,
)

QUEUES = {OUTBOX: TO_SEND, UPLOADS: TO_PUBLISH, PUBLISHED: TO_WATCH, TASKS: TO_MAKE}
"""The topic that announces the rows of each queue."""
CALM_SECONDS = 30
"""What nobody waits for begins when the start is over."""
FORGET_SECONDS = 600
ORPHANS_SECONDS = 3600
"""Looking for them reads the whole table of users."""


async def run_worker(resources: Resources) -> None:
    """Work until cancelled."""
    settings = resources.settings
    folder, total = settings.data_dir / "conversions", settings.conversions_per_machine
    broker = resources.broker
    async with open_host_semaphore(folder, total=total) as machine:
        heed_cancellation()
        handed_out = [broker.hand_out(topic) for topic in broker.topics] if broker else []
        async with in_background(*handed_out):
            resources.vitals.began()
            await run_side_by_side(
                _loops(resources, Converter(resources.database, resources.storage, settings, machine))
            )


def _filling(resources: Resources) -> list[Loop]:
    if resources.index is None:
        return []
    filling = keep_filled(
        resources.index.path,
        server=resources.settings.openml_url,
        sources=Sources(resources.openml, resources.database),
        database=resources.database,
        notifications=resources.notifications,
    )
    return [filling]


def mail_delivery(resources: Resources) -> MailDelivery:
    """Return what sends the mails of the outbox."""
    return MailDelivery(
        resources.database, resources.settings, resources.limits, resources.messages, resources.mail
    )


def _loops(resources: Resources, converter: Converter) -> list[Loop]:
    settings, database, notifications = resources.settings, resources.database, resources.notifications
    lease_owner = new_worker_name()
    # Every line of the loops says whose rows it is about; they take it over as they are started.
    structlog.contextvars.bind_contextvars(lease_owner=lease_owner)
    scheduler = FairScheduler(per_user=CONVERSIONS_PER_USER)
    publisher = Publisher(database, resources.storage, resources.openml, settings, scheduler, converter)
    # Each has a name of its own: two conversions of one process must not share a lease.
    publishers = [f"{lease_owner}/{number}" for number in range(CONVERSIONS_AT_ONCE)]
    # A topic belongs to one kind of loop: what a broker hands out wakes one of them, and it must be one that can do it.
    return [
        look_out(Lookout(database, notifications, resources.broker, QUEUES), notifications),
        work_off_queue(
            notifications, OUTBOX, partial(mail_delivery(resources).deliver_one, lease_owner=lease_owner)
        ),
        work_off_queue(
            notifications,
            PUBLISHED,
            partial(
                watch_one,
                database,
                resources.openml,
                lease_owner=lease_owner,
                lease_seconds=settings.timings.lease_seconds,
            ),
        ),
        work_off_queue(
            notifications,
            TASKS,
            partial(
                make_one,
                database,
                resources.openml,
                resources.checks,
                lease_owner=lease_owner,
                lease_seconds=settings.timings.lease_seconds,
            ),
        ),
        *_filling(resources),
        # Leases are what it looks at: nothing ends sooner.
        repeat(
            notifications,
            partial(
                _in_our_store,
                resources.store,
                partial(clean_up, database, resources.storage, lease_seconds=settings.timings.lease_seconds),
            ),
            seconds=settings.timings.lease_seconds,
        ),
        repeat(
            notifications,
            partial(forget_the_past, database, audit_days=settings.timings.audit_days),
            seconds=FORGET_SECONDS,
            first_after=CALM_SECONDS,
        ),
        repeat(
            notifications,
            partial(tell_of_ends, database),
            seconds=FORGET_SECONDS,
            first_after=CALM_SECONDS,
        ),
        repeat(
            notifications,
            partial(carry_out_resets, database, settings),
            seconds=FORGET_SECONDS,
            first_after=CALM_SECONDS,
        ),
        repeat(
            notifications,
            partial(reseal, database, resources.sealer),
            seconds=ORPHANS_SECONDS,
            first_after=CALM_SECONDS,
        ),
        repeat(
            notifications,
            partial(
                _in_our_store,
                resources.store,
                partial(remove_orphaned_pictures, database, resources.pictures),
            ),
            seconds=ORPHANS_SECONDS,
            first_after=CALM_SECONDS,
        ),
        repeat(
            notifications,
            partial(purge_unconfirmed, database, days=settings.timings.unconfirmed_days),
            seconds=ORPHANS_SECONDS,
            first_after=CALM_SECONDS,
        ),
        *(
            work_off_queue(
                notifications,
                UPLOADS,
                partial(_publish_one, resources.store, partial(publisher.publish_one, lease_owner=each)),
            )
            for each in publishers
        ),
    ]


async def _publish_one(store: StoreGuard, publish: Callable[[], Awaitable[bool]]) -> bool:
    """Take no upload where its bytes cannot be told from lost ones: it waits, and nothing is said against it."""
    return False if await _is_lost(store) else await publish()


async def _in_our_store(store: StoreGuard, chore: Callable[[], Awaitable[None]]) -> None:
    """Remove nothing from a store that may be another site's."""
    if not await _is_lost(store):
        await chore()


async def _is_lost(store: StoreGuard) -> bool:
    """Say whether the store is not the database's; one that does not answer is no other, and says so itself."""
    try:
        return await store.find_fault() is not None
    except StorageError:
        return False
