"""Profiles of tables of sparse rows: one pass over the stated cells."""

from collections import Counter

import pyarrow as pa

from app.tabular.arff.sparse import SparseRows
from app.tabular.arff.syntax import unquote
from app.tabular.arff.tokens import MISSING
from app.tabular.profile.alternatives import (
    CHOICES,
    NUMBER_CHOICES,
    Choice,
    NumberChoice,
    TypeAlternative,
    TypeViolation,
)
from app.tabular.profile.base import MOST_ROWS, NUMBERS, TableProfiler, shortened_cell
from app.tabular.profile.stats import Cells
from app.tabular.schema.cells import does_not_fit, number_fault
from app.tabular.schema.job import ColumnPlans, Job, plan_columns
from app.tabular.table import SparseBlock, SparseTable
from app.tabular.types import Progress, ProgressSink


def profile_sparse(job: Job, table: SparseTable, report: ProgressSink) -> "SparseProfiler":
    """Collect the profile of a table of sparse rows, which is that of the job.

    Raises:
        TabularError: the table cannot be read.
    """
    profiler = SparseProfiler(job, table, plan_columns(job, report), report)
    profiler.run()
    return profiler


class SparseProfiler(TableProfiler):
    """Profiles an ARFF file of sparse rows; a cell that is not stated is zero, or the first label."""

    def __init__(self, job: Job, table: SparseTable, plans: ColumnPlans, report: ProgressSink) -> None:
        super().__init__(job, plans, report)
        self._table = table
        self._stated = dict.fromkeys(self._plans, 0)
        self._number_columns = {index for index, plan in self._plans.items() if plan.kind in NUMBERS}
        self._default = {index: plan.labels[0] if plan.labels else "0" for index, plan in self._plans.items()}
        self._candidate_violations: dict[tuple[Choice, int], TypeViolation] = {}
        # For each column, the numbers that its values may all be, and are not known to be.
        self._undecided: dict[int, tuple[NumberChoice, ...]] = dict.fromkeys(self._plans, NUMBER_CHOICES)
        for index in self._number_columns:
            is_whole = self._plans[index].kind == "integer"
            self._decide(index, *(NUMBER_CHOICES if is_whole else ("real",)))

    def run(self) -> None:
        """Read all rows.

        Raises:
            TabularError: they cannot be read.
        """
        rows = SparseRows(self._plans, len(self._job.scans))
        self._counts = rows.counts
        for block in self._table.sparse_blocks():
            self._update(block, rows)
            self._report(Progress("profile", block.position, self._job.size))
        self.rows = rows.counts.rows
        for index, plan in self._plans.items():
            zeros = self.rows - self._stated[index]
            if not zeros:
                continue
            self._values.add(index, self._default[index], zeros)
            if plan.kind in NUMBERS:
                self._numbers.add_zeros(index, zeros)

    def alternatives(self, index: int) -> list[TypeAlternative]:
        """Return whether each type could be declared; see `TableProfiler`."""
        return [self._alternative(kind, index) for kind in CHOICES]

    def _alternative(self, kind: Choice, index: int) -> TypeAlternative:
        own = self._plans[index].kind
        if kind in NUMBER_CHOICES:
            fault = self._candidate_violations.get((kind, index))
            is_known = fault or own in {kind, "integer"} or self._values.states[index].at_least is None
            return TypeAlternative(kind, fault is None if is_known else None, fault)
        message = (
            "The table has sparse rows, of which only numbers are read and labels that the file declares."
        )
        return TypeAlternative(kind, False, TypeViolation("sparse-types", message))  # noqa: FBT003 - a field, in order

    def _update(self, block: SparseBlock, parser: SparseRows) -> None:
        rows: list[int] = []
        columns: list[int] = []
        texts: list[str | None] = []
        for row, stated in enumerate(parser.stated(block), start=block.first_row):
            entries = {
                index: None if token == MISSING else unquote(token, 0) for index, token in stated.items()
            }
            rows += [row] * len(entries)
            columns += entries.keys()
            texts += entries.values()
            if len(self._first_rows) < MOST_ROWS:
                whole = self._default | entries
                self._first_rows.append([shortened_cell(whole[index]) for index in self._shown])
        for index, count in Counter(columns).items():
            self._stated[index] += count
        cells = Cells(pa.array(columns, pa.int64()), pa.array(texts, pa.string()))
        is_number = pa.array(map(self._number_columns.__contains__, columns), pa.bool_())
        self._numbers.update(cells.where(is_number))
        new = self._values.count_cells(cells.by_column())
        places: dict[tuple[int, str | None], int] = {}
        for row, index, value in zip(rows, columns, texts, strict=True):
            if index in self._undecided:
                places.setdefault((index, value), row)
        for index in new.keys() & self._undecided.keys():
            for value in new[index]:
                self._check_candidates(index, value, places[index, value])

    def _check_candidates(self, index: int, value: str, row: int) -> None:
        for kind in self._undecided.get(index, ()):
            if fault := number_fault(value, kind):
                error = does_not_fit(self._plans[index].name, value, fault, row)
                self._candidate_violations[kind, index] = TypeViolation.of(error, value)
                self._decide(index, kind)

    def _decide(self, index: int, *kinds: NumberChoice) -> None:
        """Look no more for values of a column that are none of these numbers."""
        left = tuple(kind for kind in self._undecided.pop(index) if kind not in kinds)
        if left:
            self._undecided[index] = left
