"""Cleaning up: uploads that broke off, bytes that nobody needs, tokens and mails whose time has passed."""

from datetime import timedelta

import structlog

from app.core.clock import utc_now
from app.core.errors import MalformedBodyError
from app.db import (
    account_tokens,
    audit_events,
    outbox,
    rate_counters,
    revoked_tokens,
    sessions,
    task_requests,
    uploads,
    users,
)
from app.db.uploads import UploadState
from app.resources import Resources
from app.storage.pictures import path_of

log = structlog.get_logger(__name__)

MAIL_RETENTION = timedelta(days=30)
"""How long an operator can see what became of a mail."""
TASK_RETENTION = timedelta(days=90)
"""How long a user can see what became of a task that waited."""
PICTURE_GRACE_SECONDS = 3600
"""How long a picture may be without a row that names it: the row is written after the picture."""
NEEDS_BYTES = {
    UploadState.RECEIVING,
    UploadState.RECEIVED,
    UploadState.CHECKED,
    UploadState.CONVERTED,
    UploadState.SENDING,
}


async def clean_up(resources: Resources) -> None:
    """Do every chore once."""
    await end_interrupted_uploads(resources)
    await remove_orphaned_bytes(resources)
    await forget_the_past(resources)


async def end_interrupted_uploads(resources: Resources) -> None:
    """Say of uploads whose receiver died that they broke off."""
    now = utc_now()
    problem = MalformedBodyError("The upload broke off before its last byte; send it again.")
    async with resources.database.session() as session:
        interrupted = await uploads.get_interrupted(session, now)
        for upload_id in interrupted:
            await uploads.set_state(
                session,
                upload_id,
                UploadState.FAILED,
                now=now,
                detail=problem.detail,
                values={"error": problem.record()},
            )
    for upload_id in interrupted:
        log.info("upload broke off", upload=upload_id)
        await resources.storage.delete(upload_id)


async def remove_orphaned_bytes(resources: Resources) -> None:
    """Remove the bytes of uploads that are published, failed long enough ago, or unknown."""
    found = await resources.storage.upload_ids()
    async with resources.database.session() as session:
        known = await uploads.get_states(session, found)
    keep_until = utc_now() - timedelta(hours=resources.settings.upload_keep_hours)
    for upload_id in found:
        state, finished_at = known.get(upload_id, (None, None))
        recently_failed = state == UploadState.FAILED and finished_at is not None and finished_at > keep_until
        if state not in NEEDS_BYTES and not recently_failed:
            await resources.storage.delete(upload_id)


async def remove_orphaned_pictures(resources: Resources) -> None:
    """Remove pictures that no user's row names: whoever wrote or replaced them died before the end."""
    found = await resources.pictures.older_than(PICTURE_GRACE_SECONDS)
    if not found:
        return
    async with resources.database.session() as session:
        named = await users.get_images(session, path_of(""))
    for name in found:
        if path_of(name) not in named:
            await resources.pictures.delete(name)


async def forget_the_past(resources: Resources) -> None:
    """Delete expired tokens and old mails."""
    now = utc_now()
    async with resources.database.session() as session:
        await revoked_tokens.delete_expired(session, now)
        await account_tokens.delete_expired(session, now)
        await rate_counters.delete_expired(session, now)
        await sessions.delete_expired(session, now)
        await audit_events.delete_before(session, now - timedelta(days=resources.settings.audit_days))
        await outbox.delete_finished(session, now - MAIL_RETENTION)
        await task_requests.delete_ended(session, now - TASK_RETENTION)
