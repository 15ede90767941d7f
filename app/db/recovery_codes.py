"""Statements on `recovery_codes`: digests of single-use codes for somebody who has lost every other second factor."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import row_count
from app.db.factor_tables import recovery_codes


async def set_codes(session: AsyncSession, user_id: int, digests: Collection[str], now: datetime) -> None:
    """Keep new codes in place of all earlier ones; none, if there are no digests."""
    await session.execute(sa.delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
    if digests:
        rows = [{"user_id": user_id, "code_digest": each, "created_at": now} for each in digests]
        await session.execute(sa.insert(recovery_codes), rows)


async def use_code(session: AsyncSession, user_id: int, code_digest: str) -> bool:
    """Use a code up; False if the user has no such code."""
    statement = sa.delete(recovery_codes).where(
        recovery_codes.c.user_id == user_id, recovery_codes.c.code_digest == code_digest
    )
    return row_count(await session.execute(statement)) == 1


async def get_digests(session: AsyncSession, user_id: int) -> list[str]:
    """Return the digests of the codes that are left."""
    statement = sa.select(recovery_codes.c.code_digest).where(recovery_codes.c.user_id == user_id)
    return list(await session.scalars(statement))


async def get_made_at(session: AsyncSession, user_id: int) -> datetime | None:
    """Return when the codes that are left were made; None if there are none."""
    statement = sa.select(recovery_codes.c.created_at).where(recovery_codes.c.user_id == user_id).limit(1)
    return await session.scalar(statement)


async def count_codes(session: AsyncSession, user_id: int) -> int:
    """Return how many codes are left."""
    statement = sa.select(sa.func.count()).where(recovery_codes.c.user_id == user_id)
    return int(await session.scalar(statement) or 0)
