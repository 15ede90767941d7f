"""After publishing: OpenML's engine processes the dataset by and by; watch until it is active or has failed."""

from datetime import datetime, timedelta

import structlog

from app.core.clock import utc_now
from app.core.errors import ProcessingFailedError
from app.core.wakeups import upload_topic
from app.db import uploads
from app.db.engine import wake_after_commit
from app.db.uploads import TO_WATCH, Upload, UploadState
from app.openml.client import DatasetInfo
from app.openml.errors import UpstreamError
from app.resources import Resources
from app.worker.loops import after, back_off

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 1
LONGEST_PAUSE_SECONDS = 3600
"""OpenML's engine needs a minute as a rule, and days when nobody looks after it; asking costs it little."""


async def watch_one(resources: Resources, *, owner: str) -> bool:
    """Ask OpenML about the next dataset that is due; False if there is none."""
    lease = timedelta(seconds=resources.settings.lease_seconds)
    upload = await uploads.claim_upload(resources.database, TO_WATCH, owner=owner, now=utc_now(), lease=lease)
    if upload is None or upload.dataset_id is None:
        return False
    try:
        info = await resources.openml.get_dataset(upload.dataset_id)
    except UpstreamError as error:
        log.warning("cannot ask OpenML", upload=upload.id, dataset=upload.dataset_id, reason=str(error))
        info = None
    await _note(resources, upload, info, owner=owner)
    return True


async def _note(resources: Resources, upload: Upload, info: DatasetInfo | None, *, owner: str) -> None:
    now = utc_now()
    async with resources.database.session() as session:
        if info and info.status == "active":
            await uploads.set_state(session, upload.id, UploadState.ACTIVE, now=now, owner=owner)
        elif info and info.error:
            problem = ProcessingFailedError(f"OpenML could not process the dataset: {info.error[:1000]}")
            values = {"error": problem.record()}
            await uploads.set_state(
                session,
                upload.id,
                UploadState.FAILED,
                now=now,
                owner=owner,
                detail=problem.detail,
                values=values,
            )
        elif upload.state == UploadState.PUBLISHED:
            await uploads.set_state(
                session,
                upload.id,
                UploadState.PROCESSING,
                now=now,
                owner=owner,
                available_at=_next_look(upload),
            )
        else:
            await uploads.set_retry(session, upload.id, owner=owner, at=_next_look(upload))
        wake_after_commit(session, upload_topic(upload.id))


def _next_look(upload: Upload) -> datetime:
    return after(
        back_off(upload.attempts, first_seconds=FIRST_PAUSE_SECONDS, longest_seconds=LONGEST_PAUSE_SECONDS)
    )
