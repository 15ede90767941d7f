"""Uploads are taken from the queue, and worked on for as long as their lease can be renewed."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import structlog

from app.core.tasks import heed_cancellation
from app.core.wakeups import upload_topic
from app.db import uploads
from app.db.engine import wake_after_commit
from app.db.uploads import TO_PUBLISH
from app.resources import Resources
from app.worker.convert_upload import Converter
from app.worker.publication import LeaseLostError, Publication
from app.worker.turns import Turns

log = structlog.get_logger(__name__)

PROGRESS_SECONDS = 1.0
"""How often it is written down how far a phase is."""


async def publish_one(resources: Resources, turns: Turns, converter: Converter, *, owner: str) -> bool:
    """Take the next upload that is due one or more states further; False if there is none."""
    lease = timedelta(seconds=resources.settings.lease_seconds)
    upload = await uploads.claim_upload_in_turn(
        resources.database, TO_PUBLISH, turns.next, owner=owner, now=resources.database.now(), lease=lease
    )
    if upload is None:
        return False
    turns.had(upload.user_id)
    try:
        publication = Publication(resources, converter, upload, owner=owner)
        await _publish(resources, publication, upload.id, owner=owner)
    except asyncio.CancelledError:
        # We are shutting down: whoever starts next need not wait for the lease to end.
        try:
            await asyncio.shield(_put_back(resources, upload.id, owner=owner))
        except Exception:
            log.exception("upload cannot be given back", upload=upload.id)
        raise
    return True


async def _publish(resources: Resources, publication: Publication, upload_id: str, *, owner: str) -> None:
    """Go on with an upload for as long as its lease can be renewed."""
    work = asyncio.create_task(publication.run())
    renewal = asyncio.create_task(_renew_lease(resources, publication, upload_id, owner=owner))
    try:
        await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
        if publication.has_let_go:
            # The lease was given back, not lost; what is left is tidying up.
            await asyncio.wait({work})
    finally:
        # No task group: it forgets that it was cancelled when a task fails in the same moment (Python 3.11, 3.12), and
        # a worker that is told to stop would go on.
        unfinished = not work.done()
        work.cancel()
        renewal.cancel()
        await asyncio.gather(work, renewal, return_exceptions=True)
    if unfinished or isinstance(work.exception(), LeaseLostError):
        log.warning("upload taken over by another worker", upload=upload_id)
    else:
        work.result()


async def _put_back(resources: Resources, upload_id: str, *, owner: str) -> None:
    async with resources.database.session() as session:
        await uploads.set_retry(session, upload_id, owner=owner, at=resources.database.now())


async def _renew_lease(resources: Resources, publication: Publication, upload_id: str, *, owner: str) -> None:
    """Keep the lease and write down how far the work is; return when the lease is lost."""
    lease = resources.settings.lease_seconds
    told: dict[str, Any] | None = None
    renewed_at = time.monotonic()
    while time.monotonic() < renewed_at + lease:
        heed_cancellation()
        await asyncio.sleep(min(PROGRESS_SECONDS, lease / 3))
        is_due = time.monotonic() > renewed_at + lease / 3
        if publication.progress == told and not is_due:
            continue
        progress, now = publication.progress, time.monotonic()
        try:
            async with resources.database.session() as session:
                until = resources.database.now() + timedelta(seconds=lease)
                if not await uploads.set_progress(session, upload_id, progress, owner=owner, until=until):
                    return
                wake_after_commit(session, upload_topic(upload_id))
        except Exception:
            # The database is away: the work goes on for as long as the lease lasts.
            log.exception("lease cannot be renewed", upload=upload_id)
            continue
        told, renewed_at = progress, now
