"""Type inference from every row.

Vectorised regular expressions drop simple numbers from a block of a column; the distinct values that are left, which
are few unless the column is text, are classified one by one in Python.
"""

import re
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.schema.cells import (
    BLANKS,
    INTEGER_PATTERN,
    NUMBER_PATTERN,
    CellClass,
    Spelling,
    boolean_labels,
    classify,
)
from app.tabular.schema.labels import InferredLabels
from app.tabular.schema.plan import ColumnPlan
from app.tabular.table import position_of, without_matches
from app.tabular.types import TabularError
from app.tabular.wording import shortened

# 1,5 and 1.234,5 and 1,234 and 1,234.5: whoever wrote it meant a number.
_LOCAL_NUMBER = re.compile(r"[+-]?\d+,\d+|[+-]?\d{1,3}(\.\d{3})+(,\d+)?|[+-]?\d{1,3}(,\d{3})+(\.\d+)?")


class InferredType:
    """A column without a declared type; a target that is text becomes nominal.

    Attributes:
        evidence: the first cell of each class, except simple numbers: its row, from 0, and its text.
    """

    needs_all_rows = True

    def __init__(self, name: str, labels: InferredLabels | None, spelling: Spelling) -> None:
        self.name = name
        self._labels = labels
        self._spelling = spelling
        self._is_text = False
        self._is_plain = True
        self._seen: set[CellClass] = set()
        self._booleans: set[str] = set()
        self.evidence: dict[CellClass, tuple[int, str]] = {}

    @property
    def is_settled(self) -> bool:
        """Whether the column is text, and its labels are not collected."""
        return self._is_text and self._labels is None

    @property
    def expected_pattern(self) -> str | None:
        """The pattern of the simple numbers found so far."""
        if self._labels or self._booleans:
            return None
        return NUMBER_PATTERN if "real" in self._seen else INTEGER_PATTERN if "whole" in self._seen else None

    def update(self, column: pa.Array, first_row: int) -> None:
        """Take the next block."""
        if self._labels:
            self._labels.update(column, first_row)
        if self._is_text:
            return
        for value in pc.unique(self._without_numbers(column.drop_null())).to_pylist():
            self._is_text = self._record(value, column, first_row)
            if self._is_text:
                return

    def _without_numbers(self, column: pa.Array) -> pa.Array:
        """Return the cells that are not simple numbers, and record which of these there are."""
        if self._booleans:
            return column
        rest = column
        if "real" not in self._seen:
            rest = without_matches(column, INTEGER_PATTERN)
            if len(rest) < len(column):
                self._seen.add("whole")
        left = without_matches(rest, NUMBER_PATTERN)
        if len(left) < len(rest):
            self._seen.add("real")
        return left

    def _record(self, value: str, column: pa.Array, first_row: int) -> bool:
        """Record one value, and return whether the column is text."""
        cell_class = classify(value, self._spelling)
        self._seen.add(cell_class)
        if cell_class not in self.evidence:
            self.evidence[cell_class] = (first_row + position_of(column, value), value)
        if cell_class == "boolean":
            self._booleans.add(value)
        self._is_plain = self._is_plain and cell_class != "missing" and value.strip(BLANKS) == value
        is_mixed = bool(self._booleans) and not self._seen <= {"boolean", "missing"}
        return cell_class == "text" or is_mixed

    def plan(self) -> ColumnPlan:
        """Return the plan for the whole column; a column without values is real.

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
        """Return a remark on a column of text that may have been meant as numbers, or nothing."""
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
        """Refuse a column of numbers with an infinite value; a column of `inf` only is text."""
        if self._seen & {"whole", "real", "long"}:
            raise TabularError(
                "not-finite",
                f"The column holds numbers, but {shortened(value)} is not finite, and OpenML cannot store it.",
                row=row + 1,
                column=self.name,
                hint='Leave the cell empty (missing), or declare the column as "string".',
            )
