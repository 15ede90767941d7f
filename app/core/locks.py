"""Locks by name, in one process."""

import asyncio
from weakref import WeakValueDictionary


class Locks:
    """A lock for each name that is held or waited for; others take no memory."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, name: str) -> asyncio.Lock:
        """Return the lock of that name, for `async with`."""
        return self._locks.setdefault(name, asyncio.Lock())
