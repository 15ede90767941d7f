"""A Parquet file as it stands on OpenML, read as batches of typed columns, as `source` reads an ARFF file."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as pt

from app.tabular.arff.header import Attribute
from app.tabular.readers.columnar import ParquetTable
from app.tabular.reading import ReadingReport
from app.tabular.statistics.requests import FileRequest
from app.tabular.types import ConversionRequest


class PublishedParquet:
    """A file's columns, and its rows as batches: numbers as doubles, all else as text.

    Attributes:
        attributes: the columns, with the types that an ARFF file would declare.
        schema: of the batches; names may occur twice.
        infinite: how many infinite numbers each column has, which are left out as if missing.
    """

    def __init__(self, request: FileRequest) -> None:
        """Read the schema.

        Raises:
            TabularError: it is no Parquet file that can be read, or has a column of a type that has no text.
        """
        assert request.source is not None  # noqa: S101 - the task has one
        opened = ConversionRequest(
            request.source, request.source, "parquet", relation="", limits=request.limits, repair=True
        )
        self._table = ParquetTable(opened, ReadingReport(opened.reading))
        kinds = [_kind_of(each) for each in self._table.stored_types]
        names = self._table.file_names
        self.attributes: Sequence[Attribute] = [
            Attribute(name, kind, None, 0) for name, kind in zip(names, kinds, strict=True)
        ]
        self._are_numbers = [kind in {"integer", "real"} for kind in kinds]
        types = [pa.float64() if is_number else pa.string() for is_number in self._are_numbers]
        self.schema = pa.schema(list(zip(names, types, strict=True)))
        self.infinite = [0] * len(names)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows.

        Raises:
            TabularError: the file is damaged.
        """
        for block in self._table.blocks_to_scan(range(len(self.infinite))):
            arrays = [
                self._numbers(index, column)
                if self._are_numbers[index]
                else self._table.columns[index].text(column, block.first_row)
                for index, column in enumerate(block.columns)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _numbers(self, index: int, column: pa.Array) -> pa.Array:
        numbers = pc.cast(column, pa.float64(), safe=False)
        self.infinite[index] += pc.sum(pc.is_inf(numbers)).as_py() or 0
        return pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))


def _kind_of(stored: pa.DataType) -> str:
    """Return what ARFF calls a type; dates are texts in their order."""
    if pt.is_integer(stored):
        return "integer"
    if pt.is_floating(stored) or pt.is_decimal(stored):
        return "real"
    if pt.is_dictionary(stored) or pt.is_boolean(stored):
        return "nominal"
    return "date" if pt.is_date(stored) or pt.is_timestamp(stored) else "string"
