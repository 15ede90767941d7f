"""An opened table with a scan of each column, and the pass over its rows that determines how they are written."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.reading import Reading, ReadingReport, settled
from app.tabular.schema.cells import TYPED, Spelling
from app.tabular.schema.plan import ColumnPlan, RowCounts
from app.tabular.schema.scans import LeftOutColumn, Scan, update_scans
from app.tabular.schema.warnings import warnings_for
from app.tabular.table import Block, RowMajor, SparseTable, Table, prefetched
from app.tabular.types import Column, ConversionRequest, Progress, ProgressSink, Repair, TabularError

MOST_DOUBTS = 10
"""Doubts that a refusal names."""
MOST_ADVICE = 50
"""Remarks about columns that are reported; a table may have thousands."""


@dataclass(frozen=True, slots=True)
class Job:
    """One table to convert or to profile.

    Attributes:
        request: what was asked, with columns by their published names.
        table: the opened file.
        size: of the file, in bytes.
        scans: one for each column of the file.
        file_names: the columns' names in the file.
        relation: the name of the ARFF relation.
        comments: comment lines to keep.
        sparse: the same table, if its rows are sparse.
        repairs: what was changed before any row was read.
        file_types: the columns' types in the file; None if its format has none.
        is_typed: whether scans take the file's own types, and texts are made only for writing.
        remarks: what the owner should know of how the file was read, as sentences.
        has_lines: whether the table's lines are those of the file.
        reading: how the file is read.
        spelling: which texts stand for missing values and booleans, and how numbers are written.
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
    remarks: tuple[str, ...] = ()
    has_lines: bool = True
    reading: ReadingReport = field(default_factory=lambda: ReadingReport(Reading()))
    spelling: Spelling = TYPED

    @property
    def needs_all_rows(self) -> bool:
        """Whether the types depend on the rows, so that these must be read before the header is written."""
        return any(scan.needs_all_rows for scan in self.scans)

    @contextmanager
    def lines_added(self) -> Iterator[None]:
        """Add the physical line to an error that names a row only."""
        try:
            yield
        except TabularError as error:
            if error.row is not None and error.line is None:
                error.line = self.table.line_of(error.row)
            if not self.has_lines:
                error.line = None
            raise


class ColumnPlans(NamedTuple):
    """The plans of the columns that are written, by index, and the repairs that leave columns out."""

    columns: dict[int, ColumnPlan]
    left_out: list[Repair]


def plan_columns(job: Job, report: ProgressSink) -> ColumnPlans:
    """Scan all rows, if the types depend on them, and plan each column.

    Raises:
        TabularError: a column has values that cannot be published unambiguously.
    """
    if job.needs_all_rows and job.sparse:
        hint = 'Declare "integer", "real" or a list of labels.'
        raise TabularError("sparse-types", "The types of a sparse file are not inferred.", hint=hint)
    if job.needs_all_rows:
        wanted = [index for index, scan in enumerate(job.scans) if scan.needs_all_rows]
        for block in prefetched(job.table.blocks_to_scan(wanted)):
            if not job.is_typed:
                check_sizes(job, block)
            update_scans(job.scans, block)
            report(Progress("types", block.position, job.size))
    return scanned_plans(job)


def scanned_plans(job: Job) -> ColumnPlans:
    """Plan each column once all rows are scanned that its type depends on.

    Raises:
        TabularError: as `plan_columns`.
    """
    plans = [scan.plan() for scan in job.scans]
    job.reading.doubts += [doubt for plan in plans if isinstance(plan, ColumnPlan) for doubt in plan.doubts]
    if job.request.refuse_doubts:
        refuse_doubts(job.reading)
    written = {index: plan for index, plan in enumerate(plans) if isinstance(plan, ColumnPlan)}
    return ColumnPlans(written, [plan for plan in plans if isinstance(plan, Repair)])


def refuse_doubts(reading: ReadingReport) -> None:
    """Refuse a table whose reading is in doubt.

    Raises:
        TabularError: `unsure-reading`.
    """
    shown = reading.questions[:MOST_DOUBTS]
    if not shown:
        return
    choices = settled(shown)
    named = "; ".join(
        f"`{name}` as {' or '.join(_spelled(name, value) for value in values)}"
        for name, values in choices.items()
    )
    raise TabularError(
        "unsure-reading",
        " ".join(doubt.message for doubt in shown),
        column=next((doubt.column for doubt in shown if doubt.column), None),
        hint=f"Say in `reading`: {named}; or look at the preview first.",
        choices=choices,
    )


def _spelled(field: str, value: object) -> str:
    """Return a choice as JSON; an invisible character by its name."""
    named = _SIGNS.get(value, value) if field in _SIGN_FIELDS and isinstance(value, str) else value
    return json.dumps(named, ensure_ascii=False)


_SIGN_FIELDS = frozenset({"delimiter", "quote", "comment", "thousands"})
_SIGNS = {"": "none", " ": "space", "\t": "tab"}
"""Names of signs that are taken as choices as well."""


def check_sizes(job: Job, block: Block) -> None:
    """Refuse cells that are too long, whatever their type; what is left out does not matter.

    Raises:
        TabularError: `cell-too-long`.
    """
    limit = job.request.limits.max_cell_bytes
    if isinstance(block.columns, RowMajor) and _longest(block.columns.cells) <= limit:
        return
    for index, column in enumerate(block.columns):
        # All cells together are seldom that long.
        if column.nbytes <= limit or isinstance(job.scans[index], LeftOutColumn):
            continue
        longest = _longest(column)
        if longest > limit:
            row = block.first_row + pc.index(pc.binary_length(column), longest).as_py()
            message = f"The cell has {longest} bytes; {limit} are allowed."
            raise TabularError("cell-too-long", message, row=row + 1, column=job.table.names[index])


def _longest(cells: pa.Array) -> int:
    """Return the bytes of the longest cell."""
    longest: int | None = pc.max(pc.binary_length(cells)).as_py()
    return longest or 0


def warnings_of(
    job: Job,
    plans: Mapping[int, ColumnPlan],
    columns: Sequence[Column],
    words: Mapping[str, int],
    counts: RowCounts,
) -> tuple[str, ...]:
    """Return warnings and advice about the columns as they are published; arguments as `warnings_for`."""
    beyond = {plans[index].name: found for index, found in counts.squares.beyond.items() if index in plans}
    return (
        *job.remarks,
        *job.reading.remarks,
        *warnings_for(job.request, columns, words, counts.rows, beyond),
        *[plan.advice for plan in plans.values() if plan.advice][:MOST_ADVICE],
    )


def repairs_of(job: Job, plans: Mapping[int, ColumnPlan], left_out: Sequence[Repair]) -> tuple[Repair, ...]:
    """Return all changes to the table."""
    in_columns = [repair for plan in plans.values() for repair in plan.repairs]
    return (*job.repairs, *left_out, *in_columns)
