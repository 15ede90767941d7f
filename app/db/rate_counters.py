"""Rate limits counted in the database (`rate_counters`), where several processes count together without Redis."""

import time
from datetime import datetime, timedelta

import sqlalchemy as sa
from limits.aio.storage import Storage
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import DatabaseConflictError
from app.db.engine import Database, row_count, upsert
from app.db.reader import Reader, ReadStatement, moment_of
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
    return int(row[0]) if row and moment_of(row[1]) > now else 0


async def get_end(session: AsyncSession, name: str) -> datetime | None:
    """Return when the window ends, or None if nothing was counted."""
    return await session.scalar(sa.select(rate_counters.c.expires_at).where(rate_counters.c.name == name))


async def delete_counter(session: AsyncSession, name: str) -> None:
    """Forget a counter."""
    await session.execute(sa.delete(rate_counters).where(rate_counters.c.name == name))


async def delete_expired(session: AsyncSession, now: datetime) -> int:
    """Forget counters whose window is over; return how many."""
    return row_count(await session.execute(sa.delete(rate_counters).where(rate_counters.c.expires_at < now)))


class DatabaseStorage(Storage):
    """Fixed windows in `rate_counters`. Each count is a transaction of its own: it stays when the request fails."""

    STORAGE_SCHEME = None

    def __init__(self, database: Database) -> None:
        super().__init__(wrap_exceptions=True)
        self._database = database

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """What makes a process count for itself. A database that is away is none: nothing else would work, either."""
        return (DatabaseConflictError,)

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count up and return what the window has; `expiry` is its length in seconds."""
        async with self._database.session() as session:
            return await add_hits(
                session, key, hits=amount, now=self._database.now(), window=timedelta(seconds=expiry)
            )

    async def get(self, key: str) -> int:
        """Return what the window has."""
        return await get_hits(self._database.reader, key, self._database.now())

    async def get_expiry(self, key: str) -> float:
        """Return when the window ends, in Unix time."""
        async with self._database.session() as session:
            ends_at = await get_end(session, key)
        # The library compares it with this machine's clock.
        left = ends_at - self._database.now() if ends_at else timedelta()
        return time.time() + left.total_seconds()

    async def check(self) -> bool:
        """Say that the storage works; the database is watched elsewhere."""
        return True

    async def reset(self) -> int | None:
        """Return None: resetting all counters is not supported."""
        return None

    async def clear(self, key: str) -> None:
        """Forget one counter."""
        async with self._database.session() as session:
            await delete_counter(session, key)
