"""The file of a profile: one line of JSON about the table, then one about each column, so that reading a page is cheap.

Standard library only, because the web process reads it.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from app.tabular.disk import DiskBudget
from app.tabular.types import Limits

_TEXT = r'("(?:[^"\\]|\\.)*")'
_NAMES = re.compile(rf'{{"index": [0-9]+, "file_name": {_TEXT}, "name": {_TEXT}, ')
"""How a column's line begins (`profile/base.py` writes it); there may be 50 000 of them."""


@dataclass(frozen=True, slots=True)
class ProfilePage:
    """A part of a profile.

    Attributes:
        table: the fields of the table.
        columns: the fields of some of the columns, in order; `position` counts them from 0.
        found: how many columns match the search.
    """

    table: dict[str, Any]
    columns: list[dict[str, Any]]
    found: int


def write_report(
    path: Path, table: dict[str, Any], columns: Iterable[dict[str, Any]], limits: Limits
) -> None:
    """Write a profile, one line at a time.

    Raises:
        TabularError: as `DiskBudget.spend`.
    """
    with path.open("wb") as file:
        budget = DiskBudget(file.fileno(), limits)
        encode = json.JSONEncoder(allow_nan=False).encode
        for part in chain((table,), columns):
            line = encode(part).encode() + b"\n"
            budget.spend(len(line))
            file.write(line)


def read_profile(path: Path, *, first: int = 0, most: int = 100, search: str = "") -> ProfilePage:
    """Read the table's fields and those of at most `most` columns from number `first` (from 0) on.

    With `search`, only columns whose name, in the file or published, contains this text, in any case, are counted.
    Blocking: call it in a thread.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a profile.
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
    """Return the column's names, in the file and published, without parsing the rest of its line."""
    head = _NAMES.match(line)
    if head is None:
        raise ValueError("a line without names")
    return json.loads(head[1]), json.loads(head[2])


def _column(position: int, line: str) -> dict[str, Any]:
    return {**json.loads(line), "position": position}
