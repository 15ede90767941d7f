"""Types by looking at every row.

A block of a column is peeled with vectorised regular expressions; only the different values that are left over, which
are few unless the column is text, are judged one by one in Python.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.cells import (
    BLANKS,
    Spelling,
    Verdict,
    boolean_labels,
    does_not_fit,
    in_order,
    judge,
    number_fault,
)
from app.tabular.encode import ColumnPlan
from app.tabular.names import label_fault, shortened, too_many_labels
from app.tabular.table import LONG_COLUMN, Block, Stack
from app.tabular.types import Kind, Repair, TabularError

# The patterns stop short of 2**53 and of 1e308, so that what they match needs no second look.
_INTEGER = r"^[+-]?(?:0|[1-9][0-9]{0,14})$"
_WHOLE = r"^[+-]?(?:0|[1-9][0-9]{0,14})\.0*$"
_NUMBER = (
    r"^[+-]?(?:(?:0|[1-9][0-9]{0,14})(?:\.[0-9]*)?|\.[0-9]+)"
    r"(?:[eE][+-]?(?:[01]?[0-9]{1,2}|2[0-8][0-9]))?$"
)


# 1,5 and 1.234,5 and 1,234 and 1,234.5: whoever wrote it meant a number.
_LOCAL_NUMBER = re.compile(r"[+-]?\d+,\d+|[+-]?\d{1,3}(\.\d{3})+(,\d+)?|[+-]?\d{1,3}(,\d{3})+(\.\d+)?")


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

    def plan(self) -> ColumnPlan | Repair:
        """Return how to write the column, or why it is left out."""
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
    if block.rows > LONG_COLUMN:
        columns = ((index, block.columns[index]) for index in indices)
        # Null counts as a match.
        return [
            index
            for index, column in columns
            if pc.all(pc.match_substring_regex(column, pattern)).as_py() is False
        ]
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
    """A column that nobody declared; a target that is text becomes nominal.

    Attributes:
        evidence: for each kind of cell but simple numbers, the first one: its row, from 0, and its text.
    """

    must_see_all = True

    def __init__(self, name: str, labels: "InferredLabels | None", spelling: Spelling) -> None:
        self.name = name
        self._labels = labels
        self._spelling = spelling
        self._is_text = False
        self._is_plain = True
        self._seen: set[Verdict] = set()
        self._booleans: set[str] = set()
        self.evidence: dict[Verdict, tuple[int, str]] = {}

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
        verdict = judge(value, self._spelling)
        self._seen.add(verdict)
        if verdict not in self.evidence:
            self.evidence[verdict] = (first_row + _row_of(column, value), value)
        if verdict == "boolean":
            self._booleans.add(value)
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
                self.name,
                "nominal",
                labels,
                missing_words=self._spelling.in_numbers,
                is_plain=self._is_plain,
            )
        if kind == "string":
            text = ColumnPlan(
                self.name, "string", missing_words=self._spelling.in_texts, advice=self._advice()
            )
            return self._labels.plan() if self._labels else text
        words = frozenset[str]() if self._is_plain else self._spelling.in_numbers
        return ColumnPlan(self.name, kind, missing_words=words, is_plain=self._is_plain)

    def _advice(self) -> str:
        """Say why a column that looks like numbers is published as text."""
        if self._is_text:
            _, text = self.evidence.get("text", (0, ""))
            if not _LOCAL_NUMBER.fullmatch(text):
                return ""
            return (
                f"Column {self.name!r} is published as text: {shortened(text)} has a decimal comma or "
                "separators between thousands. Write 1234.5 to have numbers."
            )
        if "code" in self._seen:
            return (
                f"Column {self.name!r} is published as text, so that its leading zeros stay; "
                'declare it "integer" to have numbers.'
            )
        if "long" in self._seen:
            return (
                f"Column {self.name!r} is published as text, for OpenML reads numbers beyond 2^53 with other digits; "
                'declare it "real" to have numbers.'
            )
        return ""

    def _kind(self) -> Literal["integer", "real", "boolean", "string"]:
        if self._is_text or "code" in self._seen:
            return "string"
        if self._booleans:
            return "boolean" if boolean_labels(self._booleans) else "string"
        if "infinite" in self.evidence:
            self._refuse_infinite(*self.evidence["infinite"])
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
        self,
        name: str,
        limit: int,
        missing_words: frozenset[str],
        *,
        is_boolean: bool = False,
        is_ordered: bool = False,
        repair: bool = True,
    ) -> None:
        """Expect at most `limit` labels.

        Args:
            name: of the column.
            limit: how many there may be.
            missing_words: cells that are no labels.
            is_boolean: whether they must be a pair of opposites.
            is_ordered: whether the order in which they are seen is theirs.
            repair: whether blanks around them may be left out.
        """
        self.name = name
        self._limit = limit
        self._missing_words = missing_words
        self._is_boolean = is_boolean
        self._is_ordered = is_ordered
        self._repair = repair
        # What is written, and what stands in the file, with its blanks.
        self._labels: dict[str, str] = {}
        self._has_blanks = False
        self._fault: TabularError | None = None

    @property
    def is_settled(self) -> bool:
        """Whether there are too many values already, or one that cannot be a label."""
        return self._fault is not None or len(self._labels) > self._limit

    def see(self, column: pa.Array, first_row: int) -> None:
        """Look at the next block."""
        value = self.add(pc.unique(column.drop_null()).to_pylist())
        if value is not None and self._fault:
            self._fault.row = first_row + _row_of(column, value) + 1

    def add(self, values: Iterable[str]) -> str | None:
        """Take values down, and return the first that cannot be a label."""
        for value in values:
            label = value.strip(BLANKS) if self._repair else value
            if self._labels.get(label) == value:
                continue
            if self.is_settled:
                return None
            if label in self._missing_words:
                self._has_blanks = self._has_blanks or label != value
                continue
            self._fault = self._take(label, value)
            if self._fault:
                return value
        return None

    def plan(self) -> ColumnPlan:
        """Return the plan: labels in order, or false before true.

        Raises:
            TabularError: `too-many-labels`, `empty-column`, and with the first row that holds it `bad-label` or
                `value-does-not-fit`.
        """
        if self._fault:
            raise self._fault
        if self.is_settled:
            raise too_many_labels(self.name, self._limit)
        if not self._labels:
            message = "A column without any value has no labels."
            raise TabularError("empty-column", message, column=self.name)
        labels = boolean_labels(self._labels) if self._is_boolean else tuple(self._labels)
        if not self._is_boolean and not self._is_ordered:
            labels = in_order(self._labels)
        return ColumnPlan(
            self.name,
            "nominal",
            labels,
            missing_words=self._missing_words,
            is_plain=not self._has_blanks,
            repairs=(_without_blanks(self.name),) if self._has_blanks else (),
        )

    def _take(self, label: str, value: str) -> TabularError | None:
        """Take a new value down, and return what keeps it from being a label."""
        if label in self._labels:
            return self._bad_label(value, "differs from another label in blanks only")
        self._labels[label] = value
        self._has_blanks = self._has_blanks or label != value
        if not self._is_boolean:
            fault = label_fault(label)
            return self._bad_label(value, fault) if fault else None
        if boolean_labels(self._labels) is None:
            return does_not_fit(self.name, value, "is not one of two opposites such as true and false", 0)
        return None

    def _bad_label(self, value: str, fault: str) -> TabularError:
        return TabularError(
            "bad-label",
            f"{shortened(value)} cannot be a label on OpenML: it {fault}.",
            column=self.name,
            hint='Change it, or declare the column as "string".',
        )


class Unnamed:
    """A column without a name: a row index or nothing at all, and then it is left out, or else an error."""

    must_see_all = True
    usual = None

    def __init__(self, position: int) -> None:
        """Expect the column at this position, from 1; only the first one may be an index."""
        self._position = position
        # The number of the first row, as pandas (0) or R (1) counts; None if the column holds something else.
        self._starts = {0, 1} if position == 1 else set[int]()
        self._is_empty = True

    @property
    def is_settled(self) -> bool:
        """Whether the column is known to hold something."""
        return not self._is_empty and not self._starts

    def see(self, column: pa.Array, first_row: int) -> None:
        """Compare the next block with the numbers of its rows."""
        self._is_empty = self._is_empty and column.null_count == len(column)
        for start in tuple(self._starts):
            first = first_row + start
            numbers = pa.array(range(first, first + len(column))).cast(pa.string())
            if not column.equals(numbers):
                self._starts.discard(start)

    def plan(self) -> Repair:
        """Return why the column is left out.

        Raises:
            TabularError: `bad-column-name`.
        """
        if self._starts and not self._is_empty:
            return Repair(
                column="",
                change="The first column, which had no name, was left out.",
                reason="It held the numbers of the rows, as pandas and R write them.",
            )
        if self._is_empty:
            return Repair(
                column="",
                change=f"Column {self._position}, which had no name, was left out.",
                reason="It held no value at all, as a delimiter at the end of each row makes it.",
            )
        raise TabularError(
            "bad-column-name",
            f"Column {self._position} has no name.",
            hint="Name it; a row index of pandas is left out by to_csv(index=False).",
        )


def _without_blanks(name: str) -> Repair:
    return Repair(
        column=name,
        change=f"Blanks around the labels of {name!r} were left out.",
        reason="OpenML does not keep them.",
    )


def _unmatched(column: pa.Array, pattern: str) -> pa.Array:
    return column.filter(pc.invert(pc.match_substring_regex(column, pattern)))


def _row_of(column: pa.Array, value: str) -> int:
    row: int = pc.index(column, value).as_py()
    return row
