"""A columnar copy written in another format, batch by batch."""

import json
from typing import IO, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pa_parquet

from app.tabular.disk import DiskBudget
from app.tabular.statistics.copy import Copy
from app.tabular.statistics.requests import FileRequest

_LINES_BYTES, _NUMBER_BYTES = 4_000_000, 30
_SPECIAL = r'["\\\x00-\x1f]'
"""What stands in a JSON text behind a backslash (RFC 8259, section 7)."""


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
        names = [json.dumps(name, ensure_ascii=False) for name in batch.schema.names]
        step = max(1, _LINES_BYTES // sum(len(name) + _NUMBER_BYTES for name in names))
        for start in range(0, batch.num_rows, step):
            self._write_rows(names, batch.slice(start, step))

    def _write_rows(self, names: list[str], batch: pa.RecordBatch) -> None:
        pieces: list[pa.Array | str] = []
        for at, (name, column) in enumerate(zip(names, batch.columns, strict=True)):
            pieces += [f"{', ' if at else '{'}{name}: ", pc.fill_null(_tokens(column), "null")]
        lines = pc.binary_join_element_wise(*pieces, "}\n", "").cast(pa.large_binary())
        # The values of an array stand one behind another.
        _, _, values = lines.buffers()
        self._file.write(values.slice(0, pc.sum(pc.binary_length(lines)).as_py()))


def _tokens(column: pa.Array) -> pa.Array:
    """Return cells as JSON has them; null where they are missing."""
    if not pa.types.is_string(column.type):
        return column.cast(pa.string())
    quoted = pc.binary_join_element_wise('"', column, '"', "")
    special = pc.match_substring_regex(column, _SPECIAL)
    if not pc.any(special).as_py():
        return quoted
    escaped = [json.dumps(text, ensure_ascii=False) for text in column.filter(special).to_pylist()]
    return pc.replace_with_mask(
        quoted, pc.fill_null(special, fill_value=False), pa.array(escaped, pa.string())
    )
