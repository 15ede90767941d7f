"""Cleaning up: uploads that broke off, bytes that nobody needs, tokens and mails whose time has passed."""

from datetime import timedelta

import structlog

from app.core.clock import utc_now
from app.core.errors import MalformedBodyError
from app.db import account_tokens, outbox, revoked_tokens, uploads
from app.db.uploads import UploadState
from app.resources import Resources

log = structlog.get_logger(__name__)

MAIL_RETENTION = timedelta(days=30)
"""How long an operator can see what became of a mail."""
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


async def forget_the_past(resources: Resources) -> None:
    """Delete expired tokens and old mails."""
    now = utc_now()
    async with resources.database.session() as session:
        await revoked_tokens.delete_expired(session, now)
        await account_tokens.delete_expired(session, now)
        await outbox.delete_finished(session, now - MAIL_RETENTION)
