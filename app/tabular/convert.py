"""Conversion of one file to ARFF: rows are scanned for their types, and written by those of the first rows meanwhile.

Where later rows show other types, a second pass writes; where the profile of the same file has stored the types, there
is no scan. Memory does not grow with the number of rows.
"""

from collections.abc import Mapping
from typing import NamedTuple

from app.tabular.arff.sparse import SparseRows
from app.tabular.arff.tokens import DenseRows
from app.tabular.arff.writer import ArffWriter
from app.tabular.disk import remove_target, remove_workspace
from app.tabular.readers.opening import open_job
from app.tabular.schema.early import EarlyPlans
from app.tabular.schema.job import (
    ColumnPlans,
    Job,
    check_sizes,
    plan_columns,
    repairs_of,
    scanned_plans,
    warnings_of,
)
from app.tabular.schema.kept import kept_plans
from app.tabular.schema.plan import ColumnPlan, RowCounts
from app.tabular.schema.scans import update_scans
from app.tabular.table import Block, SparseTable, prefetched
from app.tabular.types import (
    Column,
    Conversion,
    ConversionRequest,
    Progress,
    ProgressSink,
    TabularError,
)


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
        job = open_job(request, report)
        return write(job, report, kept_plans(request, job))
    except BaseException:
        remove_target(request)
        raise
    finally:
        remove_workspace(request)


def write(job: Job, report: ProgressSink, known: ColumnPlans | None = None) -> Conversion:
    """Write the table that was opened for a request to its target.

    Args:
        job: the table.
        report: called after each block of rows.
        known: the plans of its columns, if all rows were seen before.

    Raises:
        TabularError: as `convert`.
    """
    is_early = known is None and job.needs_all_rows and not (job.is_typed or job.sparse)
    with job.lines_added():
        written = _write_early(job, report) if is_early else None
        plans = scanned_plans(job) if is_early else known or plan_columns(job, report)
        written = written or _write_planned(job, plans, report)
    if not written.counts.rows:
        raise TabularError.no_rows()
    if is_early:
        report(Progress("writing", job.size, job.size))
    return _conversion(job, plans, written)


class _Written(NamedTuple):
    """A file that was written, and what was counted."""

    counts: RowCounts
    writer: ArffWriter


def _write_early(job: Job, report: ProgressSink) -> _Written | None:
    """Scan all rows, and meanwhile write them by the plans of the first; None if those did not hold.

    Reading, scanning and writing have a thread each, and do not wait for the interpreter while Arrow works.
    """
    early, rows = EarlyPlans(job), None
    with ArffWriter(job.request.target, job.request.limits) as writer:
        for block in prefetched(early.blocks()):
            if plans := early.columns:
                if rows is None:
                    rows = DenseRows(plans)
                    writer.write_header(job.relation, list(plans.values()), job.comments)
                if lines := _lines_that_fit(rows, block):
                    writer.write(lines)
                else:
                    early.columns = None
            report(Progress("types", block.position, job.size))
    return _Written(rows.counts, writer) if rows and early.columns else None


def _lines_that_fit(rows: DenseRows, block: Block) -> memoryview | None:
    """Return the lines of a block, None if a value is not of its column, which is said once all types are known."""
    try:
        return rows.lines(block)
    except TabularError:
        return None


def _write_planned(job: Job, plans: ColumnPlans, report: ProgressSink) -> _Written:
    columns = plans.columns
    with ArffWriter(job.request.target, job.request.limits) as writer:
        writer.write_header(job.relation, list(columns.values()), job.comments)
        if job.sparse:
            return _Written(_write_sparse(job, job.sparse, columns, writer, report), writer)
        return _Written(_write_dense(job, columns, writer, report), writer)


def _write_dense(
    job: Job, plans: Mapping[int, ColumnPlan], writer: ArffWriter, report: ProgressSink
) -> RowCounts:
    rows = DenseRows(plans)
    for block in prefetched(job.table.blocks()):
        if job.is_typed or not job.needs_all_rows:
            check_sizes(job, block)
        if not job.needs_all_rows:
            update_scans(job.scans, block)
        writer.write(rows.lines(block))
        report(Progress("writing", block.position, job.size))
    return rows.counts


def _write_sparse(
    job: Job, table: SparseTable, plans: Mapping[int, ColumnPlan], writer: ArffWriter, report: ProgressSink
) -> RowCounts:
    rows = SparseRows(plans, len(job.scans))
    for block in table.sparse_blocks():
        writer.write(rows.encode(block))
        report(Progress("writing", block.position, job.size))
    return rows.counts


def _conversion(job: Job, planned: ColumnPlans, written: _Written) -> Conversion:
    (plans, left_out), (counts, writer) = planned, written
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
        warnings=warnings_of(job, plans, columns, words, counts),
        repairs=repairs_of(job, plans, left_out),
        target_attributes=job.request.target_attributes,
        row_id_attribute=job.request.row_id_attribute,
        ignore_attributes=job.request.ignore_attributes,
        reading=job.reading.to_json(),
        doubts=job.reading.questions,
    )
