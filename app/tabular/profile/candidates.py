"""Which other types a column could be declared as, tried with the very scans that a declaration would get."""

from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.profile.alternatives import CHOICES, NUMBER_CHOICES, Alternative, Choice, Fault
from app.tabular.profile.stats import shown
from app.tabular.schema.cells import spelling_of
from app.tabular.schema.declared import declared_as
from app.tabular.schema.labels import InferredLabels
from app.tabular.schema.plan import ColumnPlan
from app.tabular.schema.scans import Scan, Settled, see_all
from app.tabular.table import Block
from app.tabular.types import ConversionRequest, Repair, TabularError

_LABELS: tuple[Choice, ...] = ("boolean", "nominal")


class Tried:
    """A scan whose refusal is kept, so that the other columns can still be looked at.

    Attributes:
        scan: the scan.
        fault: why it refused the column.
    """

    def __init__(self, scan: Scan, name: str) -> None:
        self.scan = scan
        self.fault: Fault | None = None
        self.must_see_all = scan.must_see_all
        self._name = name

    @property
    def is_settled(self) -> bool:
        """Whether nothing that may still come matters."""
        return self.fault is not None or self.scan.is_settled

    @property
    def usual(self) -> str | None:
        """The pattern of what the scan need not see."""
        return self.scan.usual

    def see(self, column: pa.Array, first_row: int) -> None:
        """Look at the next block."""
        try:
            self.scan.see(column, first_row)
        except TabularError as error:
            at = None if error.row is None else error.row - 1 - first_row
            value = column[at].as_py() if at is not None and 0 <= at < len(column) else None
            self.fault = Fault.of(error, None if value is None else str(value))

    def plan(self) -> ColumnPlan | Repair:
        """Return the plan; a column that was refused is looked at as text."""
        if self.fault is None:
            try:
                return self.scan.plan()
            except TabularError as error:
                self.fault = Fault.of(error)
        return ColumnPlan(self._name, "string")


class Trials:
    """All other types of all columns of a dense table."""

    def __init__(
        self, request: ConversionRequest, plans: Mapping[int, ColumnPlan], faulty: Mapping[int, Fault]
    ) -> None:
        """Prepare to try what is not known already: a column of whole numbers is one of real numbers."""
        self._request = request
        self._plans = plans
        self._faults: dict[tuple[Choice, int], Fault] = {}
        self._unknown: set[tuple[Choice, int]] = set()
        # What is decided is dropped: there may be 50 000 columns.
        self._labels: dict[Choice, dict[int, InferredLabels]] = {kind: {} for kind in _LABELS}
        self._numbers: dict[Choice, dict[int, Tried]] = {kind: {} for kind in NUMBER_CHOICES}
        self._nothing = Settled(ColumnPlan("", "string"))
        width = max(plans, default=-1) + 1
        self._scans: dict[Choice, list[Scan]] = {kind: [self._nothing] * width for kind in NUMBER_CHOICES}
        for index, plan in plans.items():
            for kind in _LABELS:
                labels = self._declared(kind, index)
                assert isinstance(labels, InferredLabels)  # noqa: S101 - what is declared so
                self._labels[kind][index] = labels
            for kind in NUMBER_CHOICES:
                if index in faulty or plan.kind not in {"integer", kind}:
                    self._try(kind, index)

    def _declared(self, kind: Choice, index: int) -> Scan:
        return declared_as(kind, self._plans[index].name, self._request, spelling_of(self._request.format))

    def _try(self, kind: Choice, index: int) -> None:
        tried = Tried(self._declared(kind, index), self._plans[index].name)
        self._numbers[kind][index] = self._scans[kind][index] = tried

    def see(self, block: Block) -> None:
        """Try the types of numbers with the next block."""
        for kind, scans in self._scans.items():
            see_all(scans, block)
            refused = {index: tried.fault for index, tried in self._numbers[kind].items() if tried.fault}
            for index, fault in refused.items():
                self._faults[kind, index] = fault
                scans[index] = self._nothing
                del self._numbers[kind][index]

    def note(self, index: int, value: str, block: Block) -> None:
        """Try the types that have labels with a value of a column that is met for the first time, in this block."""
        for kind, columns in self._labels.items():
            labels = columns.get(index)
            if labels is None:
                continue
            is_misfit = labels.add([value]) is not None
            if labels.is_settled:
                self._settle(kind, index)
            if is_misfit:
                row = block.first_row + pc.index(block.columns[index], value).as_py() + 1
                fault = self._faults[kind, index]
                self._faults[kind, index] = replace(fault, row=row, value=shown(value))

    def _settle(self, kind: Choice, index: int) -> None:
        """Note what a type with labels comes to."""
        try:
            self._labels[kind].pop(index).plan()
        except TabularError as error:
            self._faults[kind, index] = Fault.of(error)

    def demote(self, index: int) -> None:
        """Try all numbers from here on in a column of numbers that turned out to be none; what came before was."""
        for kind in NUMBER_CHOICES:
            if index not in self._numbers[kind] and (kind, index) not in self._faults:
                self._try(kind, index)

    def give_up(self, index: int) -> None:
        """Stop trying types with labels for a column of which no more values will be noted."""
        for kind, columns in self._labels.items():
            if columns.pop(index, None):
                self._unknown.add((kind, index))

    def of(self, index: int, unwritable: Fault | None) -> list[Alternative]:
        """Return what each type of a column would come to; `unwritable` is the first text that ARFF cannot carry."""
        for kind in _LABELS:
            if index in self._labels[kind]:
                self._settle(kind, index)
        faults: dict[Choice, Fault | None] = {kind: self._faults.get((kind, index)) for kind in CHOICES}
        faults["string"] = unwritable
        return [
            Alternative(kind, None if (kind, index) in self._unknown else fault is None, fault)
            for kind, fault in faults.items()
        ]
