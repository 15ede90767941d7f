"""A file as it stands on OpenML, read as batches of typed columns, without any of the checks of publishing."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.arff.header import NUMBER_TYPES, Attribute
from app.tabular.arff.sparse import split_row
from app.tabular.arff.syntax import refuse, unquote
from app.tabular.arff.tokens import MISSING
from app.tabular.readers.arff import ArffTable
from app.tabular.readers.formats import first_bytes, packed_with
from app.tabular.readers.text import open_text
from app.tabular.reading import ReadingReport
from app.tabular.schema.cells import does_not_fit
from app.tabular.statistics.parquet_source import PublishedParquet
from app.tabular.statistics.requests import FileRequest
from app.tabular.table import SparseBlock
from app.tabular.types import ConversionRequest

BATCH_BYTES = 16_000_000
BATCH_ROWS = 65_536
_PARQUET = b"PAR1"
_DENSE_CELLS = 2_000_000
"""Cells of sparse rows that are written out at once."""


class PublishedArff:
    """An ARFF file's columns, and its rows as batches: numbers as doubles, all else as text.

    Attributes:
        attributes: the columns' declarations.
        schema: of the batches; names may occur twice.
        infinite: how many infinite numbers each column has, which are left out as if missing.
    """

    def __init__(self, request: FileRequest) -> None:
        """Read the header.

        Raises:
            TabularError: it is no ARFF file that can be read.
        """
        assert request.source is not None  # noqa: S101 - the task has one
        opened = ConversionRequest(
            request.source,
            request.source,
            "arff",
            relation="",
            limits=request.limits,
            compression=packed_with(first_bytes(request.source)),  # OpenML's descriptions do not tell.
        )
        self._table = ArffTable(
            open_text(opened, ReadingReport(opened.reading)), request.limits, is_published=True
        )
        self.attributes: Sequence[Attribute] = self._table.attributes
        self.schema = pa.schema([(each.name, _type_of(each)) for each in self.attributes])
        self.infinite = [0] * len(self.attributes)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows, in batches of a size that is worth a vectorised call.

        Raises:
            TabularError: a row cannot be read.
        """
        waiting: list[pa.RecordBatch] = []
        rows = size = 0
        for batch in self._small_batches():
            waiting.append(batch)
            rows, size = rows + batch.num_rows, size + batch.nbytes
            if rows >= BATCH_ROWS or size >= BATCH_BYTES:
                yield _joined(waiting)
                waiting, rows, size = [], 0, 0
        if waiting:
            yield _joined(waiting)

    def _small_batches(self) -> Iterator[pa.RecordBatch]:
        if self._table.is_sparse:
            for block in self._table.sparse_blocks():
                yield from self._dense(block)
            return
        for dense in self._table.blocks():
            arrays = [self._typed(index, cells, dense.first_row) for index, cells in enumerate(dense.columns)]
            yield pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _typed(self, index: int, cells: pa.Array, first_row: int) -> pa.Array:
        """Return a column's cells as its type."""
        attribute = self.attributes[index]
        if attribute.type not in NUMBER_TYPES:
            return cells
        try:
            numbers = pc.cast(cells, pa.float64())
        except pa.ArrowInvalid:
            texts = cells.to_pylist()
            numbers = pa.array(
                [_number(attribute, text, row) for row, text in enumerate(texts, first_row)], pa.float64()
            )
        is_finite = pc.is_finite(numbers)
        if pc.all(is_finite, min_count=0).as_py():
            return numbers
        self.infinite[index] += pc.sum(pc.is_inf(numbers)).as_py() or 0
        return pc.if_else(is_finite, numbers, pa.scalar(None, pa.float64()))

    def _dense(self, block: SparseBlock) -> Iterator[pa.RecordBatch]:
        """Yield sparse rows with every cell written out: zero, or the first label, where none is stated."""
        width = len(self.attributes)
        step = max(1, _DENSE_CELLS // width)
        for start in range(0, len(block.rows), step):
            rows = block.rows[start : start + step]
            stated: dict[int, dict[int, str | None]] = {}
            for at, (line, text) in enumerate(rows):
                for index, token in split_row(text, line).items():
                    if index >= width:
                        refuse(f"The index {index} is beyond the last attribute, {width - 1}.", line)
                    value = None if token == MISSING else unquote(token, line)
                    stated.setdefault(index, {})[at] = value
            arrays = [
                self._column(index, stated.get(index, {}), len(rows), block.first_row + start)
                for index in range(width)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _column(self, index: int, stated: dict[int, str | None], rows: int, first_row: int) -> pa.Array:
        attribute = self.attributes[index]
        is_number = attribute.type in NUMBER_TYPES
        unsaid = "0" if is_number else (attribute.labels or ("0",))[0]
        if not stated:
            return pa.repeat(pa.scalar(0.0 if is_number else unsaid), rows)
        cells = pa.array([stated.get(at, unsaid) for at in range(rows)], pa.string())
        return self._typed(index, cells, first_row)


PublishedSource = PublishedArff | PublishedParquet


def open_source(request: FileRequest) -> PublishedSource:
    """Return the file as a source of rows; what it is, its first bytes tell.

    Raises:
        TabularError: it cannot be read.
    """
    assert request.source is not None  # noqa: S101 - the task has one
    is_parquet = first_bytes(request.source).startswith(_PARQUET)
    return PublishedParquet(request) if is_parquet else PublishedArff(request)


def _type_of(attribute: Attribute) -> pa.DataType:
    return pa.float64() if attribute.type in NUMBER_TYPES else pa.string()


def _number(attribute: Attribute, text: str | None, row: int) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        raise does_not_fit(attribute.name, text or "", "is not a number", row) from None


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    table = pa.Table.from_batches(batches).combine_chunks()
    return table.to_batches()[0]
