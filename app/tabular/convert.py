"""One file into an ARFF file: a first pass settles the types, a second one writes.

Memory does not grow with the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow.compute as pc

from app.tabular.advice import warnings_for
from app.tabular.arff.reader import ArffTable
from app.tabular.arff.sparse import SparseRows
from app.tabular.arff.writer import ArffWriter
from app.tabular.csv import CsvTable
from app.tabular.encode import ColumnPlan, DenseRows, RowCounts, joined
from app.tabular.infer import Scan, see_all
from app.tabular.names import check_names
from app.tabular.plan import arff_scans, check_request, csv_scans
from app.tabular.table import Block, Stack, Table, ahead
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

_ROW_NUMBERS = Repair(
    column="",
    change="The first column, which had no name, was left out.",
    reason="It held the row numbers 0, 1, 2 … that pandas writes as an index.",
)


def convert(request: ConversionRequest, on_progress: ProgressSink | None = None) -> Conversion:
    """Convert `request.source` to `request.target`.

    Args:
        request: what to convert.
        on_progress: called after each block of rows.

    Raises:
        TabularError: the table cannot be published as it is; nothing is left at the target.
    """
    try:
        text = open_text(request.source, request.limits)
        job = _open_csv(text, request) if request.format == "csv" else _open_arff(text, request)
        return _run(job, on_progress or (lambda _: None))
    except BaseException:
        request.target.unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True)
class _Job:
    """What is converted.

    Attributes:
        request: what was asked.
        text: the file.
        table: the same, as a table.
        scans: what there is to find out about each column.
        relation: the name of the ARFF relation.
        comments: comment lines to keep.
        sparse: the table again, if its rows are sparse.
    """

    request: ConversionRequest
    text: TextFile
    table: Table
    scans: list[Scan]
    relation: str
    comments: Sequence[str] = ()
    sparse: ArffTable | None = None

    @property
    def must_see_all(self) -> bool:
        """Whether the types depend on the rows, so that these must be read before the header is written."""
        return any(scan.must_see_all for scan in self.scans)


def _open_csv(text: TextFile, request: ConversionRequest) -> _Job:
    table = CsvTable(text, request.limits)
    has_row_numbers = table.names[0] == "" and len(table.names) > 1
    names = table.names[1:] if has_row_numbers else table.names
    check_names(names, first_position=2 if has_row_numbers else 1)
    check_request(request, names)
    return _Job(request, text, table, csv_scans(table.names, request), request.relation)


def _open_arff(text: TextFile, request: ConversionRequest) -> _Job:
    table = ArffTable(text, request.limits)
    check_request(request, table.names)
    scans = arff_scans(table.attributes, request)
    relation = table.relation or request.relation
    sparse = table if table.is_sparse else None
    return _Job(request, text, table, scans, relation, table.comments, sparse)


def _run(job: _Job, report: ProgressSink) -> Conversion:
    try:
        plans = _settle(job, report)
        with ArffWriter(job.request.target) as writer:
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
        raise TabularError("no-rows", "The file has a header but no rows.")
    return _conversion(job, plans, counts, writer)


def _settle(job: _Job, report: ProgressSink) -> dict[int, ColumnPlan]:
    """Look at all rows, if the types depend on them, and say how each column is written."""
    if job.must_see_all and job.sparse:
        hint = 'Declare "integer", "real" or a list of labels.'
        raise TabularError("sparse-types", "The types of a sparse file are not inferred.", hint=hint)
    if job.must_see_all:
        for block in ahead(job.table.blocks()):
            _check(job, block)
            report(Progress("types", block.position, job.text.size))
    plans = ((index, scan.plan()) for index, scan in enumerate(job.scans))
    return {index: plan for index, plan in plans if plan}


def _check(job: _Job, block: Block) -> None:
    """Check what no type excuses, then let the scans look at the block."""
    limit = job.request.limits.max_cell_bytes
    stack = Stack(block, range(len(block.columns)))
    sizes = pc.binary_length(stack.cells)
    longest = pc.max(sizes).as_py() or 0
    if longest > limit:
        index, row = stack.place(pc.index(sizes, longest).as_py())
        message = f"The cell has {longest} bytes; {limit} are allowed."
        raise TabularError("cell-too-long", message, row=row + 1, column=job.table.names[index])
    see_all(job.scans, block)


def _write_dense(
    job: _Job, plans: Mapping[int, ColumnPlan], writer: ArffWriter, report: ProgressSink
) -> RowCounts:
    rows = DenseRows(plans)
    for block in ahead(job.table.blocks()):
        if not job.must_see_all:
            _check(job, block)
        writer.write(joined(rows.encode(block)))
        report(Progress("writing", block.position, job.text.size))
    return rows.counts


def _write_sparse(
    job: _Job, table: ArffTable, plans: Mapping[int, ColumnPlan], writer: ArffWriter, report: ProgressSink
) -> RowCounts:
    rows = SparseRows(plans)
    for block in table.sparse_blocks():
        writer.write(rows.encode(block))
        report(Progress("writing", block.position, job.text.size))
    return rows.counts


def _conversion(
    job: _Job, plans: Mapping[int, ColumnPlan], counts: RowCounts, writer: ArffWriter
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
        arff_sha256=writer.sha256.hexdigest(),
        arff_format="Sparse_ARFF" if job.sparse else "ARFF",
        warnings=warnings_for(job.request, columns, words, counts.rows, is_legacy=job.text.is_legacy),
        repairs=() if len(plans) == len(job.scans) else (_ROW_NUMBERS,),
    )
