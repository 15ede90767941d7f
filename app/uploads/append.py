"""Taking bytes of an upload that may come in many requests.

No database connection is held while bytes move. Bytes count once they are on the disk and recorded, which happens every
now and then, and when a request breaks off: the client goes on from there.
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.active_writers import ActiveWriter, ActiveWriters
from app.core.concurrency import ConcurrencyLimit
from app.core.errors import BodyTooLargeError, MalformedBodyError, NotReadyError, ProblemError
from app.core.settings import Settings
from app.db import upload_bytes, uploads, users
from app.db.engine import Database, notify_after_commit, now_of
from app.db.upload_states import GIVEN_UP, Actor, UploadState, expiry
from app.db.upload_values import Upload
from app.events.notifications import UPLOADS, upload_topic
from app.storage.parts import Part, PartWriter, UploadStorage
from app.uploads.admission import Reservation, require_room_for_length
from app.uploads.problems import (
    ChecksumMismatchError,
    DigestMismatchError,
    InconsistentLengthError,
    OffsetMismatchError,
    UploadCompletedError,
    UploadGoneError,
    UploadStateError,
)

log = structlog.get_logger(__name__)

STOPS = (
    "The service starts anew. What came so far counts; go on where `Upload-Offset` says, or ask with HEAD."
)
RECORD_BYTES = 1 << 24
RECORD_SECONDS = 15.0
"""Bytes that come are recorded after so many, or so long."""


@dataclass(frozen=True, slots=True)
class Announced:
    """The hash that a client announced of the bytes it sends now.

    Attributes:
        algorithm: as hashlib names it.
        digest: what it shall give.
        problem: what a mismatch is in the client's dialect.
    """

    algorithm: str
    digest: bytes
    problem: type[ChecksumMismatchError | DigestMismatchError]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some bytes of a file, as a request brings them.

    Attributes:
        stream: the bytes, which end by themselves if nothing comes for too long.
        offset: where in the file they begin.
        length: how many there will be, if the client said.
        total: how many the whole file has, if the client says so only now.
        is_last: whether the client says that the file ends with them; None where only its length tells.
        announced: their hash, if the client said; then they count all together or not at all.
    """

    stream: AsyncIterator[bytes]
    offset: int
    length: int | None = None
    total: int | None = None
    is_last: bool | None = None
    announced: Announced | None = None


async def let_earlier_end(active_writers: ActiveWriters, *, user_id: int, upload_id: str) -> None:
    """End an earlier request of this process and record its bytes, before an offset is returned."""
    await active_writers.finish(_writer_name(user_id, upload_id))


def _writer_name(user_id: int, upload_id: str) -> str:
    """Return what no other user can name."""
    return f"{user_id}/{upload_id}"


def is_gone(upload: Upload, now: datetime) -> bool:
    """Return whether nobody can send bytes of the upload any more, and it never had all of them."""
    if upload.state == UploadState.RECEIVING:
        return upload.expires_at is not None and upload.expires_at <= now
    never_whole = upload.state == UploadState.FAILED and upload.received_sha256 is None
    return never_whole or upload.state == UploadState.CANCELLED


def has_all_bytes(upload: Upload) -> bool:
    """Return whether nothing is missing of the file any more."""
    return upload.state != UploadState.RECEIVING and upload.state not in GIVEN_UP


async def require_nothing(upload: Upload, chunk: Chunk) -> None:
    """Take a request without bytes from the end of a file whose bytes are all in.

    tuspy and tus-java-client send one where the answer to the last bytes was lost, the latter without a length, and
    take a refusal for a failure of the upload.

    Raises:
        OffsetMismatchError: it begins elsewhere.
        UploadCompletedError: it brings bytes.
    """
    received = upload.received_bytes or 0
    if chunk.offset != received:
        raise OffsetMismatchError.between(expected=received, provided=chunk.offset)
    if chunk.length:
        raise UploadCompletedError
    async for block in chunk.stream:
        if block:
            raise UploadCompletedError


@dataclass(frozen=True, slots=True)
class Appender:
    """Takes the bytes of requests that go on with an upload."""

    database: Database
    storage: UploadStorage
    settings: Settings
    receive_limit: ConcurrencyLimit
    active_writers: ActiveWriters

    async def append(self, upload: Upload, chunk: Chunk) -> int:
        """Take bytes of an upload that may come in many requests; return how many it has now.

        Raises:
            OffsetMismatchError: the bytes do not begin where those that count end.
            UploadCompletedError: nothing is missing.
            UploadGoneError: the upload was cancelled, or it has expired.
            InconsistentLengthError: there are more or fewer bytes than were announced.
            ChecksumMismatchError, DigestMismatchError: they are not those that were announced.
            StorageFullError: the disk is full.
        """
        with self.receive_limit.take(upload.user_id):
            if upload.state != UploadState.RECEIVING or chunk.offset != (upload.received_bytes or 0):
                raise await self.why_not_taken(upload.id, chunk)
            upload = await self._with_total(upload, chunk)
            try:
                _require_fitting(upload, chunk, self.settings.upload_max_bytes)
                return await self._take(upload, chunk)
            except _TooLongError:
                if chunk.is_last is not None:
                    await self._end_too_long(upload)
                raise

    async def _take(self, upload: Upload, chunk: Chunk) -> int:
        lease_owner = secrets.token_hex(8)
        taken = await self.database.unit(
            lambda session: upload_bytes.take_writer(
                session, upload.id, lease_owner=lease_owner, offset=chunk.offset, now=now_of(session)
            )
        )
        if not taken:
            raise await self.why_not_taken(upload.id, chunk)
        with self.active_writers.begin(_writer_name(upload.user_id, upload.id)) as active:
            return await _Append(self, upload, chunk, active, lease_owner=lease_owner).run()

    async def _end_too_long(self, upload: Upload) -> None:
        """Give up an upload whose bytes went beyond its length: the draft trusts neither from then on."""
        problem = InconsistentLengthError("More bytes came than were announced; begin a new upload.")

        async def end(session: AsyncSession) -> Sequence[str]:
            ended = await uploads.set_failed(
                session,
                upload.id,
                problem,
                by=Actor.OWNER,
                now=now_of(session),
                values={"expires_at": None},
            )
            notify_after_commit(session, upload_topic(upload.id))
            return await upload_bytes.delete_parts(session, [upload.id]) if ended else []

        for place in await self.database.unit(end):
            await self.storage.delete(place)

    async def _with_total(self, upload: Upload, chunk: Chunk) -> Upload:
        """Take note of the file's length where it was not known when the upload began."""
        if chunk.total is None or chunk.total == upload.total_bytes:
            return upload
        if upload.total_bytes is not None or chunk.total < chunk.offset:
            raise InconsistentLengthError
        if chunk.total > self.settings.upload_max_bytes:
            raise BodyTooLargeError.of_file(self.settings.upload_max_bytes)
        total = chunk.total

        async def note(session: AsyncSession) -> bool:
            await users.require_open(session, upload.user_id)
            current = await uploads.get_upload(session, upload.id)
            if current is None or current.total_bytes not in {None, total}:
                raise InconsistentLengthError
            await require_room_for_length(session, self.storage, self.settings, upload=current, size=total)
            return await uploads.set_values(
                session, upload.id, {"total_bytes": total}, only_in={UploadState.RECEIVING}
            )

        if not await self.database.unit(note):
            raise await self.why_not_taken(upload.id, chunk)
        return upload._replace(total_bytes=total, reserved_bytes=total)

    async def why_not_taken(self, upload_id: str, chunk: Chunk, *, was_ours: bool = False) -> ProblemError:
        """Return the problem of bytes that do not count: what became of the upload meanwhile."""
        async with self.database.session() as session:
            upload = await uploads.get_upload(session, upload_id)
        if upload is None or upload.state in GIVEN_UP:
            return UploadGoneError()
        received = upload.received_bytes or 0
        if was_ours and upload.state == UploadState.RECEIVING:
            return UploadStateError(
                "Another request sends bytes of this upload; ask with HEAD where it stands."
            )
        if received != chunk.offset:
            return OffsetMismatchError.between(expected=received, provided=chunk.offset)
        if upload.state == UploadState.RECEIVING:
            return UploadGoneError("The upload has expired; begin a new one.")
        if chunk.is_last is not None and chunk.length != 0:
            return InconsistentLengthError("The upload has all its bytes already.")
        return UploadCompletedError()


class _TooLongError(InconsistentLengthError):
    """There are more bytes than the file has by its length."""


def _require_fitting(upload: Upload, chunk: Chunk, largest: int) -> None:
    """Refuse before the first byte what cannot become the file that was announced."""
    if chunk.length is None:
        return
    end = chunk.offset + chunk.length
    if upload.total_bytes is None:
        if end > largest:
            raise BodyTooLargeError.of_file(largest)
    elif end > upload.total_bytes:
        raise _TooLongError(f"The upload was announced with {upload.total_bytes} bytes; these end at {end}.")


class _Append:
    """One request's bytes on their way into an upload."""

    def __init__(
        self, appender: Appender, upload: Upload, chunk: Chunk, active: ActiveWriter, *, lease_owner: str
    ) -> None:
        self._appender = appender
        self._upload = upload
        self._chunk = chunk
        self._active = active
        self._lease_owner = lease_owner
        largest = appender.settings.upload_max_bytes if upload.total_bytes is None else upload.total_bytes
        self._most = largest - chunk.offset
        self._room = Reservation(
            appender.database,
            appender.storage,
            appender.settings,
            user_id=upload.user_id,
            upload_id=upload.id,
            reserved_bytes=upload.reserved_bytes if upload.total_bytes is None else upload.total_bytes,
            stored_bytes=chunk.offset,
        )
        self._has_tried = False
        self._recorded = 0
        self._recorded_at = time.monotonic()

    async def run(self) -> int:
        """Return the offset after the last byte that counts."""
        async with self._appender.storage.writer(self._upload.id, self._chunk.offset) as writer:
            try:
                await self._take(writer)
                is_last = self._is_last(self._chunk.offset + writer.length)
            except NotReadyError as problem:
                await asyncio.shield(self._keep(writer))
                problem.headers["Upload-Offset"] = str(self._chunk.offset + self._recorded)
                raise
            except BaseException:
                # The client went away or has gone silent, or we are shutting down: what came stays.
                await asyncio.shield(self._keep(writer))
                raise
            await self._record(writer, is_last=is_last)
            return self._chunk.offset + writer.length

    async def _take(self, writer: PartWriter) -> None:
        announced = self._chunk.announced
        digest = hashlib.new(announced.algorithm, usedforsecurity=False) if announced else None
        async for block in self._active.read(self._chunk.stream):
            if writer.length + len(block) > self._most:
                raise self._too_long()
            if digest is not None:
                digest.update(block)  # At most the 64 KiB that the server reads at once.
            await self._room.extend_to(self._chunk.offset + writer.length + len(block))
            await writer.write(block)
            await self._record_now_and_then(writer)
        if self._active.is_leaving:
            raise NotReadyError(STOPS, retry_after_seconds=1)
        if self._active.is_stopped:
            raise UploadStateError("Another request has taken over.")
        if self._chunk.length is not None and writer.length != self._chunk.length:
            raise MalformedBodyError(
                "The body breaks off before its end; go on from where the upload stands."
            )
        if announced and digest is not None and digest.digest() != announced.digest:
            raise announced.problem

    def _too_long(self) -> ProblemError:
        if self._upload.total_bytes is None:
            return BodyTooLargeError.of_file(self._appender.settings.upload_max_bytes)
        return _TooLongError("More bytes came than were announced.")

    def _is_last(self, end: int) -> bool:
        total = self._upload.total_bytes
        if self._upload.is_partial:
            return False  # It has no end of its own: it is joined with others.
        if self._chunk.is_last is None:
            return end == total
        if self._chunk.is_last and total not in {None, end}:
            raise InconsistentLengthError(f"The upload was announced with {total} bytes; these end at {end}.")
        return self._chunk.is_last

    async def _record_now_and_then(self, writer: PartWriter) -> None:
        if self._chunk.announced:
            return
        is_due = time.monotonic() - self._recorded_at > RECORD_SECONDS
        if writer.length - self._recorded >= RECORD_BYTES or (is_due and writer.length > self._recorded):
            await self._record(writer, is_last=False, is_end=False)

    async def _keep(self, writer: PartWriter) -> None:
        if self._chunk.announced:
            await writer.discard()
        elif writer.length > self._recorded:
            try:
                await self._record(writer, is_last=False)
            except ProblemError as problem:
                # The client has come back already in another request, or the disk is full.
                log.info("bytes before a break do not count", upload=self._upload.id, reason=problem.detail)
            except Exception:
                log.exception("bytes before a break were not kept", upload=self._upload.id)

    async def _record(self, writer: PartWriter, *, is_last: bool, is_end: bool = True) -> None:
        parts = await writer.flush()
        received = self._chunk.offset + writer.length
        # The answer to an earlier try may have been lost; then its bytes may count.
        is_first, self._has_tried = not self._has_tried, True
        if not await self._appender.database.unit(
            lambda session: self._count(session, parts, received, is_last=is_last, is_end=is_end)
        ):
            if is_first:
                await writer.discard()
            raise await self._appender.why_not_taken(self._upload.id, self._chunk, was_ours=True)
        self._recorded, self._recorded_at = writer.length, time.monotonic()

    async def _count(
        self, session: AsyncSession, parts: Sequence[Part], received: int, *, is_last: bool, is_end: bool
    ) -> bool:
        """Let the parts count; False if another request has taken over."""
        counts = await upload_bytes.add_parts(
            session,
            self._upload.id,
            parts,
            lease_owner=self._lease_owner,
            received_bytes=received,
            expires_at=expiry(self._appender.database.now()),
        )
        if counts and is_end and self._upload.total_bytes is None:
            # What was reserved ahead of the bytes is for others again.
            counts = await upload_bytes.set_reserved(session, self._upload.id, received)
        if counts and is_last:
            now = now_of(session)
            counts = await uploads.set_state(
                session,
                self._upload.id,
                UploadState.VERIFYING,
                by=Actor.RECEIVER,
                now=now,
                lease_owner=self._lease_owner,
                available_at=now,
                values={"total_bytes": received, "expires_at": None},
            )
            notify_after_commit(session, UPLOADS)
        if counts:
            notify_after_commit(session, upload_topic(self._upload.id))
        return counts
