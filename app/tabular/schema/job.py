"""A table that is open, what is to be found out about its columns, and the pass over its rows that finds it out."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow.compute as pc

from app.tabular.schema.plan import ColumnPlan
from app.tabular.schema.scans import Scan, see_all
from app.tabular.schema.warnings import warnings_for
from app.tabular.table import Block, SparseTable, Table, ahead
from app.tabular.types import Column, ConversionRequest, Progress, ProgressSink, Repair, TabularError

MOST_ADVICE = 50
"""Sentences about columns; a table of thousands is told of the first ones."""


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
        file_types: how the file calls the types of the columns; None if its format has none.
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
    sparse: SparseTable | None = None
    repairs: tuple[Repair, ...] = ()
    file_types: Sequence[str] | None = None
    is_typed: bool = False
    is_legacy: bool = False

    @property
    def must_see_all(self) -> bool:
        """Whether the types depend on the rows, so that these must be read before the header is written."""
        return any(scan.must_see_all for scan in self.scans)

    @contextmanager
    def lines_found(self) -> Iterator[None]:
        """Add the physical line to an error that names a row only."""
        try:
            yield
        except TabularError as error:
            if error.row is not None and error.line is None:
                error.line = self.table.line_of(error.row)
            raise


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
