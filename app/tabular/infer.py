"""Types by looking at every row.

A block of a column is peeled with vectorised regular expressions; only the different values that are left over, which
are few unless the column is text, are judged one by one in Python.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.cells import (
    BLANKS,
    MISSING_WORDS,
    NUMBER_MISSING,
    Verdict,
    boolean_labels,
    does_not_fit,
    in_order,
    judge,
    number_fault,
)
from app.tabular.encode import ColumnPlan
from app.tabular.names import label_fault, shortened, too_many_labels
from app.tabular.table import Block, Stack
from app.tabular.types import Kind, TabularError

# The patterns stop short of 2**53 and of 1e308, so that what they match needs no second look.
_INTEGER = r"^[+-]?(?:0|[1-9][0-9]{0,14})$"
_WHOLE = r"^[+-]?(?:0|[1-9][0-9]{0,14})\.0*$"
_NUMBER = (
    r"^[+-]?(?:(?:0|[1-9][0-9]{0,14})(?:\.[0-9]*)?|\.[0-9]+)"
    r"(?:[eE][+-]?(?:[01]?[0-9]{1,2}|2[0-8][0-9]))?$"
)


class Scan(Protocol):
    """Looks at a column block by block, then says how to write it."""

    @property
    def must_see_all(self) -> bool:
        """Whether the plan depends on the rows; if not, they are only checked."""
        ...

    @property
    def is_settled(self) -> bool:
        """Whether nothing that may still come matters."""
        ...

    @property
    def usual(self) -> str | None:
        """A pattern: a block in which it matches every value has nothing new to tell."""
        ...

    def see(self, column: pa.Array, first_row: int) -> None:
        """Look at the next block, whose first row is number `first_row` (from 0)."""
        ...

    def plan(self) -> ColumnPlan | None:
        """Return how to write the column, or None to leave it out."""
        ...


def see_all(scans: Sequence[Scan], block: Block) -> None:
    """Let the scans look at their columns of a block, but for those that have nothing new to tell.

    Raises:
        TabularError: what the scans raise.
    """
    groups: dict[str | None, list[int]] = {}
    for index, scan in enumerate(scans):
        if not scan.is_settled:
            groups.setdefault(scan.usual, []).append(index)
    for pattern, indices in groups.items():
        for index in _unusual(block, indices, pattern):
            scans[index].see(block.columns[index], block.first_row)


def _unusual(block: Block, indices: Sequence[int], pattern: str | None) -> Sequence[int]:
    if pattern is None:
        return indices
    stack = Stack(block, indices)
    return stack.columns_with(pc.invert(pc.match_substring_regex(stack.cells, pattern)))


class Settled:
    """A column about which there is nothing to find out; what does not fit is noticed in writing."""

    must_see_all = False
    is_settled = True
    usual = None

    def __init__(self, plan: ColumnPlan) -> None:
        self._plan = plan

    def see(self, column: pa.Array, first_row: int) -> None:
        """Look away."""

    def plan(self) -> ColumnPlan:
        """Return the plan."""
        return self._plan


class InferredType:
    """A column that nobody declared; a target that is text becomes nominal."""

    must_see_all = True

    def __init__(self, name: str, labels: "InferredLabels | None") -> None:
        self.name = name
        self._labels = labels
        self._is_text = False
        self._is_plain = True
        self._seen: set[Verdict] = set()
        self._booleans: set[str] = set()
        self._infinite: tuple[int, str] | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the column is text, and not a target whose labels are wanted."""
        return self._is_text and self._labels is None

    @property
    def usual(self) -> str | None:
        """The pattern of the simple numbers that were seen before."""
        if self._labels or self._booleans:
            return None
        return _NUMBER if "real" in self._seen else _INTEGER if "whole" in self._seen else None

    def see(self, column: pa.Array, first_row: int) -> None:
        """Look at the next block."""
        if self._labels:
            self._labels.see(column, first_row)
        if self._is_text:
            return
        for value in pc.unique(self._peel(column.drop_null())).to_pylist():
            self._is_text = self._note(value, column, first_row)
            if self._is_text:
                return

    def _peel(self, column: pa.Array) -> pa.Array:
        """Return what is not a simple number."""
        if self._booleans:
            return column
        rest = column
        if "real" not in self._seen:
            rest = _unmatched(column, _INTEGER)
            if len(rest) < len(column):
                self._seen.add("whole")
        left = _unmatched(rest, _NUMBER)
        if len(left) < len(rest):
            self._seen.add("real")
        return left

    def _note(self, value: str, column: pa.Array, first_row: int) -> bool:
        """Take one value down, and return whether the column is text."""
        verdict = judge(value)
        self._seen.add(verdict)
        if verdict == "boolean":
            self._booleans.add(value)
        elif verdict == "infinite" and self._infinite is None:
            self._infinite = (first_row + _row_of(column, value), value)
        self._is_plain = self._is_plain and verdict != "missing" and value.strip(BLANKS) == value
        is_mixed = bool(self._booleans) and not self._seen <= {"boolean", "missing"}
        return verdict == "text" or is_mixed

    def plan(self) -> ColumnPlan:
        """Return the plan for the whole column; one without any value is real.

        Raises:
            TabularError: `not-finite`; for a target that is text also what `InferredLabels.plan` raises.
        """
        kind = self._kind()
        if kind == "boolean":
            labels = boolean_labels(self._booleans)
            return ColumnPlan(
                self.name, "nominal", labels, missing_words=NUMBER_MISSING, is_plain=self._is_plain
            )
        if kind == "string":
            text = ColumnPlan(self.name, "string", missing_words=MISSING_WORDS)
            return self._labels.plan() if self._labels else text
        words = frozenset[str]() if self._is_plain else NUMBER_MISSING
        return ColumnPlan(self.name, kind, missing_words=words, is_plain=self._is_plain)

    def _kind(self) -> Literal["integer", "real", "boolean", "string"]:
        if self._is_text or "code" in self._seen:
            return "string"
        if self._booleans:
            return "boolean" if boolean_labels(self._booleans) else "string"
        if self._infinite:
            self._refuse_infinite(*self._infinite)
            return "string"
        if "real" in self._seen or self._seen <= {"missing"}:
            return "real"
        return "string" if "long" in self._seen else "integer"

    def _refuse_infinite(self, row: int, value: str) -> None:
        """Refuse a column of numbers; one that says `inf` and nothing else is text."""
        if self._seen & {"whole", "real", "long"}:
            raise TabularError(
                "not-finite",
                f"The column holds numbers, but {shortened(value)} is not finite, and OpenML cannot store it.",
                row=row + 1,
                column=self.name,
                hint='Leave the cell empty (missing), or declare the column as "string".',
            )


class DeclaredNumber:
    """A column that was declared to hold numbers: every cell must be one that all readers of ARFF read alike."""

    is_settled = False

    def __init__(self, name: str, kind: Kind, missing_words: frozenset[str]) -> None:
        self.name = name
        # Without words for missing values, a cell is a number as it stands or an error.
        self.must_see_all = bool(missing_words)
        self._kind = kind
        self._missing_words = missing_words
        self._is_plain = True
        self.usual = _INTEGER if kind == "integer" else _NUMBER

    def see(self, column: pa.Array, first_row: int) -> None:
        """Look at the next block.

        Raises:
            TabularError: `value-does-not-fit`.
        """
        rest = _unmatched(column.drop_null(), self.usual)
        if self._kind == "integer":
            rest = _unmatched(rest, _WHOLE)
        for value in pc.unique(rest).to_pylist():
            text = value.strip(BLANKS) if self._missing_words else value
            is_missing = text in self._missing_words
            self._is_plain = self._is_plain and not is_missing and text == value
            fault = None if is_missing else number_fault(text, self._kind)
            if fault:
                raise does_not_fit(self.name, value, fault, first_row + _row_of(column, value))

    def plan(self) -> ColumnPlan:
        """Return the plan."""
        words = frozenset[str]() if self._is_plain else self._missing_words
        return ColumnPlan(self.name, self._kind, missing_words=words, is_plain=self._is_plain)


class InferredLabels:
    """The different values of a column that is, or may become, nominal."""

    must_see_all = True
    usual = None

    def __init__(
        self, name: str, limit: int, missing_words: frozenset[str], *, is_boolean: bool = False
    ) -> None:
        self.name = name
        self._limit = limit
        self._missing_words = missing_words
        self._is_boolean = is_boolean
        self._first_rows: dict[str, int] = {}

    @property
    def is_settled(self) -> bool:
        """Whether there are too many values already."""
        return len(self._first_rows) > self._limit

    def see(self, column: pa.Array, first_row: int) -> None:
        """Look at the next block."""
        for value in pc.unique(column.drop_null()).to_pylist():
            if self.is_settled:
                return
            if value not in self._first_rows and value not in self._missing_words:
                self._first_rows[value] = first_row + _row_of(column, value)

    def plan(self) -> ColumnPlan:
        """Return the plan: labels in order, or false before true.

        Raises:
            TabularError: `too-many-labels`, `empty-column`, and with the first row that holds it `bad-label` or
                `value-does-not-fit`.
        """
        if self.is_settled:
            raise too_many_labels(self.name, self._limit)
        if not self._first_rows:
            message = "A column without any value has no labels."
            raise TabularError("empty-column", message, column=self.name)
        labels = self._boolean_labels() if self._is_boolean else self._labels()
        return ColumnPlan(self.name, "nominal", labels, missing_words=self._missing_words)

    def _labels(self) -> tuple[str, ...]:
        for label, row in self._first_rows.items():
            if fault := label_fault(label):
                raise TabularError(
                    "bad-label",
                    f"{shortened(label)} cannot be a label on OpenML: it {fault}.",
                    row=row + 1,
                    column=self.name,
                    hint='Change it, or declare the column as "string".',
                )
        return in_order(self._first_rows)

    def _boolean_labels(self) -> tuple[str, str]:
        known: list[str] = []
        labels = None
        for value, row in self._first_rows.items():
            known.append(value)
            labels = boolean_labels(known)
            if labels is None:
                raise does_not_fit(
                    self.name, value, "is not one of two opposites such as true and false", row
                )
        return labels or ("false", "true")


class RowNumbers:
    """A column without a name: the row index that pandas writes, which is left out, or else an error."""

    must_see_all = True
    is_settled = False
    usual = None

    def see(self, column: pa.Array, first_row: int) -> None:
        """Compare the next block with the numbers of its rows, from 0.

        Raises:
            TabularError: `bad-column-name`.
        """
        numbers = pa.array(range(first_row, first_row + len(column))).cast(pa.string())
        if not column.equals(numbers):
            raise TabularError(
                "bad-column-name",
                "Column 1 has no name.",
                hint="Name it; a row index of pandas is left out by to_csv(index=False).",
            )

    def plan(self) -> None:
        """Return None: the order of the rows says the same."""


def _unmatched(column: pa.Array, pattern: str) -> pa.Array:
    return column.filter(pc.invert(pc.match_substring_regex(column, pattern)))


def _row_of(column: pa.Array, value: str) -> int:
    row: int = pc.index(column, value).as_py()
    return row
