"""Who may begin an upload: told before its first byte, so that nobody sends gigabytes for nothing."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import QuotaExceededError, StorageFullError, TooBusyError, TooManyRequestsError
from app.core.multipart import too_large
from app.core.settings import Settings
from app.db import uploads
from app.db.uploads import Upload
from app.resources import Resources

QUEUE_RETRY_SECONDS = 60


async def admit(resources: Resources, *, user_id: int, size: int | None) -> None:
    """Refuse an upload of one request that there is no room for.

    Raises:
        BodyTooLargeError, QuotaExceededError, StorageFullError, TooBusyError, TooManyRequestsError: see `require_room`.
    """
    free_bytes = await resources.storage.free_bytes()
    async with resources.database.session() as session:
        await require_room(session, resources.settings, user_id=user_id, size=size, free_bytes=free_bytes)


async def require_room_for_more(resources: Resources, *, user_id: int, unrecorded_bytes: int) -> None:
    """Refuse to go on with a file whose size nobody announced, where it takes more than there is room for.

    Args:
        resources: of the process.
        user_id: whose upload it is.
        unrecorded_bytes: what has come of it that its row does not say yet.

    Raises:
        QuotaExceededError, StorageFullError: see `require_room`.
    """
    settings = resources.settings
    free_bytes = await resources.storage.free_bytes()
    async with resources.database.session() as session:
        usage = await uploads.get_usage(session, user_id)
    _require_quota(settings, usage.bytes + unrecorded_bytes)
    if free_bytes is not None and free_bytes < settings.disk_reserve_bytes:
        raise StorageFullError


async def require_room_for_length(
    session: AsyncSession, settings: Settings, *, upload: Upload, size: int, free_bytes: int | None
) -> None:
    """Refuse a length that is told only after the upload began, as its beginning would have been.

    Args:
        session: where the length will be written; it has locked the user.
        settings: the limits.
        upload: whose length was not known so far.
        size: of the whole file in bytes.
        free_bytes: what the storage has left, if that is known.

    Raises:
        QuotaExceededError, StorageFullError: see `require_room`.
    """
    missing = size - (upload.received_bytes or 0)
    usage = await uploads.get_usage(session, upload.user_id)
    _require_quota(settings, usage.bytes + missing)
    if free_bytes is not None:
        left = free_bytes - await uploads.get_promised_bytes(session) - missing
        if left < settings.disk_reserve_bytes:
            raise StorageFullError


def _require_quota(settings: Settings, wanted_bytes: int) -> None:
    if wanted_bytes > settings.upload_user_bytes:
        raise QuotaExceededError(
            f"Your unfinished uploads would take {wanted_bytes} of {settings.upload_user_bytes} bytes; finish or "
            "cancel some (GET /uploads lists them).",
            wanted_bytes=wanted_bytes,
            limit_bytes=settings.upload_user_bytes,
        )


async def require_room(
    session: AsyncSession, settings: Settings, *, user_id: int, size: int | None, free_bytes: int | None
) -> None:
    """Refuse an upload that there is no room for, as long as the transaction lasts that locked the user.

    Args:
        session: where the upload's row will be written.
        settings: the limits.
        user_id: whose upload it is.
        size: of the file in bytes, if that is known.
        free_bytes: what the storage has left, if that is known.

    Raises:
        BodyTooLargeError: no file may be as large.
        QuotaExceededError: with it, the user's unfinished uploads would take more than they may.
        TooManyRequestsError: the user has too many unfinished uploads.
        TooBusyError: too many uploads wait for a worker.
        StorageFullError: it does not fit on the disk beside what is promised to others.
    """
    if size is not None and size > settings.upload_max_bytes:
        raise too_large(settings.upload_max_bytes)
    usage = await uploads.get_usage(session, user_id)
    if usage.uploads >= settings.uploads_per_user:
        raise TooManyRequestsError(
            f"You have {usage.uploads} unfinished uploads; finish or cancel some (GET /uploads lists them)",
            retry_after_seconds=QUEUE_RETRY_SECONDS,
        )
    _require_quota(settings, usage.bytes + (size or 0))
    if await uploads.get_queue_length(session) >= settings.uploads_waiting:
        raise TooBusyError(retry_after_seconds=QUEUE_RETRY_SECONDS)
    if free_bytes is not None:
        left = free_bytes - await uploads.get_promised_bytes(session) - (size or 0)
        if left < settings.disk_reserve_bytes:
            raise StorageFullError
