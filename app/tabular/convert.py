"""Conversion of one file to ARFF: a first pass over the rows determines the types, a second one writes.

Where the profile of the same file has stored the types, the first pass is skipped.

Memory does not grow with the number of rows.
"""

from collections.abc import Mapping, Sequence

from app.tabular.arff.sparse import SparseRows
from app.tabular.arff.tokens import DenseRows
from app.tabular.arff.writer import ArffWriter
from app.tabular.disk import remove_target, remove_workspace
from app.tabular.readers.opening import open_job
from app.tabular.schema.job import ColumnPlans, Job, check_sizes, plan_columns, repairs_of, warnings_of
from app.tabular.schema.kept import kept_plans
from app.tabular.schema.plan import ColumnPlan, RowCounts
from app.tabular.schema.scans import update_scans
from app.tabular.table import SparseTable, prefetched
from app.tabular.types import (
    Column,
    Conversion,
    ConversionRequest,
    Progress,
    ProgressSink,
    Repair,
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
    with job.lines_added():
        plans, left_out = known or plan_columns(job, report)
        with ArffWriter(job.request.target, job.request.limits) as writer:
            writer.write_header(job.relation, list(plans.values()), job.comments)
            if job.sparse:
                counts = _write_sparse(job, job.sparse, plans, writer, report)
            else:
                counts = _write_dense(job, plans, writer, report)
    if not counts.rows:
        raise TabularError.no_rows()
    return _conversion(job, plans, left_out, counts, writer)


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
        warnings=warnings_of(job, plans, columns, words, counts),
        repairs=repairs_of(job, plans, left_out),
        target_attributes=job.request.target_attributes,
        row_id_attribute=job.request.row_id_attribute,
        ignore_attributes=job.request.ignore_attributes,
        reading=job.reading.to_json(),
        doubts=job.reading.questions,
    )
