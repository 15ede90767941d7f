"""Statements on `upload_parts`: which bytes of an upload are safe, and who may add to them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.statements import row_count, upsert
from app.db.tables import upload_parts, uploads
from app.db.upload_states import UploadState
from app.storage.parts import Part


async def take_writer(
    session: AsyncSession, upload_id: str, *, owner: str, offset: int, now: datetime
) -> bool:
    """Make `owner` the only one whose bytes count, if the upload has `offset` of them and wants more.

    Whoever wrote before finds out when it next records what it has.
    """
    wanted = sa.and_(
        uploads.c.id == upload_id,
        uploads.c.state == UploadState.RECEIVING,
        uploads.c.received_bytes == offset,
        sa.or_(uploads.c.expires_at.is_(None), uploads.c.expires_at > now),
    )
    taken = sa.update(uploads).where(wanted).values(lease_owner=owner)
    return row_count(await session.execute(taken)) == 1


async def add_parts(
    session: AsyncSession,
    upload_id: str,
    parts: Sequence[Part],
    *,
    owner: str,
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
        uploads.c.id == upload_id, uploads.c.lease_owner == owner, uploads.c.state == UploadState.RECEIVING
    )
    if row_count(await session.execute(sa.update(uploads).where(mine).values(changes))) == 0:
        return False
    for part in parts:
        key = {"upload_id": upload_id, "start": part.start}
        values = {"name": part.name, "length": part.length}
        await upsert(session, upload_parts, {**key, **values}, update=values)
    return True


async def get_parts(session: AsyncSession, upload_id: str) -> list[Part]:
    """Return the parts of the upload's file, in their order."""
    statement = (
        sa.select(upload_parts.c.start, upload_parts.c.name, upload_parts.c.length, upload_parts.c.stored_in)
        .where(upload_parts.c.upload_id == upload_id)
        .order_by(upload_parts.c.start)
    )
    return [Part(*row) for row in await session.execute(statement)]


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
