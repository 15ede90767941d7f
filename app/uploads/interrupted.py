"""Forms whose receiver ended before the last byte: their rows become `failed`, and their bytes are removed."""

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import MalformedBodyError
from app.db import upload_parts, uploads
from app.db.engine import Database, notify_after_commit
from app.db.upload_states import Actor, UploadState
from app.events.notifications import upload_topic
from app.storage.parts import UploadStorage

log = structlog.get_logger(__name__)


async def end_interrupted(database: Database, storage: UploadStorage, upload_id: str) -> bool:
    """Give up a form whose receiver's lease is over, key and bytes included; False if it is not, or the form has ended.

    The receiver may still run, after a pause of its process: the next thing that it writes is refused.
    """
    now = database.now()
    problem = MalformedBodyError("The upload broke off before its last byte; send it again.")

    async def end(session: AsyncSession) -> bool:
        ended = await uploads.set_state(
            session,
            upload_id,
            UploadState.FAILED,
            # It may go on or have ended in this very moment; then its bytes are needed.
            by=Actor.JANITOR,
            now=now,
            detail=problem.detail,
            values={"error": problem.record(), "idempotency_key": None},
        )
        if ended:
            await upload_parts.delete_parts(session, [upload_id])
            notify_after_commit(session, upload_topic(upload_id))
        return ended

    ended = await database.unit(end)
    if ended:
        log.info("upload broke off", upload=upload_id)
        await storage.delete(upload_id)
    return ended
