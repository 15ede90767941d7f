"""What a table would be published as, and what is in it, without publishing anything: the preview before an upload.

The types are settled as `app.tabular.convert` settles them, by the same scans; a second pass counts, measures, and
tries the types that a column could be declared as. What stands in the way of one column is told with that column, and
the others are looked at all the same.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.arff.reader import ArffTable, SparseBlock
from app.tabular.arff.sparse import SparseRows, entries_of
from app.tabular.arff.syntax import unquote
from app.tabular.cells import BLANKS, does_not_fit, number_fault
from app.tabular.convert import Job, check_sizes, open_job, repairs_of, settle, warnings_of
from app.tabular.encode import MISSING, ColumnPlan, RowCounts, UnfitError, check_texts, may_be_unsafe, without
from app.tabular.infer import InferredType, Settled, Unnamed, see_all
from app.tabular.reasons import Evidence, reason
from app.tabular.report import write_report
from app.tabular.stats import Cells, Detail, Lengths, Numbers, Values, shown
from app.tabular.table import LONG_COLUMN, Block, Stack, ahead
from app.tabular.trials import CHOICES, NUMBER_CHOICES, Alternative, Choice, Fault, Trials, Tried
from app.tabular.types import (
    Column,
    ConversionRequest,
    Kind,
    Profile,
    Progress,
    ProgressSink,
    TabularError,
)

if TYPE_CHECKING:
    from app.tabular.columnar import ColumnarTable

MOST_ROWS, MOST_ROW_COLUMNS, LONGEST_CELL = 20, 200, 200
"""Of the first rows: how many, how many columns of them, and how many characters of a cell are shown."""

_COLUMNS_AT_ONCE = 2_000
"""Columns whose values are held at once; at least `MOST_ROW_COLUMNS`."""
_NUMBERS = frozenset({"integer", "real", "numeric"})
_NUMBER = rf"^[{BLANKS}]*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[{BLANKS}]*$"
_WHOLE = rf"^[{BLANKS}]*[+-]?[0-9]+[{BLANKS}]*$"


def profile(request: ConversionRequest, on_progress: ProgressSink | None = None) -> Profile:
    """Write the profile of `request.source` to `request.target`, as `app.tabular.report` lays it out.

    Args:
        request: what `convert` would be asked, but for the target.
        on_progress: called after each block of rows.

    Raises:
        TabularError: the file cannot be read as a table; nothing is left at the target. What is wrong with a single
            column is told in the profile.
    """
    report = on_progress or (lambda _: None)
    try:
        return _run(open_job(request, report), report)
    except BaseException:
        request.target.unlink(missing_ok=True)
        raise


def _run(job: Job, report: ProgressSink) -> Profile:
    try:
        look = _SparseLook(job, job.sparse, report) if job.sparse else _DenseLook(job, report)
        look.run()
    except TabularError as error:
        if error.row is not None and error.line is None:
            error.line = job.table.line_of(error.row)
        raise
    if not look.rows:
        raise TabularError("no-rows", "The table has no rows.")
    return look.write()


class _Look:
    """What is found out about a table.

    Attributes:
        rows: the rows that were seen.
    """

    def __init__(self, job: Job, report: ProgressSink) -> None:
        self.rows = 0
        self._job = job
        self._report = report
        self._plans, self._left_out = settle(job, report)
        self._detail = Detail.of(max(len(self._plans), 1), job.request.limits.max_labels)
        # Of each column: what the conversion would refuse, and the first text that ARFF cannot carry.
        self._faults: dict[int, Fault] = {}
        self._unwritable: dict[int, Fault] = {}
        self._counts = RowCounts(self._plans)
        self._fitting = dict.fromkeys(self._plans, 0)
        self._first_rows: list[list[str | None]] = []
        self._namesakes = _later_namesakes({index: job.file_names[index] for index in self._plans})
        self._shown = list(self._plans)[:MOST_ROW_COLUMNS]
        self._kinds = {index: plan.kind for index, plan in self._plans.items()}
        whole = {index: kind == "integer" for index, kind in self._kinds.items()}
        self._numbers = Numbers(whole, self._detail)
        self._lengths = Lengths()
        self._values = Values(
            self._plans, self._detail, different=self._different, is_watched=self._has_commonest
        )

    def run(self) -> None:
        """Look at all rows.

        Raises:
            TabularError: they cannot be read.
        """
        raise NotImplementedError

    def alternatives(self, index: int) -> list[Alternative]:
        """Return what a column could be declared as."""
        raise NotImplementedError

    def write(self) -> Profile:
        """Write the profile."""
        job, counts = self._job, self._counts
        sound = {index: plan for index, plan in self._plans.items() if index not in self._faults}
        columns = [
            Column(plan.name, plan.kind, plan.labels, counts.missing[at]) for at, plan in sound.items()
        ]
        words = {plan.name: counts.words[index] for index, plan in sound.items() if counts.words[index]}
        table = {
            "rows": self.rows,
            "repair": job.request.repair,
            "columns": len(self._plans),
            "errors": len(self._faults),
            "arff_format": "Sparse_ARFF" if job.sparse else "ARFF",
            "target_attributes": job.request.target_attributes,
            "row_id_attribute": job.request.row_id_attribute,
            "ignore_attributes": job.request.ignore_attributes,
            "repairs": [asdict(repair) for repair in repairs_of(job, sound, self._left_out)],
            "warnings": warnings_of(job, sound, columns, words, self.rows),
            "first_rows": self._first_rows,
        }
        write_report(job.request.target, table, (self._column(index) for index in self._plans))
        return Profile(self.rows, len(self._plans), len(self._faults))

    def _column(self, index: int) -> dict[str, Any]:
        plan, fault = self._plans[index], self._faults.get(index)
        numbers = None if fault else self._numbers.states.get(index)
        lengths = None if fault else self._lengths.states.get(index)
        values = self._values.states[index]
        different = self._different(index, values.counts) if values.at_least is None else values.at_least
        alternatives = self.alternatives(index)
        return {
            "index": index,
            "file_name": self._job.file_names[index],
            "name": plan.name,
            "key": plan.name if index in self._namesakes else self._job.file_names[index],
            "type": self._kinds[index],
            "labels": plan.labels,
            "why": self._why(index, alternatives),
            "chosen": self._job.request.attributes.get(plan.name),
            "alternatives": [alternative.to_json() for alternative in alternatives],
            "missing": self._counts.missing[index],
            "distinct": different,
            "distinct_is_exact": values.at_least is None,
            "numbers": numbers.to_json() if numbers else None,
            "commonest": self._commonest(index) if self._has_commonest(index) else None,
            "lengths": lengths.to_json() if lengths else None,
            "error": fault.to_json() if fault else None,
        }

    def _why(self, index: int, alternatives: Sequence[Alternative]) -> str:
        if index in self._faults:
            return self._faults[index].message
        job, plan = self._job, self._plans[index]
        scan = job.scans[index]
        scan = scan.scan if isinstance(scan, Tried) else scan
        integer = next(each for each in alternatives if each.type == "integer")
        return reason(
            Evidence(
                plan,
                self.rows - self._counts.missing[index],
                self._fitting[index],
                job.request.attributes.get(plan.name),
                scan if isinstance(scan, InferredType) else None,
                self._stored(index),
                integer.fault,
                plan.name in job.request.target_attributes,
            )
        )

    def _stored(self, index: int) -> str | None:
        table = self._job.table
        if self._job.is_typed:
            return cast("ColumnarTable", table).file_types[index]
        return table.attributes[index].type if isinstance(table, ArffTable) else None

    def _has_commonest(self, index: int) -> bool:
        return index in self._faults or self._plans[index].kind not in _NUMBERS

    def _commonest(self, index: int) -> list[dict[str, Any]]:
        counts: dict[str, int] = {}
        for text, count in self._values.states[index].counts.items():
            value = self._value(index, text)
            if value is not None:
                counts[value] = counts.get(value, 0) + count
        found = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[: self._detail.commonest]
        return [{"value": shown(value), "count": count} for value, count in found]

    def _different(self, index: int, texts: Iterable[str]) -> int:
        values = {self._value(index, text) for text in texts} - {None}
        if self._has_commonest(index):
            return len(values)
        return len({float(value) for value in values if value is not None})

    def _value(self, index: int, text: str) -> str | None:
        """Return what is published of a text, or None if it stands for a missing value."""
        if index in self._faults:
            return text
        plan = self._plans[index]
        value = text if plan.kind == "string" or plan.is_plain else text.strip(BLANKS)
        return None if value in plan.missing_words else value

    def _refuse(self, index: int, fault: Fault) -> None:
        """Look at a column as text from here on; then no word in it is a missing value."""
        self._faults.setdefault(index, fault)
        self._plans[index] = ColumnPlan(self._plans[index].name, "string")
        self._counts.missing[index] -= self._counts.words[index]
        self._counts.words[index] = 0


class _Reading(NamedTuple):
    """How columns are read alike."""

    is_text: bool
    is_plain: bool
    words: frozenset[str]
    alone: int | None


class _DenseLook(_Look):
    """A table of dense rows, in any format."""

    def __init__(self, job: Job, report: ProgressSink) -> None:
        # A column without a name is an error that no choice of a type could mend.
        self._tried = {
            index: Tried(scan, job.table.names[index])
            for index, scan in enumerate(job.scans)
            if not isinstance(scan, Unnamed)
        }
        super().__init__(
            replace(job, scans=[self._tried.get(index, scan) for index, scan in enumerate(job.scans)]), report
        )
        self._unreadable: dict[int, Fault] = {}
        self._label_sets: dict[int, pa.Array] = {}
        for index in self._refused():
            self._kinds[index] = _asked(job.request, self._plans[index].name, self._faults[index])
        self._trials = Trials(job.request, self._plans, self._faults)
        inferred = {index for index, tried in self._tried.items() if isinstance(tried.scan, InferredType)}
        self._wholes = {index for index in inferred if self._plans[index].kind == "real"}
        texts = {index for index in inferred if self._plans[index].kind in {"string", "nominal"}}
        self._texts = texts - self._faults.keys()

    def run(self) -> None:
        job = self._job
        for block in ahead(self._blocks()):
            if job.is_typed or not job.must_see_all:
                check_sizes(job, block)
            if not job.is_typed and not job.must_see_all:
                see_all(job.scans, block)
                for index in self._refused():
                    self._trials.demote(index)
            self._see(block)
            self._report(Progress("profile", block.position, job.size))

    def alternatives(self, index: int) -> list[Alternative]:
        if index in self._unreadable:
            return [Alternative(kind, False, self._unreadable[index]) for kind in CHOICES]  # noqa: FBT003
        return self._trials.of(index, self._unwritable.get(index))

    def _blocks(self) -> Iterator[Block]:
        """Yield the rows as texts; a column that cannot be published in a block is told, and spelled anyhow."""
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
            fault = Fault.of(error)
            self._unreadable.setdefault(index, fault)
            return _as_it_is(block.columns[index])

    def _refused(self) -> list[int]:
        """Return the columns that their scans have refused since the last time."""
        new = {index: tried.fault for index, tried in self._tried.items() if index not in self._faults}
        refused = {index: fault for index, fault in new.items() if fault}
        for index, fault in refused.items():
            self._refuse(index, fault)
        return list(refused)

    def _see(self, block: Block) -> None:
        for index, fault in list(self._unreadable.items()):
            self._refuse(index, fault)
        self._trials.see(block)
        indices = list(self._plans)
        for start in range(0, len(indices), _COLUMNS_AT_ONCE):
            self._see_some(indices[start : start + _COLUMNS_AT_ONCE], block)
        self.rows += block.rows

    def _see_some(self, some: Sequence[int], block: Block) -> None:
        values = self._published(some, block)
        if not set(self._shown).isdisjoint(some):
            self._show(values, block.rows)
        for index, value in self._values.see({index: block.columns[index] for index in some}):
            self._trials.note(index, value, block)
        for index in some:
            if self._values.states[index].at_least is not None:
                self._trials.give_up(index)
        self._measure(values, block)

    def _measure(self, values: Mapping[int, pa.Array], block: Block) -> None:
        for index, cells in values.items():
            self._counts.missing[index] += cells.null_count
            self._counts.words[index] += cells.null_count - block.columns[index].null_count
        for pattern, indices in ((_WHOLE, self._wholes), (_NUMBER, self._texts)):
            for cells in Cells.stacked({index: values[index] for index in values if index in indices}):
                for index, count in cells.matches(pattern):
                    self._fitting[index] += count
        sound = {index: self._plans[index].kind for index in values if index not in self._faults}
        for cells in Cells.stacked({index: values[index] for index in sound if sound[index] in _NUMBERS}):
            self._numbers.see(cells)
        for cells in Cells.stacked({index: values[index] for index in sound if sound[index] == "string"}):
            self._lengths.see(cells)

    def _published(self, some: Sequence[int], block: Block) -> dict[int, pa.Array]:
        """Return the values of some columns, null where they are missing, and note what ARFF cannot carry."""
        values: dict[int, pa.Array] = {}
        for key, indices in self._groups(some, block).items():
            stack = Stack(block, indices)
            cells = stack.cells if key.is_plain else pc.utf8_trim(stack.cells, BLANKS)
            values.update(stack.split(without(key.words, cells)))
            if key.is_text and may_be_unsafe(stack.cells):
                for index in indices:
                    self._check_text(index, values[index], block)
        for index in some:
            labels = self._plans[index].labels
            if labels and isinstance(self._tried[index].scan, Settled):
                self._check_labels(index, labels, values, block)
        return values

    def _groups(self, some: Sequence[int], block: Block) -> dict[_Reading, list[int]]:
        """Put columns together that are read alike; long ones stand alone."""
        groups: dict[_Reading, list[int]] = {}
        for index in some:
            plan = self._plans[index]
            is_text = plan.kind == "string" and index not in self._unwritable
            alone = index if block.rows > LONG_COLUMN else None
            reading = _Reading(is_text, plan.is_plain or plan.kind == "string", plan.missing_words, alone)
            groups.setdefault(reading, []).append(index)
        return groups

    def _check_text(self, index: int, cells: pa.Array, block: Block) -> None:
        try:
            check_texts(cells)
        except UnfitError as unfit:
            fault = self._misfit(index, cells, unfit.position, unfit.fault, block)
            self._unwritable[index] = fault
            self._refuse(index, fault)

    def _check_labels(
        self, index: int, labels: Sequence[str], values: dict[int, pa.Array], block: Block
    ) -> None:
        cells = values[index]
        if index not in self._label_sets:
            self._label_sets[index] = pa.array(labels, pa.string())
        is_label = pc.or_(pc.is_null(cells), pc.is_in(cells, value_set=self._label_sets[index]))
        position = pc.index(is_label, value=False).as_py()
        if position >= 0:
            fault = "is not one of the column's labels"
            self._refuse(index, self._misfit(index, cells, position, fault, block))
            values[index] = block.columns[index]

    def _misfit(self, index: int, cells: pa.Array, position: int, fault: str, block: Block) -> Fault:
        value = cells[position].as_py()
        error = does_not_fit(self._plans[index].name, value, fault, block.first_row + position)
        return Fault.of(error, value)

    def _show(self, values: Mapping[int, pa.Array], rows: int) -> None:
        some = min(MOST_ROWS - len(self._first_rows), rows)
        if some:
            columns = [values[index].slice(0, some).to_pylist() for index in self._shown]
            self._first_rows += [[_cell(cell) for cell in row] for row in zip(*columns, strict=True)]


class _SparseLook(_Look):
    """An ARFF file of sparse rows: what a row does not state is zero, or the first label."""

    def __init__(self, job: Job, table: ArffTable, report: ProgressSink) -> None:
        super().__init__(job, report)
        self._table = table
        self._stated = dict.fromkeys(self._plans, 0)
        self._default = {index: plan.labels[0] if plan.labels else "0" for index, plan in self._plans.items()}
        self._trial_faults: dict[tuple[Choice, int], Fault] = {}

    def run(self) -> None:
        rows = SparseRows(self._plans)
        self._counts = rows.counts
        for block in self._table.sparse_blocks():
            # What is wrong with a row is found here.
            rows.encode(block)
            self._see(block)
            self._report(Progress("profile", block.position, self._job.size))
        self.rows = rows.counts.rows
        for index, plan in self._plans.items():
            zeros = self.rows - self._stated[index]
            if not zeros:
                continue
            self._values.add(index, self._default[index], zeros)
            if plan.kind in _NUMBERS:
                self._numbers.add_zeros(index, zeros)

    def alternatives(self, index: int) -> list[Alternative]:
        return [self._alternative(kind, index) for kind in CHOICES]

    def _alternative(self, kind: Choice, index: int) -> Alternative:
        own = self._plans[index].kind
        if kind in NUMBER_CHOICES:
            fault = self._trial_faults.get((kind, index))
            is_known = fault or own in {kind, "integer"} or self._values.states[index].at_least is None
            return Alternative(kind, fault is None if is_known else None, fault)
        message = (
            "The table has sparse rows, of which only numbers are read and labels that the file declares."
        )
        return Alternative(kind, False, Fault("sparse-types", message))  # noqa: FBT003

    def _see(self, block: SparseBlock) -> None:
        rows: list[int] = []
        columns: list[int] = []
        texts: list[str | None] = []
        for row, (line, text) in enumerate(block.rows, start=block.first_row):
            entries = {
                index: None if cell == MISSING else unquote(cell, line)
                for index, cell in entries_of(text, line).items()
            }
            rows += [row] * len(entries)
            columns += entries.keys()
            texts += entries.values()
            if len(self._first_rows) < MOST_ROWS:
                whole = self._default | entries
                self._first_rows.append([_cell(whole[index]) for index in self._shown])
        for index in columns:
            self._stated[index] += 1
        cells = Cells(pa.array(columns, pa.int64()), pa.array(texts, pa.string()))
        is_number = pa.array([self._plans[index].kind in _NUMBERS for index in columns], pa.bool_())
        self._numbers.see(Cells(cells.columns.filter(is_number), cells.cells.filter(is_number)))
        new = list(self._values.see_cells(cells))
        places: dict[tuple[int, str | None], int] = {}
        for row, index, value in zip(rows, columns, texts, strict=True):
            places.setdefault((index, value), row)
        for index, value in new:
            self._try(index, value, places[index, value])

    def _try(self, index: int, value: str, row: int) -> None:
        for kind in NUMBER_CHOICES:
            fault = number_fault(value, kind)
            if fault and (kind, index) not in self._trial_faults:
                error = does_not_fit(self._plans[index].name, value, fault, row)
                self._trial_faults[kind, index] = Fault.of(error, value)


def _as_it_is(column: pa.Array) -> pa.Array:
    """Return the texts of a column of numbers or points in time that cannot be published, as far as there are such."""
    try:
        texts = column.cast(pa.string())
    except pa.ArrowException:
        return pa.nulls(len(column), pa.string())
    return pc.if_else(pc.equal(texts, "nan"), pa.scalar(None, pa.string()), texts)


def _later_namesakes(names: Mapping[int, str]) -> set[int]:
    """Return the columns whose name in the file means an earlier one, or none."""
    seen = {""}
    later = set()
    for index, name in names.items():
        if name in seen:
            later.add(index)
        seen.add(name)
    return later


def _cell(cell: str | None) -> str | None:
    return cell if cell is None or len(cell) <= LONGEST_CELL else cell[: LONGEST_CELL - 1] + "…"


def _asked(request: ConversionRequest, name: str, fault: Fault) -> Kind:
    """Return the type that a column was meant to have, which its scan has refused."""
    declared = request.attributes.get(name, "real" if fault.slug == "not-finite" else "nominal")
    return next((kind for kind in ("string", "integer", "real") if kind == declared), "nominal")
