"""What a worker may write: conversions stop where the disk's reserve, or their owner's quota, would be used up."""

import asyncio
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import QuotaExceededError, StorageFullError
from app.core.settings import Settings
from app.db import upload_room, users
from app.db.engine import Database
from app.db.uploads import Upload
from app.storage.parts import UploadStorage
from app.worker.leases import LeaseLostError

RESERVE_SHARE: Final = 1.5
"""Of the reserve, what conversions leave: uploads may go down to the reserve itself, so that small ones always can."""
WATCH_SECONDS: Final = 0.5
"""How often it is looked at what a conversion has written, and what others were promised meanwhile."""
T = TypeVar("T")


async def require_working_room(
    database: Database, storage: UploadStorage, settings: Settings, wanted_bytes: int = 0
) -> int:
    """Return how many bytes of this machine's disk conversions leave free at present.

    Raises:
        StorageFullError: with the wanted bytes, there would be fewer.
    """
    least = int(settings.disk_reserve_bytes * RESERVE_SHARE)
    # A store elsewhere keeps what comes in, and this disk only what is worked on.
    if await storage.free_bytes() is not None:
        async with database.session() as session:
            least += await upload_room.get_promised_bytes(session)
    if await storage.working_bytes() - wanted_bytes < least:
        raise StorageFullError(NO_ROOM)
    return least


NO_ROOM = (
    "There is no room on this server's disk to convert the table. Its bytes are kept for a while: try it again later "
    "(`retry`), or cancel it and publish it in smaller parts."
)


class WorkingFile:
    """A file that a child process makes for an upload, and what it may have of the disk and of its owner's quota."""

    def __init__(
        self,
        database: Database,
        storage: UploadStorage,
        settings: Settings,
        *,
        upload: Upload,
        target: Path,
        kept_bytes: int,
    ) -> None:
        """`kept_bytes` is what the upload has on the disk beside the file."""
        self._database = database
        self._storage = storage
        self._settings = settings
        self._upload = upload
        self._target = target
        self._kept = kept_bytes

    async def quota_left(self) -> int:
        """Return how many bytes the file may have.

        Raises:
            QuotaExceededError: none.
        """
        limit = self._settings.upload_user_bytes
        async with self._database.session() as session:
            others = await upload_room.get_usage(session, self._upload.user_id, but=self._upload.id)
        left = limit - others.bytes - self._kept
        if left <= 0:
            raise self.over_quota()
        return left

    def over_quota(self) -> QuotaExceededError:
        """Return the problem of a file that its owner may not have."""
        limit = self._settings.upload_user_bytes
        return QuotaExceededError(
            f"Your uploads, with what is made of them, would take more than {limit} bytes. Finish or cancel some "
            "(GET /uploads lists them), then try this one again (`retry`).",
            limit_bytes=limit,
        )

    async def watch(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work returns; end it where there is no room for what it writes any more.

        Raises:
            StorageFullError, QuotaExceededError: there is none.
        """
        task = asyncio.create_task(work)
        try:
            while not (await asyncio.wait({task}, timeout=WATCH_SECONDS))[0]:
                await require_working_room(self._database, self._storage, self._settings)
                await self.count(await asyncio.to_thread(size_of, self._target))
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return task.result()

    async def count(self, size: int) -> None:
        """Count the file, as long as it is, with what the owner has.

        Raises:
            QuotaExceededError: they may not have as much.
            LeaseLostError: the upload has ended meanwhile.
        """
        await self._database.unit(partial(self._count, size=size))

    async def _count(self, session: AsyncSession, *, size: int) -> None:
        await users.lock_user(session, self._upload.user_id)
        others = await upload_room.get_usage(session, self._upload.user_id, but=self._upload.id)
        if others.bytes + self._kept + size > self._settings.upload_user_bytes:
            raise self.over_quota()
        if not await upload_room.set_reserved(session, self._upload.id, self._kept + size):
            raise LeaseLostError


def size_of(path: Path) -> int:
    """Return the length of a file; 0 if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
