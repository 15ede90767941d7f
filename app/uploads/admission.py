"""Who may begin an upload: told before its first byte, so that nobody sends gigabytes for nothing.

What an upload will take is reserved in the transaction that finds room for it, so that of many at once, in whichever
processes, no two are promised the same bytes.
"""

from contextlib import suppress
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import BodyTooLargeError, DatabaseUnavailableError, TooBusyError, TooManyRequestsError
from app.core.settings import Settings
from app.db import upload_bytes, upload_queues, users
from app.db.engine import Database
from app.db.upload_values import Upload
from app.storage.parts import UploadStorage
from app.storage.problems import StorageFullError
from app.uploads.problems import QuotaExceededError, UploadGoneError

WAITING_AT_MOST = 20_000
"""Uploads in the queue of all workers: days of work."""
QUEUE_RETRY_SECONDS = 60
STEP_BYTES = 1 << 24
"""Room that is reserved at once for a file whose length nobody announced; less at its beginning."""


async def require_room(
    session: AsyncSession, storage: UploadStorage, settings: Settings, *, user_id: int, size: int | None
) -> None:
    """Refuse an upload that there is no room for; what is found stays true until the transaction ends.

    Args:
        session: where the upload's row will be written; it has locked the user.
        storage: where its bytes will be.
        settings: with the limits.
        user_id: whose upload it is.
        size: of the file in bytes, if that is known.

    Raises:
        BodyTooLargeError: no file may be as large.
        QuotaExceededError: with it, the user's uploads would take more than they may.
        TooManyRequestsError: the user has too many unfinished uploads.
        TooBusyError: too many uploads wait for a worker.
        StorageFullError: it does not fit on the disk beside what is promised to others.
    """
    if size is not None and size > settings.upload_max_bytes:
        raise BodyTooLargeError.of_file(settings.upload_max_bytes)
    usage = await upload_bytes.get_usage(session, user_id)
    if usage.uploads >= settings.uploads_per_user:
        raise TooManyRequestsError(
            f"You have {usage.uploads} unfinished uploads; finish or cancel some (GET /uploads lists them)",
            retry_after_seconds=QUEUE_RETRY_SECONDS,
        )
    _quota_left(settings, usage.bytes, size or 0)
    await require_place_in_queue(session)
    await _disk_left(session, storage, settings, size or 0)


async def require_room_for_length(
    session: AsyncSession, storage: UploadStorage, settings: Settings, *, upload: Upload, size: int
) -> None:
    """Reserve room for a length that was not known when the upload began.

    Args:
        session: where the length will be written; it has locked the user.
        storage: where its bytes are.
        settings: with the limits.
        upload: whose length was not known so far.
        size: of the whole file in bytes.

    Raises:
        QuotaExceededError, StorageFullError: see `require_room`.
    """
    usage = await upload_bytes.get_usage(session, upload.user_id)
    more = size - upload.reserved_bytes
    _quota_left(settings, usage.bytes, more)
    await _disk_left(session, storage, settings, more)
    if not await upload_bytes.set_reserved(session, upload.id, size):
        raise UploadGoneError


class Reservation:
    """The room that a file has while it comes in; where nobody said how long it is, it grows with the file."""

    def __init__(
        self,
        database: Database,
        storage: UploadStorage,
        settings: Settings,
        *,
        user_id: int,
        upload_id: str,
        reserved_bytes: int,
        stored_bytes: int,
    ) -> None:
        self._database = database
        self._storage = storage
        self._settings = settings
        self._user_id = user_id
        self._upload_id = upload_id
        self._reserved = reserved_bytes
        self._end = self._noted = stored_bytes

    async def extend_to(self, end: int) -> None:
        """Make sure that the file may have so many bytes; to be called before they are written.

        Raises:
            QuotaExceededError, StorageFullError: see `require_room`.
            UploadGoneError: the upload was cancelled meanwhile.
        """
        if end > self._reserved:
            await self._write_down(end)
        elif self._end - self._noted >= STEP_BYTES:
            # What is reserved already is written meanwhile, though the database may be away.
            with suppress(DatabaseUnavailableError):
                await self._write_down(end)
        self._end = end

    async def _write_down(self, end: int) -> None:
        """Reserve what is missing, and record how many bytes are on the disk: of those, no others need be kept free."""
        self._reserved = await self._database.unit(partial(self._reserve, end=end))
        self._noted = self._end

    async def _reserve(self, session: AsyncSession, *, end: int) -> int:
        await users.require_open(session, self._user_id)
        more = await self._granted(session, end) if end > self._reserved else 0
        reserved = self._reserved + more
        if not await upload_bytes.set_reserved(session, self._upload_id, reserved, stored_bytes=self._end):
            raise UploadGoneError
        return reserved

    async def _granted(self, session: AsyncSession, end: int) -> int:
        """Return how much more there is for the file: what it needs, and a step ahead if that is left."""
        needed = end - self._reserved
        usage = await upload_bytes.get_usage(session, self._user_id)
        quota = _quota_left(self._settings, usage.bytes, needed)
        disk = await _disk_left(session, self._storage, self._settings, needed)
        step = max(needed, min(STEP_BYTES, end))
        return min(step, quota, step if disk is None else disk)


def _quota_left(settings: Settings, used_bytes: int, wanted_bytes: int) -> int:
    """Return how many bytes a user may still have; the wanted ones are among them.

    Raises:
        QuotaExceededError: they are not.
    """
    if used_bytes + wanted_bytes > settings.upload_user_bytes:
        raise QuotaExceededError(
            f"Your uploads would take {used_bytes + wanted_bytes} of {settings.upload_user_bytes} bytes; finish or "
            "cancel some (GET /uploads lists them).",
            wanted_bytes=used_bytes + wanted_bytes,
            limit_bytes=settings.upload_user_bytes,
        )
    return settings.upload_user_bytes - used_bytes


async def _disk_left(
    session: AsyncSession, storage: UploadStorage, settings: Settings, wanted_bytes: int
) -> int | None:
    """Return how many bytes nobody has or was promised; None if the storage knows no limit.

    Raises:
        StorageFullError: there are fewer than are wanted.
    """
    await upload_bytes.lock_disk(session)
    promised = await upload_bytes.get_promised_bytes(session)
    # Only now: what others write in between must be missing, not counted as free.
    free = await storage.free_bytes()
    if free is None:
        return None
    left = free - promised - settings.disk_reserve_bytes
    if wanted_bytes > left:
        raise StorageFullError
    return left


async def require_place_in_queue(session: AsyncSession) -> None:
    """Refuse an upload while too many wait for a worker.

    Raises:
        TooBusyError: as it says.
    """
    if await upload_queues.get_queue_length(session) >= WAITING_AT_MOST:
        raise TooBusyError(retry_after_seconds=QUEUE_RETRY_SECONDS)
