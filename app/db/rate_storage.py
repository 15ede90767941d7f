"""The database as the place where workers count rate limits together, for installations without Redis."""

import time
from datetime import timedelta

from limits.aio.storage import Storage

from app.core.errors import DatabaseConflictError
from app.db import rate_counters
from app.db.engine import Database


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
            return await rate_counters.add_hits(
                session, key, hits=amount, now=self._database.now(), window=timedelta(seconds=expiry)
            )

    async def get(self, key: str) -> int:
        """Return what the window has."""
        return await rate_counters.get_hits(self._database.reader, key, self._database.now())

    async def get_expiry(self, key: str) -> float:
        """Return when the window ends, in Unix time."""
        async with self._database.session() as session:
            ends_at = await rate_counters.get_end(session, key)
        # The library compares it with this machine's clock.
        left = ends_at - self._database.now() if ends_at else timedelta()
        return time.time() + left.total_seconds()

    async def check(self) -> bool:
        """Say that the storage works; the database is watched elsewhere."""
        return True

    async def reset(self) -> int | None:
        """Count nothing as reset: nobody may forget everything at once."""
        return None

    async def clear(self, key: str) -> None:
        """Forget one counter."""
        async with self._database.session() as session:
            await rate_counters.delete_counter(session, key)
