"""The file of statistics: a line of JSON about the table, one of its first rows, and one about each column."""

from itertools import islice
from pathlib import Path
from typing import NamedTuple


class Described(NamedTuple):
    """Some lines of it, unparsed.

    Attributes:
        table: what is told of the table as a whole.
        head: its first rows, as `app.tabular.statistics.pages.rows` has them.
        columns: some columns.
    """

    table: bytes
    head: bytes
    columns: list[bytes]


def read_described(path: Path, *, offset: int, limit: int) -> Described:
    """Return what is told of the table, and of `limit` columns from `offset` on. Blocking.

    Raises:
        OSError: it is gone.
    """
    with path.open("rb") as lines:
        table, head = next(lines).strip(), next(lines).strip()
        return Described(table, head, [line.strip() for line in islice(lines, offset, offset + limit)])
