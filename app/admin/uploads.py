"""Uploads, as administrators and operators see them, and what these do to them: one service for all their tools."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit
from app.accounts.audit import Deed, Hand
from app.admin.schemas import (
    AdminStepResponse,
    AdminUploadDetailResponse,
    AdminUploadResponse,
    AdminUploadsResponse,
)
from app.core.errors import NotFoundError, problem_from_record
from app.db import people, upload_views, uploads
from app.db.engine import notify_after_commit
from app.db.upload_queues import IN_WORK
from app.db.upload_states import IN_QUEUE, Actor, UploadState
from app.db.upload_values import Upload
from app.events.notifications import PUBLISHED, UPLOADS
from app.uploads import service, stopping
from app.uploads.problems import UploadGoneError, UploadStateError
from app.uploads.service import Judging

FOUND = 100


async def find(
    session: AsyncSession,
    *,
    user_id: int | None,
    state: UploadState | None,
    quarantined: bool,
    limit: int = FOUND,
) -> AdminUploadsResponse:
    """Return the latest uploads, of everybody or of one user."""
    found = await people.find_uploads(
        session, user_id=user_id, state=state, quarantined=quarantined, limit=limit
    )
    return AdminUploadsResponse(uploads=[AdminUploadResponse(**line._asdict()) for line in found])


async def show(session: AsyncSession, upload_id: str) -> AdminUploadDetailResponse:
    """Return an upload with its steps so far.

    Raises:
        NotFoundError: there is none.
    """
    upload = await _require(session, upload_id)
    events = await upload_views.get_events(session, upload_id)
    return AdminUploadDetailResponse(
        **AdminUploadResponse.model_validate(upload, from_attributes=True).model_dump(),
        cancel_requested=upload.cancel_requested,
        sha256=upload.received_sha256,
        duplicate_of=upload.duplicate_of,
        error=problem_from_record(upload.error).document() if upload.error else None,
        events=[AdminStepResponse(**event._asdict()) for event in events],
    )


@dataclass(frozen=True, slots=True)
class UploadCare:
    """Actions on other users' uploads, with the actor and the reason."""

    judging: Judging
    by: Hand
    reason: str

    async def cancel(self, upload_id: str) -> bool:
        """Stop an upload and remove its bytes; False if it is being sent right now, and stops only if that fails.

        Raises:
            NotFoundError: there is no such upload.
            UploadStateError: OpenML has it, or there is nothing to stop.
        """

        async def stop(session: AsyncSession) -> list[str] | None:
            upload = await _require(session, upload_id)
            if upload.quarantined_at is not None or upload.state == UploadState.CANCELLED:
                raise UploadStateError(
                    "The upload was cancelled already; `remove` removes a file in quarantine."
                )
            why = UploadGoneError(f"{self.by.who.capitalize()} has cancelled this upload: {self.reason}")
            places = await stopping.stop(
                session, user_id=upload.user_id, upload_id=upload_id, by=Actor.ADMINISTRATOR, why=why
            )
            await self._tell(session, upload, Deed.UPLOAD_CANCELLED)
            return places

        places = await self.judging.database.unit(stop)
        await self._remove(places or [])
        return places is not None

    async def requeue(self, upload_id: str) -> None:
        """Let an upload go on: one that waits at once, one that has failed once more, one in quarantine after all.

        Raises:
            NotFoundError: there is no such upload.
            UploadStateError: it has ended otherwise, a worker has it, or its bytes are gone.
        """

        async def look_now(session: AsyncSession) -> Upload | None:
            """Return the upload if it is in no queue."""
            upload = await _require(session, upload_id)
            if upload.state not in IN_QUEUE:
                return upload
            if not await IN_WORK.hasten(session, upload_id, self.judging.database.now()):
                raise UploadStateError("A worker has this upload; it goes on by itself.")
            await self._tell(session, upload, Deed.UPLOAD_RETRIED)
            for topic in (UPLOADS, PUBLISHED):
                notify_after_commit(session, topic)
            return None

        upload = await self.judging.database.unit(look_now)
        if upload is not None:
            await service.retry_upload(
                self.judging,
                user_id=upload.user_id,
                upload_id=upload_id,
                changes={},
                by=Actor.ADMINISTRATOR,
                with_it=lambda session: self._tell(session, upload, Deed.UPLOAD_RETRIED),
            )

    async def quarantine(self, upload_id: str) -> None:
        """Stop an upload and keep its file, out of its owner's reach.

        Raises:
            NotFoundError: there is no such upload.
            UploadStateError: it is being sent, OpenML may have it, or it has ended.
        """

        async def hold(session: AsyncSession) -> None:
            upload = await _require(session, upload_id)
            why = UploadStateError(f"{self.by.who.capitalize()} holds the file of this upload: {self.reason}")
            await stopping.hold(session, user_id=upload.user_id, upload_id=upload_id, why=why)
            await self._tell(session, upload, Deed.UPLOAD_HELD)

        await self.judging.database.unit(hold)

    async def remove(self, upload_id: str) -> None:
        """Remove a file that is in quarantine.

        Raises:
            NotFoundError: there is no such upload.
            UploadStateError: it is not there.
        """

        async def give_up(session: AsyncSession) -> list[str]:
            upload = await _require(session, upload_id)
            places = await stopping.remove_held(session, user_id=upload.user_id, upload_id=upload_id)
            await self._tell(session, upload, Deed.UPLOAD_REMOVED)
            return places

        await self._remove(await self.judging.database.unit(give_up))

    async def _tell(self, session: AsyncSession, upload: Upload, deed: Deed) -> None:
        name = upload.dataset_name or upload.file_name
        await audit.write_deed(
            session, upload.user_id, deed, self.by, detail=f"{name} ({upload.id}): {self.reason}"
        )

    async def _remove(self, places: Sequence[str]) -> None:
        for place in places:
            await self.judging.storage.delete(place)


async def _require(session: AsyncSession, upload_id: str) -> Upload:
    upload = await uploads.get_upload(session, upload_id)
    if upload is None:
        raise NotFoundError("There is no such upload.")
    return upload
