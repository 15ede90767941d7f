"""What operators are told of an index: how much it holds, and how fresh it is. All of it blocks."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from app.index.fields import KINDS
from app.index.reading import open_reader


class IndexStatus(NamedTuple):
    """What an index holds.

    Attributes:
        documents: how many of each kind, private ones included.
        waiting: how many of those are known by a list's line alone.
        server: the OpenML server that they are of.
        fresh_at: when a list of it was read to its end last, in seconds since 1970; None: never.
        generation: rises with each change.
        size: bytes on the disk.
    """

    documents: Mapping[str, int]
    waiting: int
    server: str
    fresh_at: float | None
    generation: int
    size: int


def status_of(connection: sqlite3.Connection, path: Path) -> IndexStatus:
    """Return what an index holds, and how fresh it is."""
    rows = connection.execute("SELECT shelf, sum(count) FROM tally GROUP BY shelf").fetchall()
    documents = dict.fromkeys(KINDS, 0)
    for shelf, count in rows:
        documents[KINDS[abs(shelf) - 1]] += count
    waiting = connection.execute("SELECT count(*) FROM entry WHERE detailed = 0").fetchone()[0]
    notes = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    fresh_at = notes.get("fresh_at")
    return IndexStatus(
        documents=documents,
        waiting=waiting,
        server=notes.get("server", ""),
        fresh_at=float(fresh_at) if fresh_at else None,
        generation=int(notes.get("generation", 0)),
        size=sum(part.stat().st_size for part in path.parent.glob(f"{path.name}*")),
    )


def read_status(path: Path) -> IndexStatus | None:
    """Return what an index holds; None where there is none."""
    with suppress(sqlite3.OperationalError), closing(open_reader(path)) as connection:
        return status_of(connection, path)
    return None
