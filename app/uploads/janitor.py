"""Cleaning up after uploads: those that broke off, those whose owner did not come back, bytes that nobody needs."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from app.core.errors import UploadGoneError
from app.db import upload_bytes, uploads
from app.db.engine import Database, notify_after_commit
from app.db.upload_states import CAN_RETRY, HOLDS_BYTES, Actor, UploadState
from app.events.notifications import upload_topic
from app.storage.parts import UploadStorage
from app.uploads.append import EXPIRE_HOURS
from app.uploads.lifecycle import KEEP_HOURS, end_interrupted

log = structlog.get_logger(__name__)

IDS_AT_ONCE = 500


async def clean_up(database: Database, storage: UploadStorage, *, lease_seconds: float) -> None:
    """Do every chore of uploads once."""
    await end_interrupted_uploads(database, storage, lease_seconds=lease_seconds)
    await end_expired_uploads(database, storage)
    await remove_orphaned_bytes(database, storage)


async def end_interrupted_uploads(
    database: Database, storage: UploadStorage, *, lease_seconds: float
) -> None:
    """Say of uploads whose receiver died that they broke off; one that may only have slept has a while more."""
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
            if await uploads.set_state(
                session,
                upload_id,
                UploadState.FAILED,
                # Its owner may have come back in this very moment; then its bytes are needed.
                by=Actor.JANITOR,
                now=now,
                detail=problem.detail,
                values={"error": problem.record(), "expires_at": None},
            )
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
    keep_until = database.now() - timedelta(hours=KEEP_HOURS)
    for start in range(0, len(found), IDS_AT_ONCE):
        await _remove_orphaned(database, storage, found[start : start + IDS_AT_ONCE], keep_until)


async def _remove_orphaned(
    database: Database, storage: UploadStorage, found: Sequence[str], keep_until: datetime
) -> None:
    async with database.session() as session:
        known = await uploads.get_states(session, found)
    orphaned = [upload_id for upload_id in found if not _needs_bytes(known.get(upload_id), keep_until)]
    if orphaned:
        async with database.session() as session:
            await upload_bytes.delete_parts(session, orphaned)
    for upload_id in orphaned:
        await storage.delete(upload_id)


def _needs_bytes(known: tuple[str, datetime | None] | None, keep_until: datetime) -> bool:
    if known is None:
        return False
    state, finished_at = known
    may_go_on = state in CAN_RETRY and finished_at is not None and finished_at > keep_until
    return state in HOLDS_BYTES or may_go_on
