"""Statements on what uploads take of the disk and of their owner's quota: reserved before it is written."""

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.statements import row_count, upsert
from app.db.tables import address_locks, uploads
from app.db.upload_states import HOLDS_BYTES, UploadState

DISK = {"address_digest": "disk"}
"""The row that whoever reserves room on the disk holds; no address has this digest."""


class Usage(NamedTuple):
    """What a user has: how many unfinished uploads, and the bytes that all uploads take of the disk, or will take."""

    uploads: int
    bytes: int


async def get_usage(session: AsyncSession, user_id: int, *, but: str = "") -> Usage:
    """Return what the user's uploads take, but for the one that is named.

    What a failed one keeps for another attempt counts as well.
    """
    is_unfinished = sa.case((uploads.c.state.in_(HOLDS_BYTES), 1), else_=0)
    statement = sa.select(
        sa.func.coalesce(sa.func.sum(is_unfinished), 0),
        sa.func.coalesce(sa.func.sum(uploads.c.reserved_bytes), 0),
    ).where(uploads.c.user_id == user_id, uploads.c.id != but)
    count, total = (await session.execute(statement)).one()
    return Usage(int(count), int(total))


async def lock_disk(session: AsyncSession) -> None:
    """Let what this transaction finds free on the disk stay true until it ends. Users are locked first."""
    await upsert(session, address_locks, DISK, update=DISK)


async def get_promised_bytes(session: AsyncSession) -> int:
    """Return how many bytes are reserved for uploads that come in, and are not on the disk yet."""
    missing = uploads.c.reserved_bytes - uploads.c.stored_bytes
    statement = sa.select(sa.func.coalesce(sa.func.sum(missing), 0)).where(
        uploads.c.state == UploadState.RECEIVING, missing > 0
    )
    return int((await session.execute(statement)).scalar_one())


async def set_reserved(
    session: AsyncSession, upload_id: str, reserved_bytes: int, *, stored_bytes: int | None = None
) -> bool:
    """Write down what an upload takes, and how much of it is on the disk; False if its bytes are gone."""
    values = {"reserved_bytes": reserved_bytes}
    if stored_bytes is not None:
        values["stored_bytes"] = stored_bytes
    mine = sa.and_(uploads.c.id == upload_id, uploads.c.state.in_(HOLDS_BYTES))
    return row_count(await session.execute(sa.update(uploads).where(mine).values(values))) == 1
