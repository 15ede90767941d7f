"""Stopping of uploads by their owner, or by an administrator, who may keep the file."""

from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import NotFoundError, ProblemError
from app.db import upload_bytes, uploads
from app.db.engine import Database, notify_after_commit, now_of
from app.db.upload_states import CAN_HOLD, CAN_STOP, Actor, UploadState
from app.db.upload_values import Upload
from app.events.notifications import upload_topic
from app.storage.parts import UploadStorage
from app.uploads.lifecycle import has_bytes
from app.uploads.problems import UploadStateError


async def find_upload(session: AsyncSession, *, user_id: int, upload_id: str) -> Upload:
    """Return one of the user's uploads.

    Raises:
        NotFoundError: there is none, or it is somebody else's.
    """
    upload = await uploads.get_upload(session, upload_id)
    if upload is None or upload.user_id != user_id:
        raise NotFoundError("You have no such upload.")
    return upload


async def cancel_upload(database: Database, storage: UploadStorage, *, user_id: int, upload_id: str) -> bool:
    """Stop an upload and remove its bytes; False if it is being sent right now, and stops only if that fails.

    Raises:
        UploadStateError: OpenML has it.
    """
    places = await database.unit(partial(stop, user_id=user_id, upload_id=upload_id))
    for place in places or []:
        await storage.delete(place)
    return places is not None


async def stop(
    session: AsyncSession,
    *,
    user_id: int,
    upload_id: str,
    by: Actor = Actor.OWNER,
    why: ProblemError | None = None,
) -> list[str] | None:
    """Stop an upload and return where its bytes are; None if it is being sent right now.

    `why` is what its owner reads, where somebody else stops it.

    Raises:
        UploadStateError: OpenML has it; or an administrator holds its file, and it is its owner who asks.
    """
    upload = await find_upload(session, user_id=user_id, upload_id=upload_id)
    if upload.quarantined_at is not None and by == Actor.OWNER:
        raise not_now(upload)
    if upload.state == UploadState.SENDING:
        wanted = {"cancel_requested": True}
        if not await uploads.set_values(session, upload.id, wanted, only_in={UploadState.SENDING}):
            raise moved_on()
        return None
    is_empty = upload.state == UploadState.DUPLICATE and not await has_bytes(session, upload)
    if is_empty or upload.state == UploadState.JOINED or upload.dataset_id is not None:
        raise not_now(upload)
    if upload.state in CAN_STOP:
        stopped = await uploads.set_state(
            session,
            upload.id,
            UploadState.CANCELLED,
            by=by,
            now=now_of(session),
            values={"expires_at": None, **_reason(why)},
        )
        if not stopped:
            raise moved_on()
        notify_after_commit(session, upload_topic(upload.id))
    return await upload_bytes.delete_parts(session, [upload.id])


async def hold(session: AsyncSession, *, user_id: int, upload_id: str, why: ProblemError) -> None:
    """Stop an upload and keep its file, which its owner can neither publish nor remove: that is quarantine.

    Raises:
        UploadStateError: it is being sent, OpenML may have it, or its bytes are gone.
    """
    upload = await find_upload(session, user_id=user_id, upload_id=upload_id)
    if upload.state not in CAN_HOLD or upload.sent_at is not None or upload.dataset_id is not None:
        raise not_now(upload)
    now = now_of(session)
    held = await uploads.set_state(
        session,
        upload.id,
        UploadState.CANCELLED,
        by=Actor.ADMINISTRATOR,
        now=now,
        values={"expires_at": None, "quarantined_at": now, **_reason(why)},
    )
    if not held:
        raise moved_on()
    notify_after_commit(session, upload_topic(upload.id))


async def remove_held(session: AsyncSession, *, user_id: int, upload_id: str) -> list[str]:
    """Delete the parts of an upload in quarantine, and return where their bytes are.

    Raises:
        UploadStateError: it is not in quarantine.
    """
    upload = await find_upload(session, user_id=user_id, upload_id=upload_id)
    released = {"quarantined_at": None}
    held = upload.quarantined_at is not None
    if not held or not await uploads.set_values(
        session, upload.id, released, only_in={UploadState.CANCELLED}
    ):
        raise UploadStateError("The file of this upload is not in quarantine.")
    return await upload_bytes.delete_parts(session, [upload.id])


def _reason(why: ProblemError | None) -> dict[str, Any]:
    return {"error": why.record()} if why else {}


def moved_on() -> UploadStateError:
    """Return the problem for a change that a concurrent change has preceded."""
    return UploadStateError("The upload has moved on meanwhile; ask how it stands.")


def not_now(upload: Upload) -> UploadStateError:
    """Return the problem for an action that the upload's state does not allow."""
    if upload.dataset_id is not None:
        return UploadStateError(
            f"OpenML has this upload as dataset {upload.dataset_id}; it can be changed and removed there only.",
            dataset_id=upload.dataset_id,
        )
    if upload.state == UploadState.DUPLICATE:
        return UploadStateError(
            "You have published the same file under this name before. POST to its `retry`, with `allow_duplicate` or "
            "another `dataset_name`, while its bytes are kept; or send it again."
        )
    if upload.quarantined_at is not None:
        return UploadStateError("An administrator holds the file of this upload.")
    if upload.state == UploadState.CANCELLED:
        return UploadStateError("The upload was cancelled.")
    if upload.is_partial:
        return UploadStateError(
            f"This is a part of the upload {upload.joined_into}; change that one."
            if upload.joined_into
            else "This is a part of a file; join it with the others (Upload-Concat: final), and publish that."
        )
    return UploadStateError(f"The upload is on its way to OpenML ({upload.state}).")
