"""Connections that read an index, each search with a bound."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

BUSY_SECONDS: Final = 10
CACHE_KIB: Final = 8_000
LOOK_EVERY: Final = 20_000
"""Steps of SQLite's machine between two looks at the clock: about a millisecond."""


class ReadingConnection(sqlite3.Connection):
    """A connection that only reads, and can be told when to stop."""

    _is_over: Callable[[], bool] | None = None

    def bound(self, is_over: Callable[[], bool]) -> None:
        """Have what is read from now on end with `OperationalError: interrupted` when this says so."""
        self._is_over = is_over
        self.set_progress_handler(lambda: int(is_over()), LOOK_EVERY)

    def look(self) -> None:
        """End what is done beside SQLite where its time is over.

        Raises:
            sqlite3.OperationalError: it is.
        """
        if self._is_over is not None and self._is_over():
            raise sqlite3.OperationalError("interrupted")


def open_reader(path: Path) -> ReadingConnection:
    """Return a connection that only reads.

    Raises:
        sqlite3.OperationalError: there is no index yet.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        timeout=BUSY_SECONDS,
        check_same_thread=False,
        factory=ReadingConnection,
    )
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute("PRAGMA query_only = TRUE")
    return connection
