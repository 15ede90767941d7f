"""Profiles of tables of dense rows: one pass over the blocks, many columns per vectorised call."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.arff.tokens import without
from app.tabular.profile.alternatives import CHOICES, TypeAlternative, TypeViolation
from app.tabular.profile.base import MOST_ROWS, NUMBERS, TableProfiler, shortened_cell
from app.tabular.profile.candidates import CandidateScan, TypeCandidates
from app.tabular.profile.sampling import EqualColumns, RowSample
from app.tabular.profile.stats import Cells
from app.tabular.readers.wide import MANY_COLUMNS
from app.tabular.schema.cells import BLANKS
from app.tabular.schema.early import EarlyPlans
from app.tabular.schema.inference import InferredType
from app.tabular.schema.job import ColumnPlans, Job, check_sizes, plan_columns, scanned_plans
from app.tabular.schema.names import not_a_label
from app.tabular.schema.numbers import Notation
from app.tabular.schema.scans import KnownType, LeftOutColumn, Scan, UnnamedColumn, update_scans
from app.tabular.table import LONG_COLUMN, Block, HeldTable, Stack, by_columns, prefetched
from app.tabular.types import MIB, ConversionRequest, Kind, Progress, ProgressSink, TabularError

if TYPE_CHECKING:
    from app.tabular.readers.columnar import ColumnarTable

_COLUMNS_AT_ONCE = 2_000
"""Columns processed at once; at least `MOST_ROW_COLUMNS`."""
_MOST_HELD_BYTES = 64 * MIB
_NUMBER = rf"^[{BLANKS}]*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[{BLANKS}]*$"


class _Reading(NamedTuple):
    """What columns that are read alike have in common; the key of a group."""

    is_plain: bool
    words: frozenset[str]
    notation: Notation
    alone: int | None

    @property
    def is_verbatim(self) -> bool:
        """Whether the values are the cells."""
        return self.is_plain and not self.words and self.notation.is_plain


def profile_dense(job: Job, report: ProgressSink) -> "DenseProfiler":
    """Collect the profile of a table of dense rows.

    Statistics are made by the types of the first rows while all are scanned, as `convert` writes them, in one pass;
    only where later rows show other types, or an error, is there another one. A wide table has two in any case, for
    blocks of it that wait to be scanned take much memory; while they are scanned, those of a small one are held for it.

    Raises:
        TabularError: the table cannot be read.
    """
    job = with_candidates(job)
    is_early = job.needs_all_rows and not job.is_typed and len(job.scans) < MANY_COLUMNS
    begun = _by_first_rows(job, report) if is_early else None
    if job.needs_all_rows and not job.is_typed and not is_early:
        job = replace(job, table=HeldTable(job.table, _MOST_HELD_BYTES))
    plans = scanned_plans(job) if is_early else plan_columns(job, report)
    if begun:
        begun.settle(plans)
        report(Progress("profile", job.size, job.size))
        return begun
    profiler = DenseProfiler(job, plans, report)
    profiler.run()
    return profiler


def with_candidates(job: Job) -> Job:
    """Return a job whose scans record the errors of their columns."""
    scans: list[Scan] = [
        # A column without a name is an error that no declared type can avert.
        scan if isinstance(scan, UnnamedColumn | LeftOutColumn) else CandidateScan(scan, name)
        for scan, name in zip(job.scans, job.table.names, strict=True)
    ]
    return replace(job, scans=scans)


def _by_first_rows(job: Job, report: ProgressSink) -> "DenseProfiler | None":
    """Scan all rows, and meanwhile profile them by the plans of the first; None if those did not hold."""
    candidates = _candidates_of(job).values()
    wrapped = [scan.scan if isinstance(scan, CandidateScan) else scan for scan in job.scans]
    early, profiler = EarlyPlans(job, wrapped), None
    for block in prefetched(early.blocks()):
        if any(candidate.fault for candidate in candidates):
            early.columns = None
        if early.columns is not None:
            profiler = profiler or DenseProfiler(job, ColumnPlans({**early.columns}, []), report)
            profiler.update(block)
        report(Progress("types", block.position, job.size))
    return profiler if early.columns is not None else None


def _candidates_of(job: Job) -> dict[int, CandidateScan]:
    return {index: scan for index, scan in enumerate(job.scans) if isinstance(scan, CandidateScan)}


class DenseProfiler(TableProfiler):
    """Profiles a table of dense rows, in any format."""

    def __init__(self, job: Job, plans: ColumnPlans, report: ProgressSink) -> None:
        """Prepare for the rows of a job whose scans are `CandidateScan`s, as `with_candidates` makes them."""
        super().__init__(job, plans, report)
        self._candidate_scans = _candidates_of(job)
        self.sample = self._sampled = RowSample(self._plans)
        self.equal = self._compared = EqualColumns(self._plans)
        self._unreadable: dict[int, TypeViolation] = {}
        self._label_sets: dict[int, pa.Array] = {}
        for index in self._refused():
            self._kinds[index] = _asked(job.request, self._plans[index].name, self._faults[index])
        self._candidates = TypeCandidates(job.request, self._plans, self._faults, job.spelling)
        inferred = {
            index
            for index, candidate in self._candidate_scans.items()
            if isinstance(candidate.scan, InferredType)
        }
        self._wholes = {index for index in inferred if self._plans[index].kind == "real"}
        texts = {index for index in inferred if self._plans[index].kind in {"string", "nominal"}}
        self._texts = texts - self._faults.keys()

    def run(self) -> None:
        """Read all rows, by the plans of all.

        Raises:
            TabularError: they cannot be read.
        """
        job = self._job
        for block in prefetched(self._blocks()):
            if job.is_typed or not job.needs_all_rows:
                check_sizes(job, block)
            if not job.is_typed and not job.needs_all_rows:
                update_scans(job.scans, block)
                for index in self._refused():
                    self._candidates.check_all_numbers(index)
            self.update(block)
            self._report(Progress("profile", block.position, job.size))

    def settle(self, plans: ColumnPlans) -> None:
        """Take the plans by all rows, whose columns are written as by those that it had."""
        self.plans, self._left_out = plans, plans.left_out
        self._plans |= {index: plan for index, plan in plans.columns.items() if index not in self._faults}

    def alternatives(self, index: int) -> list[TypeAlternative]:
        """Return whether each type could be declared; see `TableProfiler`."""
        if index in self._unreadable:
            return [TypeAlternative(kind, False, self._unreadable[index]) for kind in CHOICES]  # noqa: FBT003 - a field, in order
        return self._candidates.alternatives_of(index)

    def _scan(self, index: int) -> Scan:
        return self._candidate_scans[index].scan

    def _blocks(self) -> Iterator[Block]:
        """Yield the rows as texts; a column that cannot be converted is recorded as unreadable."""
        if not self._job.is_typed:
            yield from self._job.table.blocks()
            return
        table = cast("ColumnarTable", self._job.table)
        for block in table.blocks_to_scan(range(len(table.names))):
            columns = [self._text(table, index, block) for index in range(len(table.names))]
            yield Block(columns, block.first_row, block.position)

    def _text(self, table: "ColumnarTable", index: int, block: Block) -> pa.Array:
        try:
            return table.columns[index].text(block.columns[index], block.first_row)
        except TabularError as error:
            fault = TypeViolation.of(error)
            self._unreadable.setdefault(index, fault)
            return _texts_of(block.columns[index])

    def _refused(self) -> list[int]:
        """Return the columns that their scans have refused since the last call."""
        new = {
            index: candidate.fault
            for index, candidate in self._candidate_scans.items()
            if index not in self._faults
        }
        refused = {index: fault for index, fault in new.items() if fault}
        for index, fault in refused.items():
            self._refuse(index, fault)
        return list(refused)

    def update(self, block: Block) -> None:
        """Take the next rows."""
        block = by_columns(block)
        for index, fault in list(self._unreadable.items()):
            self._refuse(index, fault)
        self._candidates.update(block)
        self._sampled.begin(block)
        self._compared.update(block)
        indices = list(self._plans)
        for start in range(0, len(indices), _COLUMNS_AT_ONCE):
            self._update_columns(indices[start : start + _COLUMNS_AT_ONCE], block)
        self.rows += block.rows
        self._counts.rows = self.rows

    def _update_columns(self, some: Sequence[int], block: Block) -> None:
        values = self._published(some, block)
        if not set(self._shown).isdisjoint(some):
            self._show(values, block.rows)
        self._candidates.add_values(
            self._values.count({index: block.columns[index] for index in some}), block
        )
        states = self._values.states
        self._candidates.drop_labels({index for index in some if states[index].at_least is not None})
        self._sampled.add(values)
        self._measure(values, block)

    def _measure(self, values: Mapping[int, pa.Array], block: Block) -> None:
        for index, cells in values.items():
            self._counts.missing[index] += cells.null_count
            self._counts.words[index] += cells.null_count - block.columns[index].null_count
        for cells in Cells.stacked({index: values[index] for index in values if index in self._wholes}):
            for index, count in cells.whole_numbers():
                self._fitting[index] += count
        for cells in Cells.stacked({index: values[index] for index in values if index in self._texts}):
            for index, count in cells.matches(_NUMBER):
                self._fitting[index] += count
        sound = {index: self._plans[index].kind for index in values if index not in self._faults}
        for cells in Cells.stacked({index: values[index] for index in sound if sound[index] in NUMBERS}):
            self._numbers.update(cells)
            self._counts.squares.add(cells.cells, partial(_place, cells, block))
        for cells in Cells.stacked({index: values[index] for index in sound if sound[index] == "string"}):
            self._lengths.update(cells)

    def _published(self, some: Sequence[int], block: Block) -> dict[int, pa.Array]:
        """Return the values of some columns, null where missing, and record what ARFF cannot represent."""
        values: dict[int, pa.Array] = {}
        for key, indices in self._groups(some, block).items():
            if key.is_verbatim:
                values.update((index, block.columns[index]) for index in indices)
                continue
            stack = Stack(block, indices)
            cells = stack.cells if key.is_plain else pc.utf8_trim(stack.cells, BLANKS)
            cells = without(key.words, cells)
            values.update(stack.split(cells if key.notation.is_plain else key.notation.plain_cells(cells)))
        for index in some:
            labels = self._plans[index].labels
            if labels and isinstance(self._candidate_scans[index].scan, KnownType):
                self._check_labels(index, labels, values, block)
        return values

    def _groups(self, some: Sequence[int], block: Block) -> dict[_Reading, list[int]]:
        """Group columns that are read alike; long ones are not grouped."""
        groups: dict[_Reading, list[int]] = {}
        for index in some:
            plan = self._plans[index]
            alone = index if block.rows > LONG_COLUMN else None
            reading = _Reading(plan.is_plain, plan.missing_words, plan.notation, alone)
            groups.setdefault(reading, []).append(index)
        return groups

    def _check_labels(
        self, index: int, labels: Sequence[str], values: dict[int, pa.Array], block: Block
    ) -> None:
        cells = values[index]
        if index not in self._label_sets:
            self._label_sets[index] = pa.array(labels, pa.string())
        is_label = pc.or_(pc.is_null(cells), pc.is_in(cells, value_set=self._label_sets[index]))
        position = pc.index(is_label, value=False).as_py()
        if position >= 0:
            value = cells[position].as_py()
            error = not_a_label(value, labels, self._plans[index].name, block.first_row + position)
            self._refuse(index, TypeViolation.of(error, value))
            values[index] = block.columns[index]

    def _show(self, values: Mapping[int, pa.Array], rows: int) -> None:
        some = min(MOST_ROWS - len(self._first_rows), rows)
        if some:
            columns = [values[index].slice(0, some).to_pylist() for index in self._shown]
            self._first_rows += [[shortened_cell(cell) for cell in row] for row in zip(*columns, strict=True)]


def _place(cells: Cells, block: Block, position: int) -> tuple[int, int]:
    """Return the column's index and the row of a cell of stacked columns of a block."""
    return cells.column_at(position), block.first_row + position % block.rows


def _texts_of(column: pa.Array) -> pa.Array:
    """Return the texts of numbers or timestamps that cannot be published, or nulls if Arrow has none."""
    try:
        texts = column.cast(pa.string())
    except pa.ArrowException:
        return pa.nulls(len(column), pa.string())
    return pc.if_else(pc.equal(texts, "nan"), pa.scalar(None, pa.string()), texts)


def _asked(request: ConversionRequest, name: str, fault: TypeViolation) -> Kind:
    """Return the type that was declared or inferred for a column that its scan has refused."""
    declared = request.attributes.get(name, "real" if fault.slug == "not-finite" else "nominal")
    return next((kind for kind in ("string", "integer", "real") if kind == declared), "nominal")
