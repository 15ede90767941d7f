"""After publishing: OpenML's engine processes the dataset by and by; watch until it is active or has failed."""

import asyncio
from datetime import datetime, timedelta

import structlog

from app.core.errors import ProcessingFailedError
from app.core.wakeups import TASKS, upload_topic
from app.db import task_requests, uploads
from app.db.engine import wake_after_commit
from app.db.uploads import TO_WATCH, Upload, UploadState
from app.mail.messages import MailKind
from app.openml.errors import UpstreamError
from app.openml.records import DatasetInfo
from app.resources import Resources
from app.worker.loops import back_off
from app.worker.notify import tell_owner

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 1
ERROR_LENGTH = 1000
LONGEST_PAUSE_SECONDS = 3600
"""OpenML's engine needs a minute as a rule, and days when nobody looks after it; asking costs it little."""


async def watch_one(resources: Resources, *, owner: str) -> bool:
    """Ask OpenML about the next dataset that is due; False if there is none."""
    lease = timedelta(seconds=resources.settings.lease_seconds)
    upload = await uploads.claim_upload(
        resources.database, TO_WATCH, owner=owner, now=resources.database.now(), lease=lease
    )
    if upload is None or upload.dataset_id is None:
        return False
    try:
        info = await resources.openml.get_dataset(upload.dataset_id)
    except asyncio.CancelledError:
        # We are shutting down, and nothing was begun: whoever is there may look at once.
        await asyncio.shield(_put_back(resources, upload, owner=owner))
        raise
    except UpstreamError as error:
        log.warning("cannot ask OpenML", upload=upload.id, dataset=upload.dataset_id, reason=str(error))
        info = None
    await _note(resources, upload, info, owner=owner)
    return True


async def _put_back(resources: Resources, upload: Upload, *, owner: str) -> None:
    async with resources.database.session() as session:
        await uploads.set_retry(session, upload.id, owner=owner, at=resources.database.now())


async def _note(resources: Resources, upload: Upload, info: DatasetInfo | None, *, owner: str) -> None:
    now = resources.database.now()
    problem = _problem_of(upload, info) if info else None
    async with resources.database.session() as session:
        if problem is not None:
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
            await tell_owner(session, upload, MailKind.DATASET_FAILED, reason=problem.detail)
        elif info and info.status == "active":
            await uploads.set_state(session, upload.id, UploadState.ACTIVE, now=now, owner=owner)
            await task_requests.set_due(session, info.dataset_id, now)
            wake_after_commit(session, TASKS)
            await tell_owner(
                session,
                upload,
                MailKind.DATASET_ACTIVE,
                dataset_url=resources.openml.dataset_url(info.dataset_id),
            )
        elif upload.state == UploadState.PUBLISHED:
            await uploads.set_state(
                session,
                upload.id,
                UploadState.PROCESSING,
                now=now,
                owner=owner,
                available_at=_next_look(upload, now),
            )
        else:
            await uploads.set_retry(session, upload.id, owner=owner, at=_next_look(upload, now))
        wake_after_commit(session, upload_topic(upload.id))


def _problem_of(upload: Upload, info: DatasetInfo) -> ProcessingFailedError | None:
    """Return what went wrong with the dataset at OpenML, if anything."""
    number = info.dataset_id
    if info.md5 and upload.arff_md5 and info.md5 != upload.arff_md5:
        return ProcessingFailedError(
            f"OpenML stored other bytes than we sent as dataset {number} (MD5 {info.md5}, not {upload.arff_md5}). "
            "Upload the table again and ask OpenML's team to remove that dataset."
        )
    if "class is not set" in info.error.lower():
        return ProcessingFailedError(
            f"OpenML's engine could not process dataset {number}, for it has no target. It stays in preparation there; "
            "upload the table again and name a column in `def_tar_att` (default target)."
        )
    if info.error:
        return ProcessingFailedError(
            f"OpenML's engine could not process dataset {number}: {info.error[:ERROR_LENGTH]} "
            "It stays in preparation there; correct the table and upload it again."
        )
    return None


def _next_look(upload: Upload, now: datetime) -> datetime:
    return now + back_off(
        upload.attempts, first_seconds=FIRST_PAUSE_SECONDS, longest_seconds=LONGEST_PAUSE_SECONDS
    )
