"""Steps of an upload that requests, workers and the janitor share: release, begin again, end, and remove bytes."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import MalformedBodyError, ProblemError
from app.db import upload_bytes, upload_queues, uploads, users
from app.db.engine import Database, notify_after_commit
from app.db.outbox import queue_mail
from app.db.upload_states import CAN_RETRY, EXPIRE_HOURS, HOLDS_BYTES, Actor, UploadState
from app.db.upload_values import Upload
from app.db.uploads import UploadEnding
from app.events.notifications import UPLOADS, upload_topic
from app.mail.messages import MailKind
from app.storage.parts import UploadStorage
from app.storage.problems import BytesLostError
from app.uploads.choices import preview_version
from app.uploads.metadata import Checked
from app.uploads.problems import DigestMismatchError, UploadGoneError

log = structlog.get_logger(__name__)

DUPLICATE_PAUSE = timedelta(seconds=2)
"""How often an upload that waits for another one of the same file looks what became of that."""
KEEP_HOURS = 24
"""How long the file of a failed upload is kept for another attempt, and counts for its owner."""
QUARANTINE_DAYS = 30
"""How long a file in quarantine is kept."""
IDS_AT_ONCE = 500


async def release(
    session: AsyncSession,
    upload: Upload,
    *,
    now: datetime,
    lease_owner: str | None = None,
    goes_on: bool = False,
) -> Upload | None:
    """Let a verified upload go to OpenML, unless its user published the same file under the same name before.

    If another upload of it is on its way there, this one waits in the queue, with its bytes: that one may fail. The
    transaction has locked the user, so that of two equal uploads at once the second sees the first. Returns the upload
    as it is now, None if it has moved on meanwhile. A worker that `goes_on` with it keeps its lease
    unless it has to wait.
    """
    description = upload.description or {}
    duplicate = None
    if upload.received_sha256 and not description.get("allow_duplicate"):
        duplicate = await uploads.get_duplicate(
            session, upload.user_id, sha256=upload.received_sha256, name=description.get("dataset_name")
        )
    is_published = duplicate is not None and duplicate.dataset_id is not None
    state = UploadState.DUPLICATE if is_published else UploadState.RECEIVED
    values: dict[str, Any] = {"duplicate_of": duplicate.id if duplicate else None, "expires_at": None}
    look_at = now + DUPLICATE_PAUSE if duplicate else now
    if upload.state == state and lease_owner is not None:
        # It waits already: no step that anybody wants to see again and again, and no attempt that came to nothing.
        waits = await uploads.set_values(
            session, upload.id, values, only_in={state}, lease_owner=lease_owner
        ) and await upload_queues.set_retry(
            session, upload.id, lease_owner=lease_owner, at=look_at, is_attempt=False
        )
        return upload._replace(lease_owner=None, **values) if waits else None
    goes_on = goes_on and duplicate is None
    if goes_on:
        # As if it were claimed anew: what was tried so far was to verify it.
        values["attempts"] = 1
    moved = await uploads.set_state(
        session,
        upload.id,
        state,
        by=Actor.OWNER if lease_owner is None else Actor.PUBLISHER,
        now=now,
        lease_owner=lease_owner,
        available_at=None if is_published or goes_on else look_at,
        values=values,
    )
    if not goes_on:
        notify_after_commit(session, UPLOADS)
    notify_after_commit(session, upload_topic(upload.id))
    kept = lease_owner if goes_on else None
    return upload._replace(state=state, lease_owner=kept, **values) if moved else None


async def begin_again(
    session: AsyncSession,
    now: datetime,
    upload: Upload,
    metadata: Checked,
    *,
    publish: bool,
    by: Actor = Actor.OWNER,
) -> bool:
    """Let a worker go on with the bytes that are here; False if the upload has moved on meanwhile."""
    notify_after_commit(session, UPLOADS)
    notify_after_commit(session, upload_topic(upload.id))
    return await uploads.set_state(
        session,
        upload.id,
        UploadState.VERIFYING,
        by=by,
        now=now,
        available_at=now,
        values={
            "description": metadata.values,
            "publish_requested": publish,
            "error": None,
            "finished_at": None,
            "quarantined_at": None,
            "duplicate_of": None,
            "cancel_requested": False,
            "warnings": metadata.warnings,
            # Those of the last conversion are made anew.
            "repairs": [one for one in upload.repairs or [] if not one["column"]],
        },
    )


async def can_begin_again(session: AsyncSession, upload: Upload, now: datetime) -> bool:
    """Return whether the bytes of an upload that has failed are here and kept."""
    is_kept = (
        upload.finished_at is None
        or upload.quarantined_at is not None
        or upload.finished_at + timedelta(hours=KEEP_HOURS) >= now
    )
    return is_kept and await has_bytes(session, upload)


async def has_bytes(session: AsyncSession, upload: Upload) -> bool:
    """Return whether the whole file was received and is recorded."""
    return await upload_bytes.get_length(session, upload.id) == upload.total_bytes


async def _give_up(
    session: AsyncSession, upload_id: str, problem: ProblemError, now: datetime, *, cleared: str
) -> bool:
    """Fail an upload as the janitor; False if it has moved on in the meantime, and its bytes are still needed."""
    return await uploads.set_failed(
        session, upload_id, problem, by=Actor.JANITOR, now=now, values={cleared: None}
    )


async def end_interrupted(database: Database, storage: UploadStorage, upload_id: str) -> bool:
    """Give up a form whose receiver's lease is over, key and bytes included; False if it is not, or the form has ended.

    The receiver may still run, after a pause of its process: the next thing that it writes is refused.
    """
    now = database.now()
    problem = MalformedBodyError("The upload broke off before its last byte; send it again.")

    async def end(session: AsyncSession) -> bool:
        ended = await _give_up(session, upload_id, problem, now, cleared="idempotency_key")
        if ended:
            await upload_bytes.delete_parts(session, [upload_id])
            notify_after_commit(session, upload_topic(upload_id))
        return ended

    ended = await database.unit(end)
    if ended:
        log.info("upload broke off", upload=upload_id)
        await storage.delete(upload_id)
    return ended


async def tell_owner(
    session: AsyncSession, upload: Upload, kind: MailKind, *, by_default: bool = False, **parameters: str
) -> None:
    """Queue a mail to the owner, if they asked for it with the upload; or `by_default`, if they did not say."""
    description = upload.description or {}
    asked = description.get("notify")
    if (by_default if asked is None else asked) and (
        address := await users.get_email(session, upload.user_id)
    ):
        parameters["name"] = description["dataset_name"] or ""
        await queue_mail(session, kind, address, **parameters)


async def forget_bytes(database: Database, storage: UploadStorage, upload_id: str) -> None:
    """Remove every byte of an upload, and count none of them any more."""
    async with database.session() as session:
        places = await upload_bytes.delete_parts(session, [upload_id])
    for place in places:
        await storage.delete(place)


async def bytes_to_keep(database: Database, storage: UploadStorage, upload: Upload) -> int:
    """Return the bytes that a failed upload counts for, until it is tried again or its bytes are removed."""
    parts = await upload_bytes.get_parts(database.reader, upload.id)
    preview = await preview_bytes(storage, upload.id, preview_version(upload))
    return sum(part.length for part in parts) + preview


async def tidy_up_after(
    database: Database, storage: UploadStorage, upload_id: str, problem: ProblemError
) -> None:
    """Remove what no other attempt needs after this failure."""
    if is_final(problem):
        await forget_bytes(database, storage, upload_id)
    else:
        arff = storage.path(upload_id, "arff")
        await asyncio.to_thread(arff.unlink, missing_ok=True)


def is_final(problem: ProblemError) -> bool:
    """Return whether the same bytes can never be published."""
    return (
        isinstance(problem, BytesLostError | DigestMismatchError) or problem.members.get("correct") == "file"
    )


async def preview_bytes(storage: UploadStorage, upload_id: str, version: str) -> int:
    """Return the length of the files of a preview on this machine."""
    profile, plans = storage.path(upload_id, "profile", version), storage.path(upload_id, "plans", version)
    return await asyncio.to_thread(lambda: size_of(profile) + size_of(plans))


def size_of(path: Path) -> int:
    """Return the length of a file; 0 if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


async def clean_up(database: Database, storage: UploadStorage, *, lease_seconds: float) -> None:
    """Do every chore of uploads once."""
    await end_interrupted_uploads(database, storage, lease_seconds=lease_seconds)
    await end_expired_uploads(database, storage)
    await remove_orphaned_bytes(database, storage)


async def end_interrupted_uploads(
    database: Database, storage: UploadStorage, *, lease_seconds: float
) -> None:
    """End uploads whose receiver's lease is over; a process that was suspended has some more time."""
    slept = timedelta(seconds=lease_seconds)
    async with database.session() as session:
        lost = uploads.is_interrupted(database.now() - slept)
        interrupted = await uploads.get_ids(session, lost)
    for upload_id in interrupted:
        await end_interrupted(database, storage, upload_id)


async def end_expired_uploads(database: Database, storage: UploadStorage) -> None:
    """Give up uploads whose owner did not come back: bytes are missing, or nobody said "publish"."""
    now = database.now()
    problem = UploadGoneError(
        f"Nothing happened to this upload for {EXPIRE_HOURS} hours; send the file again."
    )
    async with database.session() as session:
        expired = [
            upload_id
            for upload_id in await uploads.get_ids(session, uploads.is_expired(now))
            if await _give_up(session, upload_id, problem, now, cleared="expires_at")
        ]
        for upload_id in expired:
            notify_after_commit(session, upload_topic(upload_id))
        places = await upload_bytes.delete_parts(session, expired)
    for upload_id in expired:
        log.info("upload expired", upload=upload_id)
    for place in places:
        await storage.delete(place)


async def remove_orphaned_bytes(database: Database, storage: UploadStorage) -> None:
    """Remove the bytes of uploads that are published, ended long enough ago, or unknown."""
    found = await storage.upload_ids()
    for start in range(0, len(found), IDS_AT_ONCE):
        await _remove_orphaned(database, storage, found[start : start + IDS_AT_ONCE], database.now())


async def _remove_orphaned(
    database: Database, storage: UploadStorage, found: Sequence[str], now: datetime
) -> None:
    async with database.session() as session:
        known = await uploads.get_endings(session, found)
    orphaned = [upload_id for upload_id in found if not _needs_bytes(known.get(upload_id), now)]
    if orphaned:
        async with database.session() as session:
            await upload_bytes.delete_parts(session, orphaned)
    for upload_id in orphaned:
        await storage.delete(upload_id)


def _needs_bytes(known: UploadEnding | None, now: datetime) -> bool:
    if known is None:
        return False
    if known.quarantined_at is not None:
        return known.quarantined_at > now - timedelta(days=QUARANTINE_DAYS)
    kept_from = now - timedelta(hours=KEEP_HOURS)
    may_go_on = known.state in CAN_RETRY and known.finished_at is not None and known.finished_at > kept_from
    return known.state in HOLDS_BYTES or may_go_on
