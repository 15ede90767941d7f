"""Statements on `factor_resets`: second factors that are to be removed for their owner, after a delay to object in."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import row_count
from app.db.factor_tables import factor_resets


class FactorReset(NamedTuple):
    """A removal that waits."""

    user_id: int
    asked_by: str
    asked_at: datetime
    due_at: datetime


_COLUMNS = tuple(factor_resets.c[name] for name in FactorReset._fields)


async def add_reset(session: AsyncSession, reset: FactorReset) -> FactorReset:
    """Keep a removal, and return what waits: one that was begun before is carried out when it was to be."""
    earlier = await get_reset(session, reset.user_id)
    if earlier is None:
        await session.execute(sa.insert(factor_resets).values(reset._asdict()))
    return earlier or reset


async def get_reset(session: AsyncSession, user_id: int) -> FactorReset | None:
    """Return the removal that waits for this user, None if there is none."""
    row = (await session.execute(sa.select(*_COLUMNS).where(factor_resets.c.user_id == user_id))).first()
    return FactorReset._make(row) if row else None


async def get_due(session: AsyncSession, now: datetime, *, limit: int) -> list[FactorReset]:
    """Return removals whose delay is over."""
    statement = sa.select(*_COLUMNS).where(factor_resets.c.due_at <= now).limit(limit)
    return [FactorReset._make(row) for row in await session.execute(statement)]


async def delete_reset(session: AsyncSession, user_id: int) -> bool:
    """Forget the removal; False if there is none, or somebody was faster."""
    statement = sa.delete(factor_resets).where(factor_resets.c.user_id == user_id)
    return row_count(await session.execute(statement)) == 1


async def delete_of_user(session: AsyncSession, user_id: int) -> None:
    """Forget the removal, if there is one."""
    await session.execute(sa.delete(factor_resets).where(factor_resets.c.user_id == user_id))
