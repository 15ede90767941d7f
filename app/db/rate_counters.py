"""Statements on `rate_counters`: what rate limits count where several processes must count together."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.reader import Reader, ReadStatement, utc_from_text
from app.db.statements import row_count, upsert
from app.db.tables import rate_counters

_COUNTER = ReadStatement(
    sa.select(rate_counters.c.hits, rate_counters.c.expires_at).where(
        rate_counters.c.name == sa.bindparam("name")
    ),
    by_key=True,
)


async def add_hits(session: AsyncSession, name: str, *, hits: int, now: datetime, window: timedelta) -> int:
    """Count up, from nothing if the last window is over; return what the window has so far."""
    ended = rate_counters.c.expires_at <= now
    await upsert(
        session,
        rate_counters,
        {"name": name, "hits": hits, "expires_at": now + window},
        update={
            # In this order: the first looks at the old end.
            "hits": sa.case((ended, hits), else_=rate_counters.c.hits + hits),
            "expires_at": sa.case((ended, now + window), else_=rate_counters.c.expires_at),
        },
    )
    return await session.scalar(sa.select(rate_counters.c.hits).where(rate_counters.c.name == name)) or 0


async def get_hits(reader: Reader, name: str, now: datetime) -> int:
    """Return what the present window has so far; a read by key, without a transaction."""
    row = await reader.first(_COUNTER, {"name": name})
    ends_at = utc_from_text(str(row[1])) if row else None
    return int(row[0]) if row and ends_at and ends_at > now else 0


async def get_end(session: AsyncSession, name: str) -> datetime | None:
    """Return when the window ends, or None if nothing was counted."""
    return await session.scalar(sa.select(rate_counters.c.expires_at).where(rate_counters.c.name == name))


async def delete_counter(session: AsyncSession, name: str) -> None:
    """Forget a counter."""
    await session.execute(sa.delete(rate_counters).where(rate_counters.c.name == name))


async def delete_expired(session: AsyncSession, now: datetime) -> int:
    """Forget counters whose window is over; return how many."""
    return row_count(await session.execute(sa.delete(rate_counters).where(rate_counters.c.expires_at < now)))
