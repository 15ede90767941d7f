"""The form in which every format is read: blocks of columns of text, any number of times."""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc


class Columns(Protocol):
    """Arrays of one length, one for each column."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> pa.Array: ...

    def __iter__(self) -> Iterator[pa.Array]: ...


class RowMajor:
    """Columns whose cells stand in one array, row after row; the array of a column is made when it is asked for.

    An array for each of thousands of columns takes more time and memory than their cells.

    Attributes:
        cells: of all columns.
    """

    def __init__(self, cells: pa.Array, width: int) -> None:
        self.cells = cells
        self._width = width

    def __len__(self) -> int:
        return self._width

    def __getitem__(self, index: int, /) -> pa.Array:
        return self.cells.take(pa.arange(index, len(self.cells), self._width))

    def __iter__(self) -> Iterator[pa.Array]:
        return map(self.__getitem__, range(self._width))

    def some(self, indices: Sequence[int]) -> pa.Array:
        """Return the cells of some columns, row after row."""
        if len(indices) == self._width:
            return self.cells
        row, place = divided(pa.arange(0, len(self.cells) // self._width * len(indices)), len(indices))
        starts = pc.multiply(row, self._width)
        return self.cells.take(pc.add(starts, pa.array(indices, pa.int64()).take(place)))


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows.

    Attributes:
        columns: one array per column, each of `rows` strings; null is a missing value.
        first_row: number of the first row, from 0.
        position: bytes of the file read when the block was made.
    """

    columns: Columns
    first_row: int
    position: int

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        columns = self.columns
        return len(columns.cells) // len(columns) if isinstance(columns, RowMajor) else len(columns[0])

    @property
    def nbytes(self) -> int:
        """Return the bytes of the cells."""
        columns = self.columns
        return (
            columns.cells.nbytes
            if isinstance(columns, RowMajor)
            else sum(column.nbytes for column in columns)
        )


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


class HeldTable:
    """A table that is read twice: the blocks of the scan are held for the second time, if they are small."""

    def __init__(self, table: Table, most_bytes: int) -> None:
        """Hold at most so many bytes of cells."""
        self._table = table
        self._most_bytes = most_bytes
        self._held: deque[Block] | None = None

    @property
    def names(self) -> list[str]:
        """As `Table.names`."""
        return self._table.names

    def blocks(self) -> Iterator[Block]:
        """Yield all rows; a block that is held is let go with that."""
        held, self._held = self._held, None
        if held is None:
            yield from self._table.blocks()
            return
        while held:
            yield held.popleft()

    def blocks_to_scan(self, indices: Collection[int]) -> Iterator[Block]:  # noqa: ARG002 - all of them are held
        """Yield all rows in the form of `blocks`, and hold them."""
        held: deque[Block] | None = deque()
        size = 0
        for block in self._table.blocks():
            size += block.nbytes
            if size > self._most_bytes:
                held = None
            if held is not None:
                held.append(block)
            yield block
        self._held = held

    def line_of(self, row: int) -> int | None:
        """As `Table.line_of`."""
        return self._table.line_of(row)


class SparseTable(Table, Protocol):
    """A file whose rows state some of their cells only (sparse ARFF)."""

    def sparse_blocks(self) -> Iterator[SparseBlock]:
        """Yield all rows, from the start each time."""
        ...


LONG_COLUMN = 1000
"""Rows above which one call per column costs less than copying columns into a stack."""


class Stack:
    """Columns of a block as one array, so that one vectorised call serves thousands of short columns.

    Attributes:
        indices: of the columns in the block, ascending.
        cells: an array of `len(indices) * rows` cells, column after column; row after row if `is_row_major`.
        is_row_major: as the block.
    """

    def __init__(self, block: Block, indices: Sequence[int]) -> None:
        self.indices = indices
        self._block = block
        columns = block.columns
        self.is_row_major = isinstance(columns, RowMajor) and len(indices) > 1
        if isinstance(columns, RowMajor) and self.is_row_major:
            self.cells = columns.some(indices)
        else:
            arrays = [columns[index] for index in indices]
            self.cells = arrays[0] if len(arrays) == 1 else pa.concat_arrays(arrays)

    def place(self, position: int) -> tuple[int, int]:
        """Return the column's index and the row (from 0) of the cell at `position`."""
        if self.is_row_major:
            row, column = divmod(position, len(self.indices))
        else:
            column, row = divmod(position, self._block.rows)
        return self.indices[column], self._block.first_row + row

    def split(self, cells: pa.Array) -> Iterator[tuple[int, pa.Array]]:
        """Yield each column's index and its part of `cells`."""
        rows, width = self._block.rows, len(self.indices)
        if self.is_row_major:
            cells = cells.take(_places_by_column(rows, width))
        for number, index in enumerate(self.indices):
            yield index, cells.slice(number * rows, rows)

    def columns_with(self, mask: pa.Array) -> list[int]:
        """Return the indices of the columns that have a true cell in `mask`."""
        return list(self.counts(mask))

    def counts(self, mask: pa.Array) -> dict[int, int]:
        """Return how many true cells of `mask` each column has that has any."""
        if not mask.true_count:
            return {}
        if mask.true_count == len(mask):
            return dict.fromkeys(self.indices, self._block.rows)
        if len(self.indices) == 1:
            return {self.indices[0]: mask.true_count}
        size = len(self.indices) if self.is_row_major else self._block.rows
        quotient, remainder = divided(pc.indices_nonzero(mask).cast(pa.int64()), size)
        found = pc.value_counts(remainder if self.is_row_major else quotient)
        counts = zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True)
        return {self.indices[column]: count for column, count in sorted(counts)}

    def null_counts(self, cells: pa.Array) -> dict[int, int]:
        """Return how many nulls each column has in `cells`, for those that have any."""
        if len(self.indices) == 1 and cells.null_count:
            return {self.indices[0]: cells.null_count}
        return self.counts(cells.is_null()) if cells.null_count else {}


def by_columns(block: Block) -> Block:
    """Return the same rows with an array for each column."""
    if not isinstance(block.columns, RowMajor):
        return block
    stack = Stack(block, range(len(block.columns)))
    return replace(block, columns=[column for _, column in stack.split(stack.cells)])


@lru_cache(maxsize=1)
def _places_by_column(rows: int, width: int) -> pa.Array:
    """Return where cells that stand row after row are, column after column; all blocks but the last have one shape."""
    column, row = divided(pa.arange(0, rows * width).cast(pa.int32()), rows)
    return pc.add(pc.multiply(row, pa.scalar(width, pa.int32())), column)


def divided(numbers: pa.Array, divisor: int) -> tuple[pa.Array, pa.Array]:
    """Return the quotients and the remainders of whole numbers, in their own type."""
    by = pa.scalar(divisor, numbers.type)
    quotients = pc.divide(numbers, by)
    return quotients, pc.subtract(numbers, pc.multiply(quotients, by))


def prefetched(blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield the same blocks, reading the next one in a thread while the caller processes the last."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader") as pool:
        coming = pool.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = pool.submit(next, blocks, None)
            yield block


def position_of(column: pa.Array, value: str) -> int:
    """Return the position, from 0, of the first cell with this text; -1 if there is none."""
    position: int = pc.index(column, value).as_py()
    return position
