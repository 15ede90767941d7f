"""Opening of the file of a request by the reader of its format, with a scan of each column."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from app.tabular.arff.header import NUMBER_TYPES, UNUSABLE_TYPES, Attribute
from app.tabular.readers.arff import ArffTable
from app.tabular.readers.csv import CsvTable
from app.tabular.readers.formats import check_content, is_arrow_stream
from app.tabular.readers.json import JsonTable
from app.tabular.readers.json_values import listed_labels
from app.tabular.readers.rewriting import Rewritten
from app.tabular.readers.text import TextFile, open_text
from app.tabular.readers.unnamed import name_columns
from app.tabular.readers.values import ValueSpelling
from app.tabular.reading import Decider, Found, ReadingReport
from app.tabular.schema.cells import BLANKS, BOOLEANS, EXPLICIT, TYPED, Spelling
from app.tabular.schema.declared import DeclaredNumber, declared
from app.tabular.schema.inference import InferredType
from app.tabular.schema.job import Job, refuse_doubts
from app.tabular.schema.labels import target_labels
from app.tabular.schema.names import label_fault
from app.tabular.schema.naming import Naming, published_names
from app.tabular.schema.plan import ColumnPlan
from app.tabular.schema.scans import KnownType, LeftOutColumn, Scan, UnnamedColumn
from app.tabular.types import (
    ConversionRequest,
    Format,
    Kind,
    Progress,
    ProgressSink,
    Repair,
    TabularError,
)


def open_job(request: ConversionRequest, report: ProgressSink) -> Job:
    """Open the file of a request.

    Raises:
        TabularError: the file contradicts its name, cannot be read, or has names that cannot be published;
            `unsure-reading` in place of the last two if that may be for how it is read.
    """
    by: Decider = "default"
    # Of an archive, its owner means the file in it.
    if request.reading.format and request.format != "zip":
        kind = cast("Format", request.reading.format)
        request = replace(request, format=kind, reading=replace(request.reading, format=None))
        by = "owner"
    check_content(request)
    if rewrite := _rewriter(request):
        job = _open_rewritten(rewrite(request), report)
        job.reading.found.setdefault("format", Found(request.format, by))
        return job
    reading = ReadingReport(request.reading)
    reading.found["format"] = Found(request.format, by)
    try:
        return _open(request, reading, report)
    except TabularError:
        # Read otherwise, it may be right.
        if request.refuse_doubts:
            refuse_doubts(reading)
        raise


def _open(request: ConversionRequest, reading: ReadingReport, report: ProgressSink) -> Job:
    if request.format in {"parquet", "feather"}:
        return _open_columnar(request, reading)
    if request.format in {"json", "jsonl"}:
        return _open_json(request, reading, report)
    text = open_text(request, reading)
    is_arff = request.format == "arff"
    return _open_arff(text, request, reading) if is_arff else _open_csv(text, request, reading)


def _rewriter(request: ConversionRequest) -> Callable[[ConversionRequest], Rewritten] | None:
    """Return what writes the file anew in a format that is read; None if it is in one."""
    rewriter: Callable[[ConversionRequest], Rewritten] | None = None
    # A child process serves one file: what only some need is imported for them.
    match request.format:
        case "zip":
            from app.tabular.readers.archive import unpack_member  # noqa: PLC0415 - as above

            rewriter = unpack_member
        case "workbook":
            from app.tabular.readers.workbook import rewrite_workbook  # noqa: PLC0415 - as above

            rewriter = rewrite_workbook
        case "sav" | "por" | "dta" | "sas7bdat" | "xport":
            from app.tabular.readers.statistics import rewrite_statistics  # noqa: PLC0415 - as above

            rewriter = rewrite_statistics
        case "r":
            from app.tabular.readers.r_data import rewrite_r_data  # noqa: PLC0415 - as above

            rewriter = rewrite_r_data
        case "svmlight":
            from app.tabular.readers.svmlight import rewrite_svmlight  # noqa: PLC0415 - as above

            rewriter = rewrite_svmlight
        case "feather" if is_arrow_stream(request.source):
            from app.tabular.readers.rewriting import rewrite_stream  # noqa: PLC0415 - as above

            rewriter = rewrite_stream
    return rewriter


def _open_rewritten(made: Rewritten, report: ProgressSink) -> Job:
    try:
        job = open_job(made.request, report)
    except TabularError as error:
        error.line = error.line if made.keeps_lines else None
        if made.request.refuse_doubts:
            refuse_doubts(made.reading)
        raise
    reading = job.reading
    reading.found = {
        **{name: found for name, found in reading.found.items() if name not in made.hidden},
        **made.reading.found,
    }
    reading.doubts[:0] = made.reading.doubts
    return replace(
        job,
        repairs=(*made.repairs, *job.repairs),
        remarks=(*made.remarks, *job.remarks),
        comments=(*made.comments, *job.comments),
        has_lines=made.keeps_lines and job.has_lines,
    )


def _open_csv(text: TextFile, request: ConversionRequest, reading: ReadingReport) -> Job:
    table = CsvTable(text, request.limits, reading, expected="\t" if request.format == "tsv" else None)
    named, repairs = name_columns(table.names, table.sample, reading) if request.repair else (table.names, ())
    # Columns that have no name by now are left out.
    may_leave_out = request.repair and any(named)
    positions = [
        position for position, name in enumerate(named, start=1) if name.strip(BLANKS) or not may_leave_out
    ]
    naming = published_names([named[position - 1] for position in positions], request, positions=positions)
    names, file_names = [""] * len(named), table.names
    for position, name in zip(positions, naming.names, strict=True):
        names[position - 1] = name
    table.names = names
    left_out = {positions[place] - 1 for place in naming.left_out}
    values = ValueSpelling(table.rows, table.dialect, reading)
    table.null_words = values.null_words
    if request.reading.missing is None:
        published = {index: name for index, name in enumerate(names) if name and index not in left_out}
        asked = (
            values.doubt_about(index, name)
            for index, name in published.items()
            if naming.request.attributes.get(name, "nominal") in ("nominal", "boolean")
        )
        reading.doubts += [doubt for doubt in asked if doubt]
    return Job(
        naming.request,
        table,
        text.size,
        _csv_scans(names, left_out, naming.request, values.spelling),
        file_names,
        request.relation,
        repairs=(*repairs, *naming.repairs),
        remarks=text.remarks,
        reading=reading,
        spelling=values.spelling,
    )


def _open_arff(text: TextFile, request: ConversionRequest, reading: ReadingReport) -> Job:
    table = ArffTable(text, request.limits)
    if table.delimiter != ",":
        why = "The first row has blanks or tabs between its values, as Weka reads them."
        reading.found["delimiter"] = Found(table.delimiter, why=why)
    naming = published_names(table.names, request, lines=[attribute.line for attribute in table.attributes])
    attributes = [
        replace(attribute, name=name) for attribute, name in zip(table.attributes, naming.names, strict=True)
    ]
    file_names, table.names = table.names, naming.names
    return Job(
        naming.request,
        table,
        text.size,
        _arff_scans(attributes, naming),
        file_names,
        table.relation or request.relation,
        table.comments,
        table if table.is_sparse else None,
        (*table.repairs, *naming.repairs),
        [attribute.type for attribute in attributes],
        remarks=text.remarks,
        reading=reading,
        spelling=EXPLICIT,
    )


def _open_columnar(request: ConversionRequest, reading: ReadingReport) -> Job:
    # A child process serves one file: importing this for all formats would add a tenth to its start.
    from app.tabular.readers.columnar import FeatherTable, ParquetTable  # noqa: PLC0415 - only for such files: it takes long
    from app.tabular.readers.typed import TextScan  # noqa: PLC0415 - only for such files: it takes long

    table = (ParquetTable if request.format == "parquet" else FeatherTable)(request, reading)
    attributes = table.naming.request.attributes
    # A declared type is checked against the texts of the column.
    scans = [
        TextScan(column, declared(column.name, table.naming.request, TYPED))
        if column.name in attributes
        else column.scan(table.naming.request)
        for column in table.columns
    ]
    repairs = (*table.repairs, *table.naming.repairs)
    size = request.source.stat().st_size
    return Job(
        table.naming.request,
        table,
        size,
        scans,
        table.file_names,
        request.relation,
        repairs=repairs,
        file_types=table.file_types,
        is_typed=True,
        reading=reading,
    )


def _open_json(request: ConversionRequest, reading: ReadingReport, report: ProgressSink) -> Job:
    text = open_text(request, reading, max_line_bytes=None)
    table = JsonTable(text, request, reading, lambda done: report(Progress("reading", done, text.size)))
    if table.row_id and not request.row_id_attribute:
        request = replace(request, row_id_attribute=table.row_id)
    naming = published_names(table.names, request)
    scans = _json_scans(naming, table)
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


def _csv_scans(
    names: Sequence[str], left_out: Collection[int], request: ConversionRequest, spelling: Spelling
) -> list[Scan]:
    """Return a scan for each column of a delimited file, as it is published, left out, or without a name.

    Raises:
        TabularError: `unknown-type`, `bad-label`, `duplicate-label`, `too-many-labels`.
    """
    return [
        LeftOutColumn()
        if index in left_out
        else _scan_of(name, request, spelling)
        if name
        else UnnamedColumn(index + 1, request.reading.row_names)
        for index, name in enumerate(names)
    ]


def _scan_of(name: str, request: ConversionRequest, spelling: Spelling) -> Scan:
    """Return the scan of a column of cells whose type is not known, unless the owner declared it.

    Raises:
        TabularError: as `_csv_scans`.
    """
    if name in request.attributes:
        return declared(name, request, spelling)
    return InferredType(name, target_labels(name, request, spelling), spelling)


def _json_scans(naming: Naming, table: JsonTable) -> list[Scan]:
    """Return a scan for each column of a JSON file.

    Raises:
        TabularError: as `_csv_scans`.
    """
    described = [table.fields.get(name, {}) for name in table.names]
    return [
        LeftOutColumn() if index in naming.left_out else _json_scan(name, kinds, field, naming.request)
        for index, (name, kinds, field) in enumerate(zip(naming.names, table.kinds, described, strict=True))
    ]


def _json_scan(name: str, kinds: set[type], field: Mapping[str, Any], request: ConversionRequest) -> Scan:
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
    return _scan_of(name, request, TYPED)


def _arff_scans(attributes: Sequence[Attribute], naming: Naming) -> list[Scan]:
    """Return a scan for each attribute of an ARFF file.

    Raises:
        TabularError: `unusable-type` for one that OpenML cannot read and the request does not replace; and what
            `_csv_scans` raises.
    """
    return [
        LeftOutColumn() if index in naming.left_out else _arff_scan(attribute, naming.request)
        for index, attribute in enumerate(attributes)
    ]


def _arff_scan(attribute: Attribute, request: ConversionRequest) -> Scan:
    name = attribute.name
    if name in request.attributes:
        return declared(name, request, EXPLICIT)
    if attribute.type == "date" and request.repair:
        return KnownType(ColumnPlan(name, "string", repairs=(_as_text(attribute),)))
    if attribute.type in UNUSABLE_TYPES:
        message = f"The type {attribute.type} cannot be published."
        hint = UNUSABLE_TYPES[attribute.type]
        raise TabularError("unusable-type", message, line=attribute.line, column=name, hint=hint)
    if attribute.type in NUMBER_TYPES:
        return DeclaredNumber(name, cast("Kind", attribute.type), EXPLICIT)
    return KnownType(ColumnPlan(name, cast("Kind", attribute.type), attribute.labels))


def _as_text(attribute: Attribute) -> Repair:
    written = f" (as {attribute.format})" if attribute.format else ""
    change = f"The dates of {attribute.name!r}{written} are published as text, as they stand."
    return Repair(attribute.name, change, "OpenML's check of uploads takes no format of dates.")
