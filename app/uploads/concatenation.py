"""Files whose parts came at once, each as an upload of its own: joined into one upload (tus: `Upload-Concat`).

A partial upload is never published. Its bytes stay where they are and count for the upload that they are joined into;
they are copied but once, when that is verified.
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.concurrency import BoundedExecutor
from app.core.errors import BadRequestError, BodyTooLargeError, NotFoundError
from app.core.settings import Settings
from app.db import upload_bytes, uploads, users
from app.db.engine import Database, notify_after_commit
from app.db.upload_states import Actor, UploadState
from app.db.upload_values import NewUpload, Upload
from app.events.notifications import upload_topic
from app.openml.client import OpenMLClient
from app.uploads.admission import require_place_in_queue
from app.uploads.append import is_gone
from app.uploads.creation import Created, Creation, created, find_earlier, finish, new_upload
from app.uploads.problems import UploadGoneError, UploadStateError


async def join_parts(
    database: Database,
    settings: Settings,
    checks: BoundedExecutor,
    openml: OpenMLClient,
    *,
    user_id: int,
    creation: Creation,
) -> Created:
    """Begin an upload with all its bytes: those of partial uploads, in the order of `creation.partial_ids`.

    Asked once more, it is the same upload. Nothing is counted anew against the user's quota, for the parts are already.

    Raises:
        FormatNotSupportedError, ValidationFailedError, IdempotencyKeyReusedError: see `begin_upload`.
        NotFoundError: the user has no such upload.
        BadRequestError: one of them is not partial.
        UploadStateError: one has not all its bytes, or is part of another file.
        UploadGoneError: one was cancelled, or has expired.
        BodyTooLargeError, TooBusyError: together they are too large, or too many uploads wait for a worker.
    """
    new = await new_upload(database, checks, user_id, creation)

    async def join(session: AsyncSession) -> tuple[Upload, bool]:
        await users.require_open(session, user_id)
        parts = [await _find_part(session, user_id, part) for part in creation.partial_ids]
        earlier = await _find_joined(session, parts, new) or await find_earlier(session, new)
        if earlier is not None:
            return earlier, False
        for part in parts:
            _require_whole(part, gone=is_gone(part, new.created_at))
        if sum(part.total_bytes or 0 for part in parts) > settings.upload_max_bytes:
            raise BodyTooLargeError.of_file(settings.upload_max_bytes)
        await require_place_in_queue(session)
        await uploads.add_upload(session, new)
        return await _join(session, new, parts), True

    return await created(database, openml, user_id, join)


async def _find_part(session: AsyncSession, user_id: int, upload_id: str) -> Upload:
    part = await uploads.get_upload(session, upload_id)
    if part is None or part.user_id != user_id:
        raise NotFoundError(f"You have no upload {upload_id} to join.")
    if not part.is_partial:
        raise BadRequestError(
            f"The upload {upload_id} is a whole file; join such as began with Upload-Concat: partial."
        )
    return part


async def _find_joined(session: AsyncSession, parts: Sequence[Upload], new: NewUpload) -> Upload | None:
    """Return the upload that the same request has joined of the same parts before: its answer was lost."""
    [first, *others] = [part.joined_into for part in parts]
    if first is None or any(other != first for other in others):
        return None
    whole = await uploads.get_upload(session, first)
    if whole is None or whole.request_digest != new.request_digest:
        return None
    if is_gone(whole, new.created_at):
        raise UploadGoneError(
            f"These parts were joined into the upload {whole.id}, which is gone; send them again."
        )
    return whole


def _require_whole(part: Upload, *, gone: bool) -> None:
    if gone:
        raise UploadGoneError(f"The upload {part.id} was cancelled, or has expired; send that part again.")
    if part.state == UploadState.JOINED:
        raise UploadStateError(f"The upload {part.id} is part of another one: {part.joined_into}.")
    if part.total_bytes is None or part.received_bytes != part.total_bytes:
        raise UploadStateError(f"The upload {part.id} lacks bytes; send them, then join it.")


async def _join(session: AsyncSession, new: NewUpload, parts: Sequence[Upload]) -> Upload:
    length = 0
    for part in parts:
        await upload_bytes.move_parts(session, part.id, into=new.id, start=length)
        moved = await uploads.set_state(
            session,
            part.id,
            UploadState.JOINED,
            by=Actor.OWNER,
            now=new.created_at,
            values={"joined_into": new.id, "expires_at": None, "reserved_bytes": 0, "stored_bytes": 0},
        )
        if not moved:
            raise UploadStateError(f"The upload {part.id} has moved on meanwhile; ask how it stands.")
        notify_after_commit(session, upload_topic(part.id))
        length += part.total_bytes or 0
    await finish(session, new, total_bytes=length)
    whole = await uploads.get_upload(session, new.id)
    assert whole is not None  # noqa: S101 - it was written in this very transaction
    return whole
