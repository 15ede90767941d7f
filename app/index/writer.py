"""The one thread that writes to an index."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from app.core.concurrency import BoundedExecutor
from app.index.store import Put, Store

T = TypeVar("T")


class Writer:
    """The store and the one thread that writes to it."""

    def __init__(self, store: Store, executor: BoundedExecutor) -> None:
        self.store = store
        self._executor = executor

    async def run(self, function: Callable[[], T]) -> T:
        """Call the function in the thread."""
        return await self._executor.run(function)

    async def put(self, puts: list[Put], number_of_pass: int, *notes: tuple[str, object]) -> None:
        """Keep documents and notes, all or none."""

        def write() -> None:
            with self.store.writing():
                self.store.put(puts, number_of_pass=number_of_pass)
                for name, value in notes:
                    self.store.set_meta(name, value)

        await self.run(write)

    async def note(self, name: str, value: object) -> None:
        """Keep a note."""
        await self.put([], 0, (name, value))

    async def number(self, name: str) -> float:
        """Return a note that is a number; 0 if there is none."""
        return float(await self.run(partial(self.store.get_meta, name, "0")))
