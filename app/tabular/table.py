"""The form in which every format is read: blocks of columns of text, any number of times."""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows.

    Attributes:
        columns: one array per column, each of `rows` strings; null is a missing value.
        first_row: number of the first row, from 0.
        position: bytes of the file read when the block was made.
    """

    columns: Sequence[pa.Array]
    first_row: int
    position: int

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return len(self.columns[0])


class Table(Protocol):
    """An opened file."""

    @property
    def names(self) -> list[str]:
        """Return the columns' names."""
        ...

    def blocks(self) -> Iterator[Block]:
        """Yield all rows, from the start each time."""
        ...

    def blocks_to_scan(self, indices: Collection[int]) -> Iterator[Block]:
        """Yield all rows in the form that scans take; columns at other indices may be null throughout."""
        ...

    def line_of(self, row: int) -> int | None:
        """Return the physical line of data row `row` (from 1), or None if that cannot be said cheaply."""
        ...


@dataclass(frozen=True, slots=True)
class SparseBlock:
    """Consecutive rows of a sparse file, unparsed.

    Attributes:
        rows: physical line (from 1) and text of each.
        first_row: number of the first row, from 0.
        position: bytes of the file read so far.
    """

    rows: list[tuple[int, str]]
    first_row: int
    position: int


class SparseTable(Table, Protocol):
    """A file whose rows state some of their cells only (sparse ARFF)."""

    def sparse_blocks(self) -> Iterator[SparseBlock]:
        """Yield all rows, from the start each time."""
        ...


LONG_COLUMN = 1000
"""Rows above which one call per column costs less than copying columns into a stack."""


class Stack:
    """Columns of a block concatenated, so that one vectorised call serves thousands of short columns.

    Attributes:
        indices: of the columns in the block.
        cells: an array of `len(indices) * rows` cells, column after column.
    """

    def __init__(self, block: Block, indices: Sequence[int]) -> None:
        self.indices = indices
        self._block = block
        columns = [block.columns[index] for index in indices]
        self.cells = columns[0] if len(columns) == 1 else pa.concat_arrays(columns)

    def place(self, position: int) -> tuple[int, int]:
        """Return the column's index and the row (from 0) of the cell at `position`."""
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


def prefetched(blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield the same blocks, reading the next one in a thread while the caller processes the last."""
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
