"""Columns of text in an unnamed temporary file, which is removed with the process."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from app.tabular.disk import DiskBudget
from app.tabular.readers.text import BLOCK_BYTES
from app.tabular.types import Limits

_MOST_BYTES = BLOCK_BYTES // 2
"""Of blocks that are put together."""
_MOST_CELLS = 8_000_000
"""Of any block that is read with all columns; one that has few of them may have many rows."""


class ColumnSpool:
    """Columns of text, written once in any order, and read block by block any number of times.

    Attributes:
        rows: of all blocks.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed at the end
        self._budget = DiskBudget(self._file.fileno(), limits, is_kept=False)
        self._size = 0
        # Offset and length, in bytes, of the pieces of each block, and its rows.
        self._pieces: list[list[tuple[int, int]]] = []
        self._rows: list[int] = []
        self.rows = 0

    def __del__(self) -> None:
        # The last reader need not close it.
        self._file.close()

    def add(self, block: int, columns: Mapping[int, pa.Array], rows: int) -> None:
        """Add columns, by their index, to the block of this number, which may be the next one."""
        if block == len(self._rows):
            self._pieces.append([])
            self._rows.append(rows)
            self.rows += rows
        if not columns:
            return
        batch = pa.record_batch(list(columns.values()), names=[str(index) for index in columns])
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        data = memoryview(sink.getvalue())
        self._budget.spend(len(data))
        self._pieces[block].append((self._size, len(data)))
        self._size += len(data)
        while data:  # an unbuffered file may take less than it is given
            data = data[self._file.write(data) :]

    def rows_of(self, block: int) -> int:
        """Return how many rows a block has."""
        return self._rows[block]

    @property
    def blocks(self) -> int:
        """Return how many blocks there are."""
        return len(self._rows)

    def read(self) -> Iterator[tuple[dict[int, pa.Array], int, float]]:
        """Yield each block: its columns by index, its rows, and the share of the file read so far (0 to 1)."""
        read = 0
        for pieces, rows in zip(self._pieces, self._rows, strict=True):
            columns: dict[int, pa.Array] = {}
            for offset, length in pieces:
                # Positioned reads, because two threads may read.
                data = os.pread(self._file.fileno(), length, offset)
                with pa.ipc.open_stream(data) as reader:
                    batch = reader.read_next_batch()
                columns.update(zip(map(int, batch.schema.names), batch.columns, strict=True))
                read += length
                del data, batch  # Whoever asks for the next block holds no more than that.
            yield columns, rows, read / max(self._size, 1)


def together(
    blocks: Iterator[tuple[Mapping[int, pa.Array], int, float]], width: int, *, most_rows: int
) -> Iterator[tuple[list[pa.Array], int, float]]:
    """Yield blocks as all their columns, with small ones after the first put together.

    Args:
        blocks: as `ColumnSpool.read` yields them.
        width: how many columns there are; those that a block does not have are null.
        most_rows: of blocks that are put together.
    """
    blocks = _cut(blocks, max(1, _MOST_CELLS // max(1, width)))
    parts: list[list[pa.Array]] = []
    held, size, position, is_first = 0, 0, 0.0, True
    for columns, rows, share in blocks:
        nothing = pa.nulls(rows, pa.string())
        part = [columns.get(index, nothing) for index in range(width)]
        own = sum(column.nbytes for column in part)
        if parts and (held + rows > most_rows or size + own > _MOST_BYTES):
            yield _joined(parts), held, position
            held, size = 0, 0
        parts.append(part)
        held, size, position = held + rows, size + own, share
        del columns, part, nothing
        if is_first or held >= most_rows or size >= _MOST_BYTES:
            yield _joined(parts), held, position
            held, size, is_first = 0, 0, False
    if parts:
        yield _joined(parts), held, position


def _cut(
    blocks: Iterator[tuple[Mapping[int, pa.Array], int, float]], most_rows: int
) -> Iterator[tuple[Mapping[int, pa.Array], int, float]]:
    for columns, rows, share in blocks:
        if rows <= most_rows:
            yield columns, rows, share
            continue
        for start in range(0, rows, most_rows):
            length = min(most_rows, rows - start)
            yield {index: column.slice(start, length) for index, column in columns.items()}, length, share


def _joined(parts: list[list[pa.Array]]) -> list[pa.Array]:
    """Return the parts as one, and hold none of them any more."""
    joined = (
        parts[0] if len(parts) == 1 else [pa.concat_arrays(column) for column in zip(*parts, strict=True)]
    )
    parts.clear()
    return joined
