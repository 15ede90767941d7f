"""What quality hints are found in while a table is read: rows spread over it, and columns that are equal so far."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import pyarrow as pa

from app.tabular.table import Block

MOST_COLUMNS = 1_000
"""Columns of which sampled rows have the cells."""
_MOST_CELLS, _FEWEST_ROWS, _MOST_ROWS = 50_000, 100, 5_000
_FIRST_CELLS, _KEY_CELLS = 4, 64
_MOST_RIVALS = 8


class RowSample:
    """Rows spread evenly over a table: all of them while there are few, then every second, every fourth and so on.

    Attributes:
        indices: the columns of which cells are kept; the first ones of a wide table.
        step: every which row is kept.
    """

    def __init__(self, columns: Iterable[int]) -> None:
        self.indices = list(columns)[:MOST_COLUMNS]
        self.step = 1
        self._most = max(_FEWEST_ROWS, min(_MOST_ROWS, _MOST_CELLS // max(len(self.indices), 1)))
        self._rows = 0
        self._kept: dict[int, list[pa.Array]] = {index: [] for index in self.indices}
        self._places = pa.array([], pa.int64())

    def begin(self, block: Block) -> None:
        """Choose the rows of a block, of whose columns `add` then takes the cells."""
        while self._rows + block.rows // self.step > 2 * self._most:
            self._thin()
        self._places = pa.array(range(-block.first_row % self.step, block.rows, self.step), pa.int64())
        self._rows += len(self._places)

    def add(self, values: Mapping[int, pa.Array]) -> None:
        """Take the cells of some columns."""
        for index, cells in values.items():
            if index in self._kept and len(self._places):
                # A copy: a slice would keep the whole block.
                self._kept[index].append(cells.take(self._places))

    def column(self, index: int) -> pa.Array:
        """Return the cells of a column."""
        parts = self._kept[index]
        return pa.concat_arrays(parts) if parts else pa.array([], pa.string())

    @property
    def rows(self) -> int:
        """How many rows are kept."""
        return self._rows

    def _thin(self) -> None:
        self.step *= 2
        places = pa.array(range(0, self._rows, 2), pa.int64())
        for index, parts in self._kept.items():
            if parts:
                self._kept[index] = [pa.concat_arrays(parts).take(places)]
        self._rows = len(places)


class EqualColumns:
    """Columns that were equal, cell by cell as the file spells them, in all rows until now.

    Of more than eight different columns that begin alike in a block, further ones are not compared.
    """

    def __init__(self, columns: Iterable[int]) -> None:
        self.groups = [list(columns)]

    def update(self, block: Block) -> None:
        """Compare those that are left in the next block."""
        if block.rows:
            alike = [part for group in self.groups for part in _alike_parts(group, block) if part[1:]]
            self.groups = [part for group in alike for part in _equal_parts(group, block) if part[1:]]


def _alike_parts(group: Iterable[int], block: Block) -> Iterable[list[int]]:
    """Return the parts of a group whose first cells are equal; of thousands of columns, nearly each is a part."""
    found: dict[Hashable, list[int]] = {}
    for index in group:
        found.setdefault(_key(block.columns[index], _FIRST_CELLS), []).append(index)
    return found.values()


def _equal_parts(group: Iterable[int], block: Block) -> Iterable[list[int]]:
    """Return the parts of a group that are equal in a block."""
    found: dict[Hashable, list[tuple[Any, list[int]]]] = {}
    for index in group:
        cells = block.columns[index]
        rivals = found.setdefault(_key(cells, _KEY_CELLS), [])
        same = next((part for head, part in rivals if head.equals(cells)), None)
        if same is not None:
            same.append(index)
        elif len(rivals) < _MOST_RIVALS:
            rivals.append((cells, [index]))
    return [part for rivals in found.values() for _, part in rivals]


def _key(cells: pa.Array, most: int) -> Hashable:
    return (cells.null_count, *cells.slice(0, most).to_pylist())
