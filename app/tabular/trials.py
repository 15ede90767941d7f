"""Which other types a column could be declared as, tried with the very scans that a declaration would get."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.encode import ColumnPlan
from app.tabular.infer import InferredLabels, Scan, Settled, see_all
from app.tabular.plan import declared_as, spelling_of
from app.tabular.stats import shown
from app.tabular.table import Block
from app.tabular.types import ConversionRequest, Repair, TabularError

Choice = Literal["string", "integer", "real", "boolean", "nominal"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
_LABELS: tuple[Choice, ...] = ("boolean", "nominal")
NUMBER_CHOICES: tuple[Literal["integer", "real"], ...] = ("integer", "real")


@dataclass(frozen=True, slots=True)
class Fault:
    """What stands in the way of a type.

    Attributes:
        error: what the conversion would say.
        value: the first value that does not fit, if one is at fault.
    """

    error: TabularError
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Alternative:
    """One type that a column could be declared as.

    Attributes:
        type: as it would be declared.
        is_possible: whether the column would be accepted; None if it has too many values to say so beforehand.
        fault: why not.
    """

    type: Choice
    is_possible: bool | None
    fault: Fault | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, with the row and the value that are in the way."""
        return {
            "type": self.type,
            "possible": self.is_possible,
            "row": self.fault.error.row if self.fault else None,
            "value": shown(self.fault.value) if self.fault and self.fault.value is not None else None,
            "message": self.fault.error.message if self.fault else None,
        }


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
            self.fault = Fault(error, None if value is None else str(value))

    def plan(self) -> ColumnPlan | Repair:
        """Return the plan; a column that was refused is looked at as text."""
        if self.fault is None:
            try:
                return self.scan.plan()
            except TabularError as error:
                self.fault = Fault(error)
        return ColumnPlan(self._name, "string")


class Trials:
    """All other types of all columns of a dense table."""

    def __init__(
        self, request: ConversionRequest, plans: Mapping[int, ColumnPlan], faulty: Mapping[int, Fault]
    ) -> None:
        """Prepare to try what is not known already: a column of whole numbers is one of real numbers."""
        self._plans = plans
        self._numbers: dict[Choice, dict[int, Tried]] = {kind: {} for kind in NUMBER_CHOICES}
        self._labels: dict[Choice, dict[int, InferredLabels]] = {kind: {} for kind in _LABELS}
        self._label_faults: dict[tuple[Choice, int], Fault] = {}
        self._request = request
        width = max(plans, default=-1) + 1
        nothing = Settled(ColumnPlan("", "string"))
        self._scans: dict[Choice, list[Scan]] = {kind: [nothing] * width for kind in NUMBER_CHOICES}
        for index, plan in plans.items():
            for kind in _LABELS:
                labels = self._declared(kind, plan.name)
                assert isinstance(labels, InferredLabels)  # noqa: S101 - what is declared so
                self._labels[kind][index] = labels
            for kind in NUMBER_CHOICES:
                if index in faulty or plan.kind not in {"integer", kind}:
                    self._try(kind, index)

    def _declared(self, kind: Choice, name: str) -> Scan:
        return declared_as(kind, name, self._request, spelling_of(self._request.format))

    def _try(self, kind: Choice, index: int) -> None:
        name = self._plans[index].name
        self._numbers[kind][index] = self._scans[kind][index] = Tried(self._declared(kind, name), name)

    def see(self, block: Block) -> None:
        """Try the types of numbers with the next block."""
        for scans in self._scans.values():
            see_all(scans, block)

    def note(self, index: int, value: str, block: Block) -> None:
        """Try the types that have labels with a value of a column that is met for the first time, in this block."""
        for kind, columns in self._labels.items():
            labels = columns[index]
            if labels.is_settled or labels.add([value]) is None:
                continue
            try:
                labels.plan()
            except TabularError as error:
                error.row = block.first_row + pc.index(block.columns[index], value).as_py() + 1
                self._label_faults[kind, index] = Fault(error, value)

    def demote(self, index: int) -> None:
        """Try all numbers from here on in a column of numbers that turned out to be none; what came before was."""
        for kind in NUMBER_CHOICES:
            if index not in self._numbers[kind]:
                self._try(kind, index)

    def of(self, index: int, *, is_over: bool, unwritable: Fault | None) -> list[Alternative]:
        """Return what each type would come to.

        Args:
            index: of the column.
            is_over: whether it has more values than were counted.
            unwritable: the first text that ARFF cannot carry.
        """
        found = [Alternative("string", unwritable is None, unwritable)]
        for kind in NUMBER_CHOICES:
            tried = self._numbers[kind].get(index)
            fault = tried.fault if tried else None
            found.append(Alternative(kind, fault is None, fault))
        return found + [self._of_labels(kind, index, is_over=is_over) for kind in _LABELS]

    def _of_labels(self, kind: Choice, index: int, *, is_over: bool) -> Alternative:
        labels = self._labels[kind][index]
        if is_over and not labels.is_settled:
            return Alternative(kind, None)
        try:
            labels.plan()
        except TabularError as error:
            return Alternative(kind, False, self._label_faults.get((kind, index), Fault(error)))  # noqa: FBT003
        return Alternative(kind, True)  # noqa: FBT003
