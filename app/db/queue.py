"""Claiming rows that are work: a lease, so that of many workers one has a row, and a dead one loses it.

A table that is a queue has the columns `id`, `state`, `attempts`, `available_at` and `lease_owner`. A claimed row's
`available_at` is the end of its lease: nobody else takes it before, and everybody may afterwards. The UPDATE
repeats the condition, so no lock is needed, and every database that OpenML runs on can do it.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.results import row_count

CANDIDATES = 16
"""Rows looked at in one turn; a claim that another worker wins moves on to the next."""


async def claim(
    session: AsyncSession,
    table: sa.Table,
    *,
    states: Collection[str],
    owner: str,
    now: datetime,
    lease: timedelta,
) -> int | str | None:
    """Give `owner` the oldest row that is due, count the attempt, and return its id; None if there is none."""
    due = sa.and_(table.c.state.in_(states), table.c.available_at <= now)
    candidates = await session.scalars(
        sa.select(table.c.id).where(due).order_by(table.c.available_at).limit(CANDIDATES)
    )
    for candidate in candidates.all():
        taken = (
            sa.update(table)
            .where(table.c.id == candidate, due)
            .values(lease_owner=owner, available_at=now + lease, attempts=table.c.attempts + 1)
        )
        if row_count(await session.execute(taken)) == 1:
            found: int | str = candidate
            return found
    return None


async def renew(
    session: AsyncSession, table: sa.Table, row_id: int | str, *, owner: str, until: datetime
) -> bool:
    """Lengthen a lease; False if the row has gone to somebody else meanwhile."""
    mine = sa.and_(table.c.id == row_id, table.c.lease_owner == owner)
    return row_count(await session.execute(sa.update(table).where(mine).values(available_at=until))) == 1
