"""One file into an ARFF file: a first pass settles the types, a second one writes.

Memory does not grow with the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow.compute as pc

from app.tabular.advice import warnings_for
from app.tabular.arff.reader import ArffTable
from app.tabular.arff.sparse import SparseRows
from app.tabular.arff.writer import ArffWriter
from app.tabular.cells import BLANKS
from app.tabular.csv import CsvTable
from app.tabular.encode import ColumnPlan, DenseRows, RowCounts, joined
from app.tabular.formats import check_content
from app.tabular.infer import Scan, see_all
from app.tabular.json import JsonTable
from app.tabular.naming import settle_names
from app.tabular.plan import arff_scans, csv_scans, json_scans
from app.tabular.table import Block, Table, ahead
from app.tabular.text import TextFile, open_text
from app.tabular.types import (
    Column,
    Conversion,
    ConversionRequest,
    Progress,
    ProgressSink,
    Repair,
    TabularError,
)

MOST_ADVICE = 50
"""Sentences about columns; a table of thousands is told of the first ones."""


def convert(request: ConversionRequest, on_progress: ProgressSink | None = None) -> Conversion:
    """Convert `request.source` to `request.target`.

    Args:
        request: what to convert.
        on_progress: called after each block of rows.

    Raises:
        TabularError: the table cannot be published as it is; nothing is left at the target.
    """
    report = on_progress or (lambda _: None)
    try:
        return _run(open_job(request, report), report)
    except BaseException:
        request.target.unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True)
class Job:
    """What is converted.

    Attributes:
        request: what was asked, by the names that are published.
        table: the file, as a table.
        size: of the file, in bytes.
        scans: what there is to find out about each column.
        file_names: how the file calls the columns.
        relation: the name of the ARFF relation.
        comments: comment lines to keep.
        sparse: the table again, if its rows are sparse.
        repairs: what was changed before any row was read.
        is_typed: whether the scans see the types of the file, and texts are made only to be written.
        is_legacy: whether the encoding is a guess.
    """

    request: ConversionRequest
    table: Table
    size: int
    scans: list[Scan]
    file_names: Sequence[str]
    relation: str
    comments: Sequence[str] = ()
    sparse: ArffTable | None = None
    repairs: tuple[Repair, ...] = ()
    is_typed: bool = False
    is_legacy: bool = False

    @property
    def must_see_all(self) -> bool:
        """Whether the types depend on the rows, so that these must be read before the header is written."""
        return any(scan.must_see_all for scan in self.scans)


def open_job(request: ConversionRequest, report: ProgressSink) -> Job:
    """Open the file of a request and find out what there is to do.

    Raises:
        TabularError: the file is not what it is called, or cannot be read, or has names that have no safe reading.
    """
    check_content(request)
    if request.format in {"parquet", "feather"}:
        return _open_columnar(request)
    if request.format in {"json", "jsonl"}:
        return _open_json(request, report)
    text = open_text(request)
    return _open_arff(text, request) if request.format == "arff" else _open_csv(text, request)


def _open_csv(text: TextFile, request: ConversionRequest) -> Job:
    table = CsvTable(text, request.limits, expected="\t" if request.format == "tsv" else None)
    # Columns without a name are left out, if there is nothing in them or only the numbers of the rows.
    may_leave_out = request.repair and any(table.names)
    positions = [
        position
        for position, name in enumerate(table.names, start=1)
        if name.strip(BLANKS) or not may_leave_out
    ]
    naming = settle_names([table.names[position - 1] for position in positions], request, positions=positions)
    names, file_names = [""] * len(table.names), table.names
    for position, name in zip(positions, naming.names, strict=True):
        names[position - 1] = name
    table.names = names
    return Job(
        naming.request,
        table,
        text.size,
        csv_scans(names, naming.request),
        file_names,
        request.relation,
        repairs=naming.repairs,
        is_legacy=text.is_legacy,
    )


def _open_arff(text: TextFile, request: ConversionRequest) -> Job:
    table = ArffTable(text, request.limits)
    naming = settle_names(table.names, request, lines=[attribute.line for attribute in table.attributes])
    attributes = [
        replace(attribute, name=name) for attribute, name in zip(table.attributes, naming.names, strict=True)
    ]
    file_names, table.names = table.names, naming.names
    return Job(
        naming.request,
        table,
        text.size,
        arff_scans(attributes, naming.request),
        file_names,
        table.relation or request.relation,
        table.comments,
        table if table.is_sparse else None,
        naming.repairs,
        is_legacy=text.is_legacy,
    )


def _open_columnar(request: ConversionRequest) -> Job:
    # A child process lives for one file: what only some formats need would cost all of them a tenth of their start.
    from app.tabular.columnar import FeatherTable, ParquetTable  # noqa: PLC0415
    from app.tabular.typed import scan_of  # noqa: PLC0415

    table = (ParquetTable if request.format == "parquet" else FeatherTable)(request)
    scans = [scan_of(column, table.naming.request) for column in table.columns]
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
        is_typed=True,
    )


def _open_json(request: ConversionRequest, report: ProgressSink) -> Job:
    text = open_text(request, max_line_bytes=None)
    table = JsonTable(text, request, lambda done: report(Progress("reading", done, text.size)))
    naming = settle_names(table.names, request)
    scans = json_scans(naming.names, table.kinds, naming.request)
    repairs = (*table.repairs, *naming.repairs)
    return Job(
        naming.request,
        table,
        text.size,
        scans,
        table.names,
        request.relation,
        repairs=repairs,
        is_legacy=text.is_legacy,
    )


def _run(job: Job, report: ProgressSink) -> Conversion:
    try:
        plans, left_out = settle(job, report)
        with ArffWriter(job.request.target, job.request.limits) as writer:
            writer.write_header(job.relation, list(plans.values()), job.comments)
            if job.sparse:
                counts = _write_sparse(job, job.sparse, plans, writer, report)
            else:
                counts = _write_dense(job, plans, writer, report)
    except TabularError as error:
        if error.row is not None and error.line is None:
            error.line = job.table.line_of(error.row)
        raise
    if not counts.rows:
        raise TabularError("no-rows", "The table has no rows.")
    return _conversion(job, plans, left_out, counts, writer)


def settle(job: Job, report: ProgressSink) -> tuple[dict[int, ColumnPlan], list[Repair]]:
    """Look at all rows, if the types depend on them, and say how each column is written, and which are not.

    Raises:
        TabularError: a column has values that have no safe reading.
    """
    if job.must_see_all and job.sparse:
        hint = 'Declare "integer", "real" or a list of labels.'
        raise TabularError("sparse-types", "The types of a sparse file are not inferred.", hint=hint)
    if job.must_see_all:
        wanted = [index for index, scan in enumerate(job.scans) if scan.must_see_all]
        for block in ahead(job.table.blocks_to_scan(wanted)):
            if not job.is_typed:
                check_sizes(job, block)
            see_all(job.scans, block)
            report(Progress("types", block.position, job.size))
    plans = [scan.plan() for scan in job.scans]
    written = {index: plan for index, plan in enumerate(plans) if isinstance(plan, ColumnPlan)}
    return written, [plan for plan in plans if isinstance(plan, Repair)]


def check_sizes(job: Job, block: Block) -> None:
    """Refuse cells that are too long, whatever their type.

    Raises:
        TabularError: `cell-too-long`.
    """
    limit = job.request.limits.max_cell_bytes
    for index, column in enumerate(block.columns):
        # All cells together are seldom that long.
        if column.nbytes <= limit:
            continue
        sizes = pc.binary_length(column)
        longest = pc.max(sizes).as_py() or 0
        if longest > limit:
            row = block.first_row + pc.index(sizes, longest).as_py()
            message = f"The cell has {longest} bytes; {limit} are allowed."
            raise TabularError("cell-too-long", message, row=row + 1, column=job.table.names[index])


def _write_dense(
    job: Job, plans: Mapping[int, ColumnPlan], writer: ArffWriter, report: ProgressSink
) -> RowCounts:
    rows = DenseRows(plans)
    for block in ahead(job.table.blocks()):
        if job.is_typed or not job.must_see_all:
            check_sizes(job, block)
        if not job.must_see_all:
            see_all(job.scans, block)
        writer.write(joined(rows.encode(block)))
        report(Progress("writing", block.position, job.size))
    return rows.counts


def _write_sparse(
    job: Job, table: ArffTable, plans: Mapping[int, ColumnPlan], writer: ArffWriter, report: ProgressSink
) -> RowCounts:
    rows = SparseRows(plans)
    for block in table.sparse_blocks():
        writer.write(rows.encode(block))
        report(Progress("writing", block.position, job.size))
    return rows.counts


def _conversion(
    job: Job,
    plans: Mapping[int, ColumnPlan],
    left_out: Sequence[Repair],
    counts: RowCounts,
    writer: ArffWriter,
) -> Conversion:
    columns = tuple(
        Column(plan.name, plan.kind, plan.labels, counts.missing[index]) for index, plan in plans.items()
    )
    words = {plan.name: counts.words[index] for index, plan in plans.items() if counts.words[index]}
    return Conversion(
        columns=columns,
        rows=counts.rows,
        arff_bytes=writer.size,
        arff_md5=writer.md5.hexdigest(),
        arff_format="Sparse_ARFF" if job.sparse else "ARFF",
        warnings=warnings_of(job, plans, columns, words, counts.rows),
        repairs=repairs_of(job, plans, left_out),
        target_attributes=job.request.target_attributes,
        row_id_attribute=job.request.row_id_attribute,
        ignore_attributes=job.request.ignore_attributes,
    )


def warnings_of(
    job: Job,
    plans: Mapping[int, ColumnPlan],
    columns: Sequence[Column],
    words: Mapping[str, int],
    rows: int,
) -> tuple[str, ...]:
    """Return what the owner should know about the columns as they are published; arguments as `warnings_for`."""
    return (
        *warnings_for(job.request, columns, words, rows, is_legacy=job.is_legacy),
        *[plan.advice for plan in plans.values() if plan.advice][:MOST_ADVICE],
    )


def repairs_of(job: Job, plans: Mapping[int, ColumnPlan], left_out: Sequence[Repair]) -> tuple[Repair, ...]:
    """Return all that is changed on the way."""
    in_columns = [repair for plan in plans.values() for repair in plan.repairs]
    return (*job.repairs, *left_out, *in_columns)
