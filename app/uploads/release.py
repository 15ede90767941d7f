"""An upload that its owner wants published goes to the queue, unless the same file was published before."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.db import upload_queues, uploads
from app.db.engine import notify_after_commit
from app.db.upload_states import Actor, UploadState
from app.db.uploads import Upload
from app.events.notifications import UPLOADS, upload_topic

DUPLICATE_PAUSE = timedelta(seconds=2)
"""How often an upload that waits for another one of the same file looks what became of that."""


async def release(
    session: AsyncSession, upload: Upload, *, now: datetime, owner: str | None = None
) -> UploadState | None:
    """Let a verified upload go to OpenML, unless its user published the same file under the same name before.

    If another upload of it is on its way there, this one waits in the queue, with its bytes: that one may fail. The
    transaction has locked the user, so that of two equal uploads at once the second sees the first. Returns the state
    that the upload is in now, None if it has moved on meanwhile.
    """
    description = upload.description or {}
    duplicate = None
    if upload.received_sha256 and not description.get("allow_duplicate"):
        duplicate = await uploads.get_duplicate(
            session, upload.user_id, sha256=upload.received_sha256, name=description.get("dataset_name")
        )
    is_published = duplicate is not None and duplicate.dataset_id is not None
    state = UploadState.DUPLICATE if is_published else UploadState.RECEIVED
    values = {"duplicate_of": duplicate.id if duplicate else None, "expires_at": None}
    look_at = now + DUPLICATE_PAUSE if duplicate else now
    if upload.state == state and owner is not None:
        # It waits already: no step that anybody wants to see again and again, and no attempt that came to nothing.
        waits = await uploads.set_values(
            session, upload.id, {**values, "attempts": 0}, only_in={state}, owner=owner
        ) and await upload_queues.set_retry(session, upload.id, owner=owner, at=look_at)
        return state if waits else None
    moved = await uploads.set_state(
        session,
        upload.id,
        state,
        by=Actor.OWNER if owner is None else Actor.PUBLISHER,
        now=now,
        owner=owner,
        available_at=None if is_published else look_at,
        values=values,
    )
    notify_after_commit(session, UPLOADS)
    notify_after_commit(session, upload_topic(upload.id))
    return state if moved else None
