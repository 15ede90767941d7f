"""What is done with an upload at OpenML: it is sent once, and the dataset is watched until it is active or has failed.

To send is the step that cannot simply be repeated: OpenML makes a second dataset of a second request. The attempt is
recorded before the request goes out, with the newest dataset of that name. Where its answer is lost, half, or does not
settle it, the dataset is looked for among the newer ones before anything is sent again.
"""

import asyncio
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import metrics
from app.db import task_requests, upload_queues, uploads
from app.db.engine import Database, notify_after_commit
from app.db.index_changes import add_change
from app.db.upload_queues import TO_WATCH
from app.db.upload_states import Actor, UploadState
from app.db.upload_values import Upload
from app.events.notifications import TASKS, upload_topic
from app.mail.messages import MailKind
from app.openml import xml
from app.openml.client import OpenMLClient
from app.openml.errors import (
    AUTHENTICATION,
    LostAnswerError,
    NotSentError,
    OpenMLError,
    RefusedError,
    UnsettledError,
)
from app.openml.fields import with_changes
from app.openml.problems import ProcessingFailedError
from app.openml.records import DatasetInfo
from app.openml.translation import problem_of
from app.uploads.claimed import ClaimedUpload
from app.uploads.lifecycle import tell_owner
from app.worker.queues import Lease, LeaseLostError, back_off

log = structlog.get_logger(__name__)

NOT_OURS = frozenset({111, 112})
"""Refusals of a candidate that settle it: it is gone, or it is private, and what is published here is public."""
FIRST_PAUSE_SECONDS = 1
ERROR_LENGTH = 1000
LONGEST_PAUSE_SECONDS = 3600
"""OpenML's engine needs a minute as a rule, and days when nobody looks after it; asking costs it little."""


async def send(claimed: ClaimedUpload) -> None:
    """Send the ARFF file; if it is not on this machine, go back to `checked`, so that it is converted again."""
    openml, upload = claimed.openml, claimed.upload
    if upload.newest_before is not None:
        # Of a restored backup: it may have been sent since that was made.
        await claimed.move(UploadState.SENDING)
        return
    if not await asyncio.to_thread(claimed.storage.path(upload.id, "arff").exists):
        await claimed.move(UploadState.CHECKED)
        return
    api_key = await claimed.api_key()
    await _check_key(claimed, api_key)
    name = claimed.dataset_name
    newest = max((dataset.dataset_id for dataset in await openml.list_datasets(name)), default=0)
    await claimed.move(UploadState.SENDING, {"sent_at": claimed.now(), "newest_before": newest})
    try:
        dataset_id = await openml.upload_dataset(
            api_key=api_key,
            description=_description_xml(claimed),
            arff=claimed.storage.path(upload.id, "arff"),
            arff_bytes=upload.arff_bytes or 0,
            file_name=f"{name}-{upload.id[:8]}.arff",
            on_progress=lambda sent: claimed.report("sending", sent, upload.arff_bytes),
        )
    except UnsettledError as error:
        # OpenML has ended its work on it, so one look tells.
        found = await _find_arrived(claimed)
        if found is None:
            await _not_arrived(claimed, error.settled())
            return
        dataset_id = found
    except (NotSentError, RefusedError) as error:
        await _not_arrived(claimed, error)
        return
    await _published(claimed, dataset_id)


async def reconcile(claimed: ClaimedUpload) -> None:
    """Find out whether an upload whose answer was lost has arrived."""
    try:
        dataset_id = await _find_arrived(claimed)
    except LostAnswerError:
        metrics.RECONCILIATIONS.add("unknown")
        raise
    if dataset_id is not None:
        metrics.RECONCILIATIONS.add("found")
        await _published(claimed, dataset_id)
        return
    grace = timedelta(seconds=claimed.settings.timings.reconcile_seconds)
    if claimed.upload.sent_at is not None and claimed.now() - claimed.upload.sent_at < grace:
        # OpenML may still be working on it.
        metrics.RECONCILIATIONS.add("waiting")
        raise LostAnswerError("OpenML has not got the upload yet")
    metrics.RECONCILIATIONS.add("absent")
    await _back_to_converted(claimed, "OpenML never got it; sending it again")


async def _not_arrived(claimed: ClaimedUpload, error: OpenMLError) -> None:
    await _back_to_converted(claimed, str(error))
    if claimed.upload.state != UploadState.CANCELLED:
        raise error


async def _check_key(claimed: ClaimedUpload, api_key: str) -> None:
    try:
        await claimed.openml.check_key(api_key)
    except RefusedError as error:
        if error.code not in AUTHENTICATION:
            raise
        raise problem_of(error) from error


async def _find_arrived(claimed: ClaimedUpload) -> int | None:
    """Return the dataset that OpenML made of our bytes, None if it made none.

    Raises:
        LostAnswerError: it cannot be told now, and must not be taken for a failure.
    """
    openml, upload = claimed.openml, claimed.upload
    try:
        listed = await openml.list_datasets(claimed.dataset_name)
    except OpenMLError as error:
        raise LostAnswerError(f"OpenML does not say whether it has the upload: {error}") from error
    candidates = [item for item in listed if item.dataset_id > (upload.newest_before or 0)]
    # Ours first. Others as well: not every installation numbers its users as OpenML does, and to overlook a dataset
    # would publish it twice.
    candidates.sort(key=lambda item: item.uploader != upload.user_id)
    newer = [item.dataset_id for item in candidates]
    async with claimed.database.session() as session:
        taken = await uploads.are_taken(session, newer)
    unknown: OpenMLError | None = None
    for dataset_id in newer:
        if dataset_id in taken:
            continue
        try:
            if (await openml.get_dataset(dataset_id)).md5 == upload.arff_md5:
                return dataset_id
        except OpenMLError as error:
            if not (isinstance(error, RefusedError) and error.code in NOT_OURS):
                unknown = error
    if unknown is not None:
        raise LostAnswerError(f"OpenML does not say whose bytes a dataset has: {unknown}") from unknown
    return None


async def _published(claimed: ClaimedUpload, dataset_id: int) -> None:
    # OpenML's engine has hardly begun: whoever looked at once would look in vain.
    due_at = claimed.now() + timedelta(seconds=FIRST_PAUSE_SECONDS)
    await claimed.move(UploadState.PUBLISHED, {"dataset_id": dataset_id, "progress": None}, due_at=due_at)
    await claimed.forget_bytes()


async def _back_to_converted(claimed: ClaimedUpload, reason: str) -> None:
    """OpenML has nothing: the upload may be sent again from the start, unless its owner wants it no more."""
    try:
        settled = {"sent_at": None, "newest_before": None}
        await claimed.move(UploadState.CONVERTED, settled, detail=reason)
    except LeaseLostError:
        # It was cancelled meanwhile; or it is another worker's, and then this is refused as well.
        await claimed.move(UploadState.CANCELLED, detail="cancelled while it was being sent")
        await claimed.forget_bytes()


def _description_xml(claimed: ClaimedUpload) -> bytes:
    given = claimed.description
    names = given.get("published_names") or given
    return xml.dataset_description(
        {
            "name": claimed.dataset_name,
            "description": with_changes(given["description"] or "", claimed.upload.repairs or []),
            "format": claimed.upload.arff_format or "ARFF",
            "creator": given["creator"],
            "contributor": given["contributor"],
            "collection_date": given["collection_date"] or "",
            "language": given["language"] or "",
            "licence": given["licence"] or "",
            "default_target_attribute": ",".join(names["def_tar_att"]),
            "row_id_attribute": names["row_id_attribute"] or "",
            "ignore_attribute": names["ignore_attribute"],
            "citation": given["citation"] or "",
            "original_data_url": given["original_data_url"] or "",
            "paper_url": given["paper_url"] or "",
        }
    )


async def watch_one(
    database: Database, openml: OpenMLClient, *, lease_owner: str, lease_seconds: float
) -> bool:
    """Ask OpenML about the next dataset that is due; False if there is none."""
    length = timedelta(seconds=lease_seconds)
    now = database.now()
    upload = await upload_queues.claim_upload(
        database, TO_WATCH, lease_owner=lease_owner, now=now, lease=length
    )
    if upload is None or upload.dataset_id is None:
        return False
    lease = Lease(
        database, TO_WATCH, upload.id, lease_owner, length, until=now + length, traceparent=upload.traceparent
    )
    await lease.work(_look(openml, upload, upload.dataset_id, lease))
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
    now, lease_owner = lease.database.now(), lease.owner
    problem = _problem_of(upload, info) if info else None
    notify_after_commit(session, upload_topic(upload.id))
    if problem is not None:
        # Without a target this is what is to be expected, and whoever used a form does not come back to look.
        has_target = bool((upload.description or {}).get("def_tar_att"))
        await tell_owner(
            session, upload, MailKind.DATASET_FAILED, by_default=not has_target, reason=problem.detail
        )
        return await uploads.set_failed(
            session, upload.id, problem, by=Actor.WATCHER, now=now, lease_owner=lease_owner
        )
    if info and info.status == "active":
        await task_requests.set_due(session, info.dataset_id, now)
        await add_change(session, "data", info.dataset_id)
        notify_after_commit(session, TASKS)
        url = openml.dataset_url(info.dataset_id)
        await tell_owner(session, upload, MailKind.DATASET_ACTIVE, dataset_url=url)
        return await uploads.set_state(
            session, upload.id, UploadState.ACTIVE, by=Actor.WATCHER, now=now, lease_owner=lease_owner
        )
    at = _next_look(upload, now)
    if upload.state == UploadState.PUBLISHED:
        return await uploads.set_state(
            session,
            upload.id,
            UploadState.PROCESSING,
            by=Actor.WATCHER,
            now=now,
            lease_owner=lease_owner,
            available_at=at,
        )
    return await upload_queues.set_retry(session, upload.id, lease_owner=lease_owner, at=at)


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
            "try this upload again with a column named in `def_tar_att` (default target)."
        )
    if info.error:
        return ProcessingFailedError(
            f"OpenML's engine could not process dataset {number}: {info.error[:ERROR_LENGTH]} "
            "It stays in preparation there. Is its description at fault, try this upload again with another one; is "
            "the table, correct it and upload it again."
        )
    return None


def _next_look(upload: Upload, now: datetime) -> datetime:
    return now + back_off(
        upload.attempts, first_seconds=FIRST_PAUSE_SECONDS, longest_seconds=LONGEST_PAUSE_SECONDS
    )
