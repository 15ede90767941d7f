"""Uploads are taken from the queue, and worked on for as long as their lease can be renewed."""

import asyncio
from datetime import timedelta

import structlog

from app.db import upload_queues
from app.db.upload_queues import TO_PUBLISH
from app.events.notifications import upload_topic
from app.resources import Resources
from app.uploads.conversion import Converter
from app.uploads.pipeline import Publication
from app.worker.fair_scheduling import FairScheduler
from app.worker.leases import Lease, LeaseLostError

log = structlog.get_logger(__name__)


async def publish_one(
    resources: Resources, scheduler: FairScheduler, converter: Converter, *, owner: str
) -> bool:
    """Take the next upload that is due one or more states further; False if there is none."""
    length = timedelta(seconds=resources.settings.lease_seconds)
    now = resources.database.now()
    upload = await upload_queues.claim_upload_fairly(
        resources.database, TO_PUBLISH, scheduler.choose, owner=owner, now=now, lease=length
    )
    if upload is None:
        return False
    scheduler.served(upload.user_id)
    topic = upload_topic(upload.id)
    lease = Lease(resources.database, TO_PUBLISH, upload.id, owner, length, until=now + length, topic=topic)
    publication = Publication(resources, converter, upload, lease)
    try:
        await lease.hold(publication.run(), news=publication.news)
    except LeaseLostError:
        log.warning("upload taken over by another worker", upload=upload.id)
    except asyncio.CancelledError:
        # We are shutting down: whoever starts next need not wait for the lease to end.
        try:
            await asyncio.shield(lease.give_back())
        except Exception:
            log.exception("upload cannot be given back", upload=upload.id)
        raise
    return True
