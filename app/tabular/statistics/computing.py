"""The statistics of a file, and its first rows: a line of JSON for each part (`app.published.reading`)."""

import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.ipc as pa_ipc

from app.tabular.disk import DiskBudget
from app.tabular.statistics.columns import SEGMENTS, Classes, ColumnDetail, describe
from app.tabular.statistics.copy import ABOUT, COUNTER, SAMPLE_ROWS, Copy
from app.tabular.statistics.pages import rows as rows_of
from app.tabular.statistics.relations import associations, correlations
from app.tabular.statistics.requests import HEAD_ROWS, FileRequest, Page
from app.tabular.statistics.source import PublishedSource, open_source

_MOST_CLASSES = 10
_CLASSES_OF = 1_000
"""Labels of a target beyond which no column is shown by class."""


def compute(request: FileRequest) -> dict[str, int]:
    """Write the copy and the statistics of `request.source`, and return how many rows and columns it has.

    Raises:
        TabularError: the file cannot be read; `file-too-large` or `no-room`.
    """
    source = open_source(request)
    rows = _write_copy(request, source)
    copy = Copy(request.copy)
    target = _target(copy, request.target_attribute)
    detail = ColumnDetail.of(len(copy.names), _classes(copy, target))
    columns = [
        describe(copy, index, detail) | {"infinite": source.infinite[index]}
        for index in range(len(copy.names))
    ]
    head = rows_of(copy, Page(limit=HEAD_ROWS))
    assert request.source is not None  # noqa: S101 - the task has one
    table = {"bytes": request.source.stat().st_size, **_table(copy, target, detail, columns)}
    _write(request, [table, head, *columns])
    return {"rows": rows, "columns": len(columns)}


def _write_copy(request: FileRequest, source: PublishedSource) -> int:
    """Write the copy, and return the number of rows.

    Raises:
        TabularError: the file cannot be read, or the copy would be too large.
    """
    rows = 0
    about = [{"kind": each.type, "labels": len(each.labels or ())} for each in source.attributes]
    schema = source.schema.append(COUNTER).with_metadata({ABOUT: json.dumps(about).encode()})
    options = pa_ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with request.copy.open("wb") as file:
        budget = DiskBudget(file.fileno(), request.limits)
        with pa_ipc.new_file(file, schema, options=options) as writer:
            for batch in source.batches():
                budget.spend(batch.nbytes)
                counter = pa.nulls(batch.num_rows)
                writer.write_batch(pa.RecordBatch.from_arrays([*batch.columns, counter], schema=schema))
                rows += batch.num_rows
    return rows


def _target(copy: Copy, name: str) -> int | None:
    return copy.names.index(name) if name in copy.names else None


def _classes(copy: Copy, target: int | None) -> Classes | None:
    if target is None or not copy.rows or copy.about[target]["kind"] != "nominal":
        return None
    if copy.about[target]["labels"] > _CLASSES_OF:
        return None
    commonest = describe(copy, target, ColumnDetail(1, _MOST_CLASSES, None))["commonest"]
    return Classes(target, tuple(each["value"] for each in commonest))


def _table(
    copy: Copy, target: int | None, detail: ColumnDetail, columns: list[dict[str, Any]]
) -> dict[str, Any]:
    numbers = [each["index"] for each in columns if copy.is_number(each["index"]) and each["distinct"] > 1]
    distinct = {each["index"]: each["distinct"] for each in columns}
    missing = sum(each["missing"] for each in columns)
    return {
        "rows": copy.rows,
        "columns": len(columns),
        "missing": missing,
        "target": None if target is None else copy.names[target],
        "classes": list(detail.classes.labels) if detail.classes else [],
        "segments": SEGMENTS,
        "sample_rows": min(copy.rows, SAMPLE_ROWS),
        "is_exact": copy.is_small,
        "correlations": correlations(copy, numbers),
        "associations": None if target is None else associations(copy, target, distinct),
    }


def _write(request: FileRequest, parts: Iterable[dict[str, Any]]) -> None:
    assert request.target is not None  # noqa: S101 - the task has one
    with request.target.open("wb") as file:
        budget = DiskBudget(file.fileno(), request.limits)
        for part in parts:
            line = json.dumps(part, allow_nan=False).encode() + b"\n"
            budget.spend(len(line))
            file.write(line)
