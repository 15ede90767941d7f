"""Taking one form with a whole file: what it brings goes to storage as it comes, and the row tells how it went."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.exc import IntegrityError

from app.core.errors import (
    BodyTooLargeError,
    FormatNotSupportedError,
    MalformedBodyError,
    Problem,
    UploadStateError,
    ValidationFailedError,
)
from app.core.multipart import PartEnd, PartEvent, PartStart, too_large
from app.core.wakeups import UPLOADS
from app.db import upload_parts, uploads
from app.db.engine import wake_after_commit
from app.db.uploads import TO_RECEIVE, NewUpload, UploadState
from app.resources import Resources
from app.storage.parts import Part
from app.tabular import format_of
from app.upload.admission import require_room_for_more
from app.upload.append import RECORD_BYTES
from app.upload.metadata import METADATA_BYTES, Checked, check_complete, parse_metadata, require_printable


@dataclass(slots=True)
class _Form:
    """What has come of the form so far."""

    upload_id: str | None = None
    parts: list[Part] | None = None
    length: int = 0
    metadata: bytes | None = None


class FormReceiver:
    """Takes one form: the file goes to storage, the metadata is checked, the row tells how it went.

    Whatever breaks off in between leaves a row in the state `receiving` whose lease runs out; the janitor then says so
    and removes the bytes.
    """

    def __init__(
        self, resources: Resources, *, user_id: int, publish: bool, idempotency: tuple[str, str] | None
    ) -> None:
        self._resources = resources
        self._user_id = user_id
        self._publish = publish
        self._idempotency = idempotency
        self._owner = secrets.token_hex(8)
        self._form = _Form()
        self._renewed = time.monotonic()
        self._looked = 0
        # A client may be silent for so long, and bytes are what renews the lease.
        settings = resources.settings
        self._lease = timedelta(seconds=settings.lease_seconds + settings.upload_stall_seconds)

    async def receive(self, events: AsyncIterator[PartEvent]) -> str:
        """Return the id of an upload whose bytes are safe and whose row is `verifying`.

        Raises:
            FormatNotSupportedError: the file's name ends in something we cannot read.
            BodyTooLargeError: the file is larger than the limit.
            ValidationFailedError: a part is missing, or the metadata is not what OpenML takes.
            StorageFullError: the disk is full.
        """
        try:
            await self._read_form(events)
            return await self._accept(_require_metadata(self._form.metadata))
        except Problem as problem:
            await self._give_up(problem)
            raise
        except BaseException:
            # The client went away, or we are shutting down.
            await asyncio.shield(
                self._give_up(MalformedBodyError("The upload broke off before its last byte; send it again."))
            )
            raise

    async def _read_form(self, events: AsyncIterator[PartEvent]) -> None:
        async for event in events:
            if not isinstance(event, PartStart):
                continue
            if event.name == "dataset" and event.file_name is not None:
                await self._read_file(event.file_name, events)
            elif event.name == "metadata":
                self._form.metadata = await _read_small(events)

    async def _read_file(self, file_name: str, events: AsyncIterator[PartEvent]) -> None:
        if self._form.upload_id is not None:
            raise MalformedBodyError("The form has two files; send one.")
        upload_id = await self._begin(file_name)
        limit = self._resources.settings.upload_max_bytes
        async with self._resources.storage.writer(upload_id, 0) as writer:
            async for event in events:
                if isinstance(event, PartEnd):
                    break
                if isinstance(event, bytes):
                    if writer.length + len(event) > limit:
                        raise too_large(limit)
                    await writer.write(event)
                    await self._renew(upload_id)
                    await self._require_room(writer.length)
            self._form.parts = list(await writer.flush())
            self._form.length = writer.length

    async def _begin(self, file_name: str) -> str:
        require_printable(file_name)
        kind = format_of(file_name)
        if kind is None:
            raise FormatNotSupportedError
        upload_id = self._form.upload_id = secrets.token_hex(16)
        now = self._resources.database.now()
        key, digest = self._idempotency or (None, None)
        new = NewUpload(
            id=upload_id,
            user_id=self._user_id,
            file_name=file_name,
            format=kind.format,
            created_at=now,
            available_at=now + self._lease,
            owner=self._owner,
            publish_requested=self._publish,
            idempotency_key=key,
            request_digest=digest,
        )
        try:
            async with self._resources.database.session() as session:
                await uploads.add_upload(session, new)
        except IntegrityError:
            self._form.upload_id = None
            raise UploadStateError(
                "Another request with this Idempotency-Key is still coming in; send this one when that has ended."
            ) from None
        return upload_id

    async def _renew(self, upload_id: str) -> None:
        if time.monotonic() - self._renewed < self._resources.settings.lease_seconds / 3:
            return
        self._renewed = time.monotonic()
        until = self._resources.database.now() + self._lease
        async with self._resources.database.session() as session:
            if not await TO_RECEIVE.renew(session, upload_id, owner=self._owner, until=until):
                raise _took_too_long()

    async def _require_room(self, length: int) -> None:
        """Look every now and then whether there still is room: the form may not have said how long it is."""
        if length - self._looked >= RECORD_BYTES:
            self._looked = length
            await require_room_for_more(self._resources, user_id=self._user_id, unrecorded_bytes=length)

    async def _accept(self, metadata: Checked) -> str:
        upload_id, parts = self._form.upload_id, self._form.parts
        if upload_id is None or parts is None:
            raise ValidationFailedError.for_fields(
                [{"field": "dataset", "message": "Send a file in the part `dataset`."}]
            )
        now = self._resources.database.now()
        async with self._resources.database.session() as session:
            accepted = await upload_parts.add_parts(
                session,
                upload_id,
                parts,
                owner=self._owner,
                received_bytes=self._form.length,
                expires_at=None,
            ) and await uploads.set_state(
                session,
                upload_id,
                UploadState.VERIFYING,
                now=now,
                owner=self._owner,
                available_at=now,
                values={
                    "total_bytes": self._form.length,
                    "description": metadata.values,
                    "repairs": metadata.repairs,
                    "warnings": metadata.warnings,
                },
            )
            wake_after_commit(session, UPLOADS)
        if not accepted:
            raise _took_too_long()
        return upload_id

    async def _give_up(self, problem: Problem) -> None:
        upload_id = self._form.upload_id
        if upload_id is None:
            return
        async with self._resources.database.session() as session:
            was_ours = await uploads.set_state(
                session,
                upload_id,
                UploadState.FAILED,
                now=self._resources.database.now(),
                owner=self._owner,
                detail=problem.detail,
                # What broke off may be sent again under the same key.
                values={"error": problem.record(), "idempotency_key": None},
            )
        # Else they are somebody else's to remove, or are needed: the row may say so though its commit was not answered.
        if was_ours:
            await self._resources.storage.delete(upload_id)


def _took_too_long() -> MalformedBodyError:
    """The process slept past its lease, and the janitor has cleaned up."""
    return MalformedBodyError("The upload took a break too long; send it again.")


def _require_metadata(content: bytes | None) -> Checked:
    if content is None:
        raise ValidationFailedError.for_fields(
            [{"field": "metadata", "message": "Send the description as JSON."}]
        )
    return check_complete(parse_metadata(content))


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
