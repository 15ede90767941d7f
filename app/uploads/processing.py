"""After publishing: OpenML's engine processes the dataset by and by; watch until it is active or has failed."""

import asyncio
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import ProcessingFailedError
from app.db import task_requests, upload_queues, uploads
from app.db.engine import Database, notify_after_commit
from app.db.upload_queues import TO_WATCH
from app.db.upload_states import Actor, UploadState
from app.db.uploads import Upload
from app.events.notifications import TASKS, upload_topic
from app.mail.messages import MailKind
from app.openml.client import OpenMLClient
from app.openml.errors import OpenMLError
from app.openml.records import DatasetInfo
from app.uploads.lifecycle import tell_owner
from app.worker.leases import Lease, LeaseLostError
from app.worker.loops import back_off

log = structlog.get_logger(__name__)

FIRST_PAUSE_SECONDS = 1
ERROR_LENGTH = 1000
LONGEST_PAUSE_SECONDS = 3600
"""OpenML's engine needs a minute as a rule, and days when nobody looks after it; asking costs it little."""


async def watch_one(database: Database, openml: OpenMLClient, *, owner: str, lease_seconds: float) -> bool:
    """Ask OpenML about the next dataset that is due; False if there is none."""
    length = timedelta(seconds=lease_seconds)
    now = database.now()
    upload = await upload_queues.claim_upload(database, TO_WATCH, owner=owner, now=now, lease=length)
    if upload is None or upload.dataset_id is None:
        return False
    lease = Lease(database, TO_WATCH, upload.id, owner, length, until=now + length)
    try:
        await lease.hold(_look(openml, upload, upload.dataset_id, lease))
    except LeaseLostError:
        log.warning("dataset watched by another worker", upload=upload.id)
    except asyncio.CancelledError:
        # We are shutting down, and nothing was begun: whoever is there may look at once.
        await asyncio.shield(lease.give_back())
        raise
    return True


async def _look(openml: OpenMLClient, upload: Upload, dataset_id: int, lease: Lease) -> None:
    try:
        info = await openml.get_dataset(dataset_id)
    except OpenMLError as error:
        log.warning("cannot ask OpenML", upload=upload.id, dataset=dataset_id, reason=str(error))
        info = None
    await lease.end(lambda session: _note(session, openml, upload, info, lease))


async def _note(
    session: AsyncSession, openml: OpenMLClient, upload: Upload, info: DatasetInfo | None, lease: Lease
) -> bool:
    """Write down what was seen; False, and nothing must stay of it, if another worker has taken over."""
    now, owner = lease.database.now(), lease.owner
    problem = _problem_of(upload, info) if info else None
    notify_after_commit(session, upload_topic(upload.id))
    if problem is not None:
        await tell_owner(session, upload, MailKind.DATASET_FAILED, reason=problem.detail)
        return await uploads.set_state(
            session,
            upload.id,
            UploadState.FAILED,
            by=Actor.WATCHER,
            now=now,
            owner=owner,
            detail=problem.detail,
            values={"error": problem.record()},
        )
    if info and info.status == "active":
        await task_requests.set_due(session, info.dataset_id, now)
        notify_after_commit(session, TASKS)
        url = openml.dataset_url(info.dataset_id)
        await tell_owner(session, upload, MailKind.DATASET_ACTIVE, dataset_url=url)
        return await uploads.set_state(
            session, upload.id, UploadState.ACTIVE, by=Actor.WATCHER, now=now, owner=owner
        )
    at = _next_look(upload, now)
    if upload.state == UploadState.PUBLISHED:
        return await uploads.set_state(
            session,
            upload.id,
            UploadState.PROCESSING,
            by=Actor.WATCHER,
            now=now,
            owner=owner,
            available_at=at,
        )
    return await upload_queues.set_retry(session, upload.id, owner=owner, at=at)


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
