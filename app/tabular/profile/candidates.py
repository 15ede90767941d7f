"""Type candidates: whether other types could be declared, checked with the scans that a declaration would get."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import accumulate, chain
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.profile.alternatives import CHOICES, NUMBER_CHOICES, Choice, TypeAlternative, TypeViolation
from app.tabular.schema.cells import Spelling
from app.tabular.schema.declared import declared_as
from app.tabular.schema.labels import InferredLabels, are_plain_labels
from app.tabular.schema.numbers import Notation
from app.tabular.schema.plan import ColumnPlan
from app.tabular.schema.scans import KnownType, OpeningScan, Scan, update_scans
from app.tabular.table import Block
from app.tabular.types import ConversionRequest, Repair, TabularError

_LABELS: tuple[Choice, ...] = ("boolean", "nominal")


class CandidateScan(OpeningScan):
    """A scan whose error is recorded instead of raised, so that the other columns are still profiled.

    Attributes:
        scan: the wrapped scan.
        fault: its error, once it has refused the column.
    """

    def __init__(self, scan: Scan, name: str) -> None:
        self.scan = scan
        self.fault: TypeViolation | None = None
        self.needs_all_rows = scan.needs_all_rows
        self._name = name

    @property
    def is_settled(self) -> bool:
        """Whether further blocks cannot change the result."""
        return self.fault is not None or self.scan.is_settled

    @property
    def expected_pattern(self) -> str | None:
        """As `Scan.expected_pattern`."""
        return self.scan.expected_pattern

    @property
    def opening(self) -> Notation | None:
        """As `OpeningScan.opening`."""
        return self.scan.opening if isinstance(self.scan, OpeningScan) else None

    def begin(self, block: Block, index: int, *, has_whole: bool, has_real: bool) -> None:
        """Process the first block; see `OpeningScan`."""
        cast("OpeningScan", self.scan).begin(block, index, has_whole=has_whole, has_real=has_real)

    def update(self, column: pa.Array, first_row: int) -> None:
        """Process the next block; see `Scan`."""
        try:
            self.scan.update(column, first_row)
        except TabularError as error:
            at = None if error.row is None else error.row - 1 - first_row
            value = _shown(column[at]) if at is not None and 0 <= at < len(column) else None
            self.fault = TypeViolation.of(error, value)

    def plan(self) -> ColumnPlan | Repair | None:
        """Return the plan; a refused column is planned as text."""
        if self.fault is None:
            try:
                return self.scan.plan()
            except TabularError as error:
                self.fault = TypeViolation.of(error)
        return ColumnPlan(self._name, "string")


class TypeCandidates:
    """The other types of all columns of a dense table."""

    def __init__(
        self,
        request: ConversionRequest,
        plans: Mapping[int, ColumnPlan],
        faulty: Mapping[int, TypeViolation],
        spelling: Spelling,
    ) -> None:
        """Prepare to check what is not known already; a column of integers is known to be one of reals."""
        self._request = request
        self._spelling = spelling
        self._plans = plans
        self._faults: dict[tuple[Choice, int], TypeViolation] = {}
        self._unknown: set[tuple[Choice, int]] = set()
        # Entries are dropped once decided: there may be 50 000 columns.
        self._labels: dict[Choice, dict[int, InferredLabels]] = {kind: {} for kind in _LABELS}
        self._numbers: dict[Choice, dict[int, CandidateScan]] = {kind: {} for kind in NUMBER_CHOICES}
        self._nothing = KnownType(ColumnPlan("", "string"))
        width = max(plans, default=-1) + 1
        self._scans: dict[Choice, list[Scan]] = {kind: [self._nothing] * width for kind in NUMBER_CHOICES}
        for index, plan in plans.items():
            for kind in _LABELS:
                labels = self._declared(kind, index)
                assert isinstance(labels, InferredLabels)  # noqa: S101 - what is declared so
                self._labels[kind][index] = labels
            for kind in NUMBER_CHOICES:
                if index in faulty or plan.kind not in {"integer", kind}:
                    self._add_candidate(kind, index)

    def _declared(self, kind: Choice, index: int) -> Scan:
        return declared_as(kind, self._plans[index].name, self._request, self._spelling)

    def _add_candidate(self, kind: Choice, index: int) -> None:
        candidate = CandidateScan(self._declared(kind, index), self._plans[index].name)
        self._numbers[kind][index] = self._scans[kind][index] = candidate

    def update(self, block: Block) -> None:
        """Check the number types against the next block."""
        for kind, scans in self._scans.items():
            update_scans(scans, block)
            refused = {
                index: candidate.fault for index, candidate in self._numbers[kind].items() if candidate.fault
            }
            for index, fault in refused.items():
                self._faults[kind, index] = fault
                scans[index] = self._nothing
                del self._numbers[kind][index]

    def add_values(self, new: Mapping[int, Sequence[str]], block: Block) -> None:
        """Check the types with labels against values that first occur in this block, by column and in their order."""
        checked = [index for index in new if any(index in columns for columns in self._labels.values())]
        odd = _with_odd_labels({index: new[index] for index in checked})
        for kind, columns in self._labels.items():
            for index in checked:
                labels = columns.get(index)
                if labels is None or (index not in odd and labels.took_plain(new[index])):
                    continue
                violation = labels.add(new[index])
                if labels.is_settled:
                    row = None if violation is None else _row_of(violation, index, block)
                    self._decide_labels(kind, index, violation, row)

    def _decide_labels(
        self, kind: Choice, index: int, value: str | None = None, row: int | None = None
    ) -> None:
        """Record whether a type with labels is possible; if not for a value, the row in which that is first."""
        try:
            self._labels[kind].pop(index).plan()
        except TabularError as error:
            error.row = row
            self._faults[kind, index] = TypeViolation.of(error, value)
            # The labels hold their error, and by its frames the error would hold them.
            error.__traceback__ = None

    def check_all_numbers(self, index: int) -> None:
        """Check both number types from here on, for a column of numbers that was refused; earlier rows were numbers."""
        for kind in NUMBER_CHOICES:
            if index not in self._numbers[kind] and (kind, index) not in self._faults:
                self._add_candidate(kind, index)

    def drop_labels(self, indices: AbstractSet[int]) -> None:
        """Stop checking types with labels for columns whose further values are not added."""
        for kind, columns in self._labels.items():
            for index in columns.keys() & indices:
                del columns[index]
                self._unknown.add((kind, index))

    def alternatives_of(self, index: int) -> list[TypeAlternative]:
        """Return a `TypeAlternative` for each type that the column could have; text is always possible."""
        for kind in _LABELS:
            if index in self._labels[kind]:
                self._decide_labels(kind, index)
        faults: dict[Choice, TypeViolation | None] = {
            kind: self._faults.get((kind, index)) for kind in CHOICES
        }
        return [
            TypeAlternative(kind, None if (kind, index) in self._unknown else fault is None, fault)
            for kind, fault in faults.items()
        ]


def _with_odd_labels(values: Mapping[int, Sequence[str]]) -> set[int]:
    """Return the columns of which some value may not be a label as it stands."""
    texts = pa.array(chain.from_iterable(values.values()), pa.string())
    places = pc.indices_nonzero(pc.invert(are_plain_labels(texts))).to_pylist()
    ends = list(accumulate(map(len, values.values())))
    columns = list(values)
    return {columns[bisect_right(ends, place)] for place in places}


def _row_of(value: str, index: int, block: Block) -> int:
    """Return the row, from 1, in which a value of a column is first."""
    cells = block.columns[index]
    at: int = 0 if cells[0].as_py() == value else pc.index(cells, value).as_py()
    return block.first_row + at + 1


def _shown(cell: pa.Scalar) -> str | None:
    """Return a cell as text: of a moment that Python has no type for (beyond the year 9999), as Arrow writes it."""
    try:
        value = cell.as_py()
    except (OverflowError, ValueError):
        value = cell.cast(pa.string()).as_py()
    return None if value is None else str(value)
