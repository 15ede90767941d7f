"""The profile as a file: one line of JSON about the table, then one about each column, so that a page of it is cheap.

Standard library only: the web process reads it.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from app.tabular.disk import Room
from app.tabular.types import Limits

_TEXT = r'("(?:[^"\\]|\\.)*")'
_NAMES = re.compile(rf'{{"index": [0-9]+, "file_name": {_TEXT}, "name": {_TEXT}, ')
"""How a column's line begins, see `app.tabular.profile.run`: there may be 50 000."""


@dataclass(frozen=True, slots=True)
class ProfilePage:
    """A part of a profile.

    Attributes:
        table: what it says about the table.
        columns: what it says about some of the columns, in their order; `position` counts them from 0.
        found: how many columns there are that were asked for.
    """

    table: dict[str, Any]
    columns: list[dict[str, Any]]
    found: int


def write_report(
    path: Path, table: dict[str, Any], columns: Iterable[dict[str, Any]], limits: Limits
) -> None:
    """Write a profile, of which no more than one column is held in memory as text.

    Raises:
        TabularError: there is no room for it, see `Room`.
    """
    with path.open("wb") as file:
        room = Room(file.fileno(), limits)
        for part in chain((table,), columns):
            line = json.dumps(part, allow_nan=False).encode() + b"\n"
            room.take(len(line))
            file.write(line)


def read_profile(path: Path, *, first: int = 0, most: int = 100, search: str = "") -> ProfilePage:
    """Read what a profile says about the table and at most `most` columns from number `first` (from 0) on.

    With `search`, of those columns whose name, in the file or published, has this text in it, in whatever case.
    Blocking: call it in a thread.

    Raises:
        OSError: there is no such file.
        ValueError: it is no profile.
    """
    with path.open(encoding="utf-8") as lines:
        table = json.loads(next(lines, ""))
        if not search:
            some = enumerate(islice(lines, first, first + most), start=first)
            return ProfilePage(table, [_column(*each) for each in some], table["columns"])
        found, columns = 0, []
        for position, line in enumerate(lines):
            if any(search.casefold() in name.casefold() for name in names_in(line)):
                if first <= found < first + most:
                    columns.append(_column(position, line))
                found += 1
        return ProfilePage(table, columns, found)


def names_in(line: str) -> tuple[str, str]:
    """Return the names of the column that a line is about, in the file and published; the rest of it is not read."""
    head = _NAMES.match(line)
    if head is None:
        raise ValueError("a line without names")
    return json.loads(head[1]), json.loads(head[2])


def _column(position: int, line: str) -> dict[str, Any]:
    return {**json.loads(line), "position": position}
