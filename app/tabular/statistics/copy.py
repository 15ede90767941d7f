"""The columnar copy of a file (Feather), written in one pass and read a column, or a few rows, at a time."""

import bisect
import json
import math
import random
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as pa_ipc

WHOLE_ROWS = 1_000_000
"""Rows up to which a column is held in memory as a whole, so that quantiles and orders of it are exact."""
_GROUP_CELLS = 2_000_000
SAMPLE_ROWS = 100_000
ABOUT = b"openml-web"
COUNTER = pa.field("", pa.null())
"""The last column: it has no cells to read, and so tells how long each batch is at no cost."""


class Copy:
    """A copy that was written.

    Attributes:
        schema: names and types.
        names: of the columns, in order.
        about: what the header says of each: `kind` and the number of `labels`.
        rows: how many there are.
    """

    def __init__(self, path: Path) -> None:
        # Not mapped: its pages would count as memory of the process.
        self._file = pa.OSFile(str(path))
        schema = pa_ipc.open_file(self._file).schema
        self.schema: pa.Schema = pa.schema(list(schema)[:-1])
        self.names: list[str] = self.schema.names
        self.about: list[dict[str, Any]] = json.loads(schema.metadata[ABOUT])
        self.starts = [0]
        for batch in self.batches([len(self.names)]):
            self.starts.append(self.starts[-1] + batch.num_rows)
        self.rows = self.starts[-1]
        self._group: tuple[int, list[pa.Array]] = (-1, [])

    @property
    def is_small(self) -> bool:
        """Whether a column may be held in memory as a whole."""
        return self.rows <= WHOLE_ROWS

    def is_number(self, index: int) -> bool:
        """Return whether a column holds numbers."""
        return bool(pa.types.is_floating(self.schema.field(index).type))

    def batches(self, indices: Sequence[int], only: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the columns of these indices, ascending, batch by batch; or `only` those batches."""
        options = pa_ipc.IpcReadOptions(included_fields=list(indices), use_threads=False)
        reader = pa_ipc.open_file(self._file, options=options)
        for number in range(reader.num_record_batches) if only is None else only:
            yield reader.get_batch(number)

    def arrays(self, index: int) -> Iterator[pa.Array]:
        """Yield a column in pieces; all columns have the same ones."""
        if not self.rows:
            return iter([pa.array([], self.schema.field(index).type)])
        if not self.is_small:
            return (batch.column(0) for batch in self.batches([index]))
        size = max(1, min(1000, _GROUP_CELLS // max(self.rows, 1)))
        group, place = divmod(index, size)
        if self._group[0] != group:
            wanted = range(group * size, min(len(self.names), (group + 1) * size))
            table = pa.Table.from_batches(self.batches(wanted)).combine_chunks()
            self._group = (group, [_one(column) for column in table.columns])
        return iter([self._group[1][place]])

    def whole(self, index: int) -> pa.Array:
        """Return a column in one piece; only where `is_small`."""
        return next(self.arrays(index))

    def sample(self, index: int) -> pa.Array:
        """Return at most `SAMPLE_ROWS` cells of a column, of the same rows for every one; all if there are no more."""
        if self.rows <= SAMPLE_ROWS:
            return self.whole(index)
        first, pieces = 0, []
        for array in self.arrays(index):
            low, high = (bisect.bisect_left(self._sampled, place) for place in (first, first + len(array)))
            pieces.append(array.take(pc.subtract(self._sampled_array.slice(low, high - low), first)))
            first += len(array)
        return pieces[0] if len(pieces) == 1 else pa.concat_arrays(pieces)

    @cached_property
    def _sampled(self) -> list[int]:
        """The numbers of the sampled rows: one drawn of each run of n, the same each time.

        Not every n-th: tables repeat themselves at even distances, and such a sample would then see one label of two.
        """
        step = -(-self.rows // SAMPLE_ROWS)
        draw = random.Random(0)  # noqa: S311 - no secret
        drawn = (start + draw.randrange(step) for start in range(0, self.rows, step))
        return [row for row in drawn if row < self.rows]

    @cached_property
    def _sampled_array(self) -> pa.Array:
        return pa.array(self._sampled, pa.int64())


def _one(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks)


def finite(number: float | None) -> float | None:
    """Return the number; None for one that JSON has no word for."""
    return number if number is not None and math.isfinite(number) else None
