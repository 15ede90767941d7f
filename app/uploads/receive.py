"""Receives a form with a whole file, streaming its bytes to storage; waits for the outcome of its upload."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.bodies import PartEnd, PartEvent, PartStart
from app.core.concurrency import BoundedExecutor
from app.core.errors import (
    BodyTooLargeError,
    MalformedBodyError,
    ProblemError,
    ValidationFailedError,
    problem_from_record,
)
from app.core.settings import Settings
from app.db import upload_bytes, uploads, users
from app.db.engine import Database, notify_after_commit, now_of
from app.db.open_requests import RECEIVER_LEASE, Receivers, WatchedUploads
from app.db.reader import Reader
from app.db.upload_states import HAS_OUTCOME, Actor, UploadState
from app.db.upload_values import NewUpload, Outcome
from app.events.notifications import UPLOADS
from app.storage.parts import Part, UploadStorage
from app.tabular import format_of, what_to_do
from app.uploads.admission import Reservation, require_room
from app.uploads.creation import still_coming
from app.uploads.metadata import METADATA_BYTES, Checked, check_metadata, require_printable
from app.uploads.problems import FormatNotSupportedError, StillWorkingError, UploadGoneError

LOOK_SECONDS = 15.0
"""How often a waiting request looks at the row though nobody woke it."""


@dataclass(slots=True)
class _Form:
    """What has come of the form so far."""

    upload_id: str | None = None
    parts: list[Part] | None = None
    length: int = 0
    metadata: Checked | None = None


class FormReceiver:
    """Receives one form: writes its file to storage, checks its metadata, and records the result in the row.

    Whatever breaks off in between leaves a row in the state `receiving` whose lease runs out; the janitor, or the same
    form sent again, then says so and removes the bytes.
    """

    def __init__(
        self,
        database: Database,
        storage: UploadStorage,
        settings: Settings,
        checks: BoundedExecutor,
        receivers: Receivers,
        *,
        user_id: int,
        publish: bool,
        idempotency: tuple[str, str] | None,
        declared: int | None,
    ) -> None:
        self._database = database
        self._storage = storage
        self._settings = settings
        self._checks = checks
        self._receivers = receivers
        self._user_id = user_id
        self._publish = publish
        self._idempotency = idempotency
        self._lease_owner = secrets.token_hex(8)
        self._declared = declared
        self._form = _Form()

    async def receive(self, events: AsyncIterator[PartEvent]) -> str:
        """Return the id of an upload whose bytes are safe and whose row is `verifying`.

        Raises:
            FormatNotSupportedError: the file's name ends in something we cannot read.
            BodyTooLargeError: the file is larger than the limit.
            ValidationFailedError: a part is missing, or the metadata is not what OpenML takes.
            StorageFullError: the disk is full.
        """
        try:
            with ExitStack() as leases:
                await self._read_form(events, leases)
                return await self._accept(self._form.metadata)
        except ProblemError as problem:
            await self._give_up(problem)
            raise
        except BaseException:
            # The client went away, or we are shutting down.
            await asyncio.shield(
                self._give_up(MalformedBodyError("The upload broke off before its last byte; send it again."))
            )
            raise

    async def _read_form(self, events: AsyncIterator[PartEvent], leases: ExitStack) -> None:
        async for event in events:
            if not isinstance(event, PartStart):
                continue
            if event.name == "dataset" and event.file_name is not None:
                upload_id = await self._begin(event.file_name)
                leases.enter_context(self._receivers.hold(upload_id, lease_owner=self._lease_owner))
                await self._read_file(upload_id, events)
            elif event.name == "metadata":
                content = await _read_small(events)
                # At once: where it comes first and is wrong, nobody sends the file for nothing.
                self._form.metadata = await self._checks.run_for(self._user_id, check_metadata, content)

    async def _read_file(self, upload_id: str, events: AsyncIterator[PartEvent]) -> None:
        limit = self._settings.upload_max_bytes
        room = Reservation(
            self._database,
            self._storage,
            self._settings,
            user_id=self._user_id,
            upload_id=upload_id,
            reserved_bytes=self._declared or 0,
            stored_bytes=0,
        )
        async with self._storage.writer(upload_id, 0) as writer:
            async for event in events:
                if isinstance(event, PartEnd):
                    break
                if isinstance(event, bytes):
                    if writer.length + len(event) > limit:
                        raise BodyTooLargeError.of_file(limit)
                    await room.extend_to(writer.length + len(event))
                    await writer.write(event)
            self._form.parts = list(await writer.flush())
            self._form.length = writer.length

    async def _begin(self, file_name: str) -> str:
        """Write the row and reserve the room in one transaction: of many forms at once only those pass that fit."""
        if self._form.upload_id is not None:
            raise MalformedBodyError("The form has two files; send one.")
        require_printable(file_name)
        kind = format_of(file_name)
        if kind is None:
            raise FormatNotSupportedError(what_to_do(file_name))
        upload_id = self._form.upload_id = secrets.token_hex(16)
        now = self._database.now()
        key, digest = self._idempotency or (None, None)
        new = NewUpload(
            id=upload_id,
            user_id=self._user_id,
            file_name=file_name,
            format=kind.format,
            created_at=now,
            available_at=now + RECEIVER_LEASE,
            lease_owner=self._lease_owner,
            reserved_bytes=self._declared or 0,
            publish_requested=self._publish,
            idempotency_key=key,
            request_digest=digest,
        )
        try:
            await self._database.unit(partial(self._add, new=new))
        except IntegrityError:
            self._form.upload_id = None
            raise still_coming() from None
        return upload_id

    async def _accept(self, metadata: Checked | None) -> str:
        if metadata is None:
            raise ValidationFailedError.for_fields(
                [{"field": "metadata", "message": "Send the description as JSON."}]
            )
        upload_id, parts = self._form.upload_id, self._form.parts
        if upload_id is None or parts is None:
            raise ValidationFailedError.for_fields(
                [{"field": "dataset", "message": "Send a file in the part `dataset`."}]
            )

        async def accept(session: AsyncSession) -> bool:
            now = now_of(session)
            notify_after_commit(session, UPLOADS)
            return await upload_bytes.add_parts(
                session,
                upload_id,
                parts,
                lease_owner=self._lease_owner,
                received_bytes=self._form.length,
                expires_at=None,
            ) and await uploads.set_state(
                session,
                upload_id,
                UploadState.VERIFYING,
                by=Actor.RECEIVER,
                now=now,
                lease_owner=self._lease_owner,
                available_at=now,
                values={
                    "total_bytes": self._form.length,
                    "reserved_bytes": self._form.length,
                    "description": metadata.values,
                    "repairs": metadata.repairs,
                    "warnings": metadata.warnings,
                },
            )

        if not await self._database.unit(accept):
            raise _took_too_long()
        return upload_id

    async def _add(self, session: AsyncSession, *, new: NewUpload) -> None:
        await users.require_open(session, self._user_id)
        await require_room(session, self._storage, self._settings, user_id=self._user_id, size=self._declared)
        await uploads.add_upload(session, new)

    async def _give_up(self, problem: ProblemError) -> None:
        upload_id = self._form.upload_id
        if upload_id is None:
            return

        async def give_up(session: AsyncSession) -> bool:
            was_ours = await uploads.set_failed(
                session,
                upload_id,
                problem,
                by=Actor.RECEIVER,
                now=now_of(session),
                lease_owner=self._lease_owner,
                # What broke off may be sent again under the same key.
                values={"idempotency_key": None},
            )
            if was_ours:
                await upload_bytes.delete_parts(session, [upload_id])
            return was_ours

        # Else they are somebody else's to remove, or are needed: the row may say so though its commit was not answered.
        if await self._database.unit(give_up):
            await self._storage.delete(upload_id)


def _took_too_long() -> MalformedBodyError:
    """Return the problem of a form whose lease ended while its process was paused; its upload has failed."""
    return MalformedBodyError("The upload took a break too long; send it again.")


async def _read_small(events: AsyncIterator[PartEvent]) -> bytes:
    content = bytearray()
    async for event in events:
        if isinstance(event, PartEnd):
            break
        if isinstance(event, bytes):
            content += event
            if len(content) > METADATA_BYTES:
                raise BodyTooLargeError(f"The metadata is larger than {METADATA_BYTES} bytes.")
    return bytes(content)


async def wait_for_outcome(
    reader: Reader, watched: WatchedUploads, upload_id: str, *, seconds: float
) -> tuple[str, Outcome]:
    """Return how the upload was published, and which one that was: it may have been an earlier one of the same file.

    Raises:
        Problem: why it was not, as the worker wrote it down.
        StillWorkingError: it takes longer than a request may wait; the upload goes on.
    """
    deadline = time.monotonic() + seconds
    asked_for = upload_id
    with ExitStack() as stack:
        listener = stack.enter_context(watched.listen(upload_id))
        while time.monotonic() < deadline:
            outcome = await uploads.get_outcome(reader, upload_id)
            if outcome and outcome.state == UploadState.FAILED and outcome.error:
                raise problem_from_record(outcome.error, upload_id=upload_id)
            if outcome and outcome.state == UploadState.CANCELLED:
                raise UploadGoneError("The upload was cancelled.", upload_id=upload_id)
            if outcome and outcome.state == UploadState.DUPLICATE and outcome.duplicate_of:
                upload_id = outcome.duplicate_of
                listener = stack.enter_context(watched.listen(upload_id))
                continue
            if outcome and outcome.state in HAS_OUTCOME:
                return upload_id, outcome
            await listener.wait(seconds=min(LOOK_SECONDS, max(deadline - time.monotonic(), 0)))
    raise StillWorkingError(
        "The upload is safe and still being published; look for it on OpenML in a while.", upload_id=asked_for
    )
