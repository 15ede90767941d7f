"""The profile as a file: one line of JSON about the table, then one about each column, so that a page of it is cheap.

Standard library only: the web process reads it.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ProfilePage:
    """A part of a profile.

    Attributes:
        table: what it says about the table.
        columns: what it says about some of the columns, in their order.
    """

    table: dict[str, Any]
    columns: list[dict[str, Any]]


def write_report(path: Path, table: dict[str, Any], columns: Iterable[dict[str, Any]]) -> None:
    """Write a profile, of which no more than one column is held in memory as text."""
    with path.open("w", encoding="utf-8") as file:
        for part in chain((table,), columns):
            file.write(json.dumps(part, allow_nan=False) + "\n")


def read_profile(path: Path, *, first: int = 0, most: int = 100) -> ProfilePage:
    """Read what a profile says about the table and at most `most` columns from number `first` (from 0) on.

    Blocking: call it in a thread.

    Raises:
        OSError: there is no such file.
        ValueError: it is no profile.
    """
    with path.open(encoding="utf-8") as lines:
        table = json.loads(next(lines, ""))
        return ProfilePage(table, [json.loads(line) for line in islice(lines, first, first + most)])
