"""The bytes of uploads: which are safe, who may add to them, and the room that is reserved before they come."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import row_count, upsert
from app.db.reader import Reader, ReadStatement
from app.db.tables import address_locks
from app.db.upload_states import HOLDS_BYTES, UploadState
from app.db.upload_tables import upload_parts, uploads
from app.storage.parts import Part

DISK = {"address_digest": "disk"}
"""Key of the row that is locked while disk space is reserved; no address has this digest."""


class Usage(NamedTuple):
    """What a user has: how many unfinished uploads, and the bytes that all uploads take of the disk, or will take."""

    uploads: int
    bytes: int


_OTHERS_OF_THE_USER = sa.and_(
    uploads.c.user_id == sa.bindparam("user_id"), uploads.c.id != sa.bindparam("but")
)
_USAGE = sa.select(
    sa.select(sa.func.count()).where(_OTHERS_OF_THE_USER, uploads.c.state.in_(HOLDS_BYTES)).scalar_subquery(),
    # All states are named, so that only the rows that take something are read, by the index.
    sa.select(sa.func.coalesce(sa.func.sum(uploads.c.reserved_bytes), 0))
    .where(_OTHERS_OF_THE_USER, uploads.c.state.in_(UploadState), uploads.c.reserved_bytes > 0)
    .scalar_subquery(),
)
_MISSING = uploads.c.reserved_bytes - uploads.c.stored_bytes
_PROMISED = sa.select(sa.func.coalesce(sa.func.sum(_MISSING), 0)).where(
    uploads.c.state == UploadState.RECEIVING, _MISSING > 0
)
_PARTS = ReadStatement(
    sa.select(upload_parts.c.start, upload_parts.c.name, upload_parts.c.length, upload_parts.c.stored_in)
    .where(upload_parts.c.upload_id == sa.bindparam("upload_id"))
    .order_by(upload_parts.c.start)
)


async def get_usage(session: AsyncSession, user_id: int, *, but: str = "") -> Usage:
    """Return what the user's uploads take, but for the one that is named.

    What a failed one keeps for another attempt counts as well.
    """
    count, total = (await session.execute(_USAGE, {"user_id": user_id, "but": but})).one()
    return Usage(int(count), int(total))


async def lock_disk(session: AsyncSession) -> None:
    """Let what this transaction finds free on the disk stay true until it ends. Users are locked first."""
    await upsert(session, address_locks, DISK, update=DISK)


async def get_promised_bytes(session: AsyncSession) -> int:
    """Return how many bytes are reserved for uploads that come in, and are not on the disk yet."""
    return int((await session.execute(_PROMISED)).scalar_one())


async def set_reserved(
    session: AsyncSession, upload_id: str, reserved_bytes: int, *, stored_bytes: int | None = None
) -> bool:
    """Record the bytes that an upload occupies, and those of them on disk; False if its state has none."""
    values = {"reserved_bytes": reserved_bytes}
    if stored_bytes is not None:
        values["stored_bytes"] = stored_bytes
    mine = sa.and_(uploads.c.id == upload_id, uploads.c.state.in_(HOLDS_BYTES))
    return row_count(await session.execute(sa.update(uploads).where(mine).values(values))) == 1


async def take_writer(
    session: AsyncSession, upload_id: str, *, lease_owner: str, offset: int, now: datetime
) -> bool:
    """Make `lease_owner` the only one whose bytes count, if the upload has `offset` of them and wants more.

    An earlier writer notices when it next records bytes.
    """
    wanted = sa.and_(
        uploads.c.id == upload_id,
        uploads.c.state == UploadState.RECEIVING,
        uploads.c.received_bytes == offset,
        sa.or_(uploads.c.expires_at.is_(None), uploads.c.expires_at > now),
    )
    taken = sa.update(uploads).where(wanted).values(lease_owner=lease_owner)
    return row_count(await session.execute(taken)) == 1


async def add_parts(
    session: AsyncSession,
    upload_id: str,
    parts: Sequence[Part],
    *,
    lease_owner: str,
    received_bytes: int,
    expires_at: datetime | None,
    available_at: datetime | None = None,
) -> bool:
    """Record bytes that are durable; False if another writer has come since, and they do not count."""
    changes: dict[str, Any] = {"received_bytes": received_bytes, "stored_bytes": received_bytes}
    if expires_at is not None:
        changes["expires_at"] = expires_at
    if available_at is not None:
        changes["available_at"] = available_at
    mine = sa.and_(
        uploads.c.id == upload_id,
        uploads.c.lease_owner == lease_owner,
        uploads.c.state == UploadState.RECEIVING,
    )
    if row_count(await session.execute(sa.update(uploads).where(mine).values(changes))) == 0:
        return False
    for part in parts:
        key = {"upload_id": upload_id, "start": part.start}
        values = {"name": part.name, "length": part.length}
        await upsert(session, upload_parts, {**key, **values}, update=values)
    return True


async def get_parts(reader: Reader, upload_id: str) -> list[Part]:
    """Return the parts of the upload's file, in their order."""
    return [Part(*row) for row in await reader.rows(_PARTS, {"upload_id": upload_id})]


async def get_length(session: AsyncSession, upload_id: str) -> int:
    """Return how many bytes of the upload's file are recorded."""
    length = sa.func.coalesce(sa.func.sum(upload_parts.c.length), 0)
    statement = sa.select(length).where(upload_parts.c.upload_id == upload_id)
    return int((await session.execute(statement)).scalar_one())


async def move_parts(session: AsyncSession, upload_id: str, *, into: str, start: int) -> None:
    """Let what came of one upload count as bytes of another one from `start` on; the storage keeps it where it is."""
    moved = {
        "upload_id": into,
        "start": upload_parts.c.start + start,
        "stored_in": sa.func.coalesce(upload_parts.c.stored_in, upload_id),
    }
    await session.execute(sa.update(upload_parts).where(upload_parts.c.upload_id == upload_id).values(moved))


async def delete_parts(session: AsyncSession, upload_ids: Collection[str]) -> list[str]:
    """Forget the parts of files that are gone, or about to be, and the room that they had.

    Returns under which uploads the storage has bytes of theirs.
    """
    mine = uploads.c.id.in_(upload_ids)
    await session.execute(sa.update(uploads).where(mine).values(reserved_bytes=0, stored_bytes=0))
    theirs = upload_parts.c.upload_id.in_(upload_ids)
    elsewhere = (
        sa.select(upload_parts.c.stored_in).distinct().where(theirs, upload_parts.c.stored_in.is_not(None))
    )
    found = [str(place) for place in await session.scalars(elsewhere)]
    await session.execute(sa.delete(upload_parts).where(theirs))
    return [*upload_ids, *found]
