"""Opening of a JSON file: its columns' names, and a scan of each."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.tabular.readers.json import JsonTable
from app.tabular.readers.json_values import listed_labels
from app.tabular.readers.text import open_text
from app.tabular.reading import ReadingReport
from app.tabular.schema.cells import BOOLEANS, TYPED
from app.tabular.schema.declared import declared
from app.tabular.schema.inference import scan_of
from app.tabular.schema.job import Job
from app.tabular.schema.names import label_fault
from app.tabular.schema.naming import Naming, published_names
from app.tabular.schema.plan import ColumnPlan
from app.tabular.schema.scans import KnownType, LeftOutColumn, Scan
from app.tabular.types import ConversionRequest, Progress, ProgressSink


def open_json(request: ConversionRequest, reading: ReadingReport, report: ProgressSink) -> Job:
    """Open a JSON file, which is read once now.

    Raises:
        TabularError: it cannot be read, or has names or types that cannot be published.
    """
    text = open_text(request, reading, max_line_bytes=None)
    table = JsonTable(text, request, reading, lambda done: report(Progress("reading", done, text.size)))
    if table.row_id and not request.row_id_attribute:
        request = replace(request, row_id_attribute=table.row_id)
    naming = published_names(table.names, request)
    scans = _scans(naming, table)
    repairs = (*table.repairs, *naming.repairs)
    return Job(
        naming.request,
        table,
        text.size,
        scans,
        table.names,
        request.relation,
        repairs=repairs,
        remarks=text.remarks,
        reading=reading,
    )


def _scans(naming: Naming, table: JsonTable) -> list[Scan]:
    """Return a scan for each column of a JSON file.

    Raises:
        TabularError: `unknown-type`, `bad-label`, `duplicate-label`, `too-many-labels`.
    """
    described = [table.fields.get(name, {}) for name in table.names]
    return [
        LeftOutColumn() if index in naming.left_out else _scan(name, kinds, field, naming.request)
        for index, (name, kinds, field) in enumerate(zip(naming.names, table.kinds, described, strict=True))
    ]


def _scan(name: str, kinds: set[type], field: Mapping[str, Any], request: ConversionRequest) -> Scan:
    """Return the scan of a column whose values are of these kinds, and which a schema may describe."""
    if name in request.attributes:
        return declared(name, request, TYPED)
    if kinds == {bool}:
        return KnownType(ColumnPlan(name, "nominal", BOOLEANS))
    labels = listed_labels(field)
    if labels and all(label_fault(label) is None for label in labels) and len({*labels}) == len(labels):
        return KnownType(ColumnPlan(name, "nominal", labels))
    is_text = field.get("type") in {"string", "datetime", "duration", "any"} and kinds <= {str}
    if is_text and name not in request.target_attributes:
        return KnownType(ColumnPlan(name, "string"))
    return scan_of(name, request, TYPED)
