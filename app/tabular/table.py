"""What every format is read as: blocks of columns of text, as often as they are asked for."""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True, slots=True)
class Block:
    """Some consecutive rows.

    Attributes:
        columns: one array of strings per column, all of one length; null is a missing value.
        first_row: number of the first row, from 0.
        position: how many bytes of the file were read when the block was made.
    """

    columns: Sequence[pa.Array]
    first_row: int
    position: int

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return len(self.columns[0])


class Table(Protocol):
    """A file that was opened as a table."""

    @property
    def names(self) -> list[str]:
        """Return the columns' names."""
        ...

    def blocks(self) -> Iterator[Block]:
        """Yield all rows, from the start each time."""
        ...

    def blocks_to_scan(self, indices: Collection[int]) -> Iterator[Block]:
        """Yield all rows as their scans want to see them; only these columns are wanted."""
        ...

    def line_of(self, row: int) -> int | None:
        """Return the physical line of data row `row` (from 1), or None if that cannot be said cheaply."""
        ...


@dataclass(frozen=True, slots=True)
class SparseBlock:
    """Some consecutive rows as they stand in the file.

    Attributes:
        rows: physical line and text of each.
        first_row: number of the first row, from 0.
        position: how many bytes of the file were read.
    """

    rows: list[tuple[int, str]]
    first_row: int
    position: int


class SparseTable(Table, Protocol):
    """A file whose rows state some of their cells only."""

    def sparse_blocks(self) -> Iterator[SparseBlock]:
        """Yield all rows, from the start each time."""
        ...


LONG_COLUMN = 1000
"""Rows from which on a call for each column costs less than copying columns into a stack."""


class Stack:
    """Some columns of a block laid end to end: one vectorised call then serves thousands of short columns.

    Attributes:
        indices: which columns.
        cells: their cells, first all of the first column, then all of the second.
    """

    def __init__(self, block: Block, indices: Sequence[int]) -> None:
        self.indices = indices
        self._block = block
        columns = [block.columns[index] for index in indices]
        self.cells = columns[0] if len(columns) == 1 else pa.concat_arrays(columns)

    def place(self, position: int) -> tuple[int, int]:
        """Return the column, and the number of the row from 0, where the cell at `position` stands."""
        column, row = divmod(position, self._block.rows)
        return self.indices[column], self._block.first_row + row

    def split(self, cells: pa.Array) -> Iterator[tuple[int, pa.Array]]:
        """Yield each column's index and its part of `cells`."""
        rows = self._block.rows
        for number, index in enumerate(self.indices):
            yield index, cells.slice(number * rows, rows)

    def columns_with(self, mask: pa.Array) -> list[int]:
        """Return the indices of the columns that have a true cell in `mask`."""
        numbers = pc.unique(pc.divide(pc.indices_nonzero(mask), self._block.rows))
        return [self.indices[number] for number in numbers.to_pylist()]


def ahead(blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield the same blocks, reading the next one on a second core while the caller works on the last."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader") as pool:
        coming = pool.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = pool.submit(next, blocks, None)
            yield block


def without_matches(column: pa.Array, pattern: str) -> pa.Array:
    """Return the cells of a column that do not match a regular expression; null counts as a match."""
    return column.filter(pc.invert(pc.match_substring_regex(column, pattern)))


def position_of(column: pa.Array, value: str) -> int:
    """Return the position, from 0, of the first cell with this text; -1 if there is none."""
    position: int = pc.index(column, value).as_py()
    return position
