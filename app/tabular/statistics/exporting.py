"""A columnar copy written in another format, batch by batch."""

import json
from typing import IO, Self

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pa_parquet

from app.tabular.disk import DiskBudget
from app.tabular.statistics.copy import Copy
from app.tabular.statistics.requests import FileRequest


def export(request: FileRequest) -> dict[str, int]:
    """Write the copy to `request.target` in `request.format`; return how many rows and bytes that are.

    Raises:
        TabularError: it would be too large; `no-room`.
    """
    assert request.target is not None  # noqa: S101 - the task has one
    copy = Copy(request.copy)
    with request.target.open("wb") as file:
        budget = DiskBudget(file.fileno(), request.limits)
        with _writer(request.format, file, copy) as writer:
            for batch in copy.batches(range(len(copy.names))):
                writer.write_batch(batch)
                file.flush()
                budget.spend(file.tell() - budget.size)
    return {"rows": copy.rows, "bytes": request.target.stat().st_size}


def _writer(kind: str, file: IO[bytes], copy: Copy) -> "pa_csv.CSVWriter | _JsonLines":
    schema = copy.schema
    match kind:
        case "csv":
            return pa_csv.CSVWriter(file, schema)
        case "parquet":
            return pa_parquet.ParquetWriter(file, schema, compression="zstd")
        case "feather":
            return pa_ipc.new_file(file, schema, options=pa_ipc.IpcWriteOptions(compression="lz4"))
        case _:
            return _JsonLines(file)


class _JsonLines:
    """Writes an object per row; a missing value is null."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing at the end."""

    def write_batch(self, batch: pa.RecordBatch) -> None:
        names = batch.schema.names
        for start in range(0, batch.num_rows, _ROWS):
            columns = [column.to_pylist() for column in batch.slice(start, _ROWS).columns]
            for row in zip(*columns, strict=True):
                fields = dict(zip(names, row, strict=True))
                self._file.write(json.dumps(fields, ensure_ascii=False).encode() + b"\n")


_ROWS = 1000
