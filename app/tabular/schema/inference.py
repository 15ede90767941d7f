"""Type inference from every row.

Vectorised regular expressions drop simple numbers from a block of a column; the distinct values that are left, which
are few unless the column is text, are classified one by one in Python.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.reading import Doubt
from app.tabular.schema.categories import Categories
from app.tabular.schema.cells import (
    BLANKS,
    CellClass,
    Spelling,
    boolean_labels,
    classify,
)
from app.tabular.schema.declared import declared
from app.tabular.schema.labels import InferredLabels, target_labels
from app.tabular.schema.numbers import PLAIN, Notation, marked, notations_for, unsigned, without_simple
from app.tabular.schema.plan import ColumnPlan
from app.tabular.schema.scans import OpeningScan, Scan
from app.tabular.table import Block, position_of
from app.tabular.types import ConversionRequest, Repair, TabularError
from app.tabular.wording import counted, shortened

# A text that is not to become a number, as users of Excel write it.
_FORMULA = re.compile(r'="([^"]*)"')
# 1,5 and 1.234,5 and 1,234 and 1,234.5: whoever wrote it meant a number.
_LOCAL_NUMBER = re.compile(
    r"[+-]?\d+,\d+|[+-]?\d{1,3}(\.\d{3})+(,\d+)?|[+-]?\d{1,3}(,\d{3})+(\.\d+)?"
    r"|[+-]?\d{1,3}([ '\u2019\u00a0\u202f]\d{3})+([.,]\d+)?"
)
_MOST_ODD = 8
"""Different texts in a column of numbers; with more, it is one of text."""


class InferredType(OpeningScan):
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
        # Texts in a column that is numbers otherwise, with their counts.
        self._odd: dict[str, int] = {}
        # Whether each cell so far begins with a blank, as where a writer puts one behind each delimiter; and how many.
        self._is_padded = spelling.trims_texts
        self._padded = 0
        self._next_row = 0
        self._categories = Categories(name, spelling.categories)
        self.evidence: dict[CellClass, tuple[int, str]] = {}

    @property
    def is_settled(self) -> bool:
        """Whether the column is text as it stands, and its labels are not collected."""
        if not self._is_text or self._labels is not None or self._is_padded:
            return False
        return not self._categories.are_open

    @property
    def expected_pattern(self) -> str | None:
        """The pattern of the simple numbers found so far."""
        if self._labels or self._booleans or self._odd:
            return None
        notation = self._spelling.notation
        if "real" in self._seen:
            return notation.number_pattern
        return notation.integer_pattern if "whole" in self._seen else None

    @property
    def opening(self) -> Notation | None:
        """The notation of numbers, unless labels are collected."""
        return None if self._labels else self._spelling.notation

    def begin(self, block: Block, index: int, *, has_whole: bool, has_real: bool) -> None:
        """Process the first block; see `OpeningScan`."""
        self._categories.begin(block, index)
        self._seen |= {"whole"} if has_whole else set()
        self._seen |= {"real"} if has_real else set()
        # Numbers do not begin with blanks.
        self._is_padded = self._is_padded and not self._seen
        self._next_row = block.rows

    def update(self, column: pa.Array, first_row: int) -> None:
        """Classify the values of the next block."""
        if self._labels:
            self._labels.update(column, first_row)
        self._categories.update(column)
        cells = column.drop_null()
        if self._is_padded:
            self._look_at_blanks(cells, first_row)
            self._next_row = first_row + len(column)
        if self._is_text:
            return
        rest = self._without_numbers(cells)
        is_mostly_numbers = len(rest) * 2 <= len(cells)
        for value in pc.unique(rest).to_pylist():
            if not self._record(value, column, first_row):
                continue
            if self._booleans or not is_mostly_numbers or len(self._odd) >= _MOST_ODD:
                self._is_text = True
                return
            self._odd[value] = self._odd.get(value, 0) + pc.sum(pc.equal(rest, value)).as_py()

    def _look_at_blanks(self, cells: pa.Array, first_row: int) -> None:
        begins = pc.sum(pc.starts_with(cells, " ")).as_py() or 0
        self._padded += begins
        # What matched the pattern of numbers did not come here: it had no blanks.
        self._is_padded = begins == len(cells) and first_row == self._next_row

    def _without_numbers(self, column: pa.Array) -> pa.Array:
        """Return the cells that are not simple numbers, and record which of these there are."""
        if self._booleans:
            return column
        rest = column
        if "real" not in self._seen:
            rest = without_simple(column, self._spelling.notation.integer_pattern)
            if len(rest) < len(column):
                self._seen.add("whole")
        left = without_simple(rest, self._spelling.notation.number_pattern)
        if len(left) < len(rest):
            self._seen.add("real")
        return left

    def _record(self, value: str, column: pa.Array, first_row: int) -> bool:
        """Record one value, and return whether the column is text for it."""
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
            plan = self._labels.plan() if self._labels else self._plan_of_text()
            return replace(plan, doubts=(*self._categories.doubts(), *self._about_marks()))
        words = frozenset[str]() if self._is_plain else self._spelling.in_numbers
        return ColumnPlan(
            self.name,
            kind,
            missing_words=words,
            is_plain=self._is_plain,
            notation=self._spelling.notation,
        )

    def _plan_of_text(self) -> ColumnPlan:
        words = self._spelling.in_texts
        if not (self._padded and self._is_padded):
            advice = f"{self._about_blanks()} {self._advice()}".strip()
            return ColumnPlan(self.name, "string", missing_words=words, advice=advice)
        repair = Repair(
            self.name,
            f"Blanks around the texts of {self.name!r} were left out: each of them began with one.",
            'They stand behind the delimiters; declare the column as "string" to keep them.',
        )
        return ColumnPlan(self.name, "string", missing_words=words | {""}, is_plain=False, repairs=(repair,))

    def _about_marks(self) -> tuple[Doubt, ...]:
        """Return the doubt whether numbers are written as the first rows show, if later ones contradict that."""
        row, text = self.evidence.get("text", (0, ""))
        is_number = _LOCAL_NUMBER.fullmatch(text.strip(BLANKS)) or PLAIN.plain(text.strip(BLANKS))
        if self._spelling.notation.is_plain or not is_number or not self._seen & {"whole", "real"}:
            return ()
        mark = self._spelling.notation.decimal
        message = (
            f"The first rows show that {mark} is the decimal mark, but column {self.name!r} has {shortened(text)} in "
            f"row {row + 1}."
        )
        return (Doubt("decimal", message, (mark, "," if mark == "." else "."), self.name),)

    def _about_blanks(self) -> str:
        """Return a remark on blanks that only some of the texts begin with, or nothing."""
        if not self._padded:
            return ""
        return (
            f"Column {self.name!r} has {counted(self._padded, 'text')} or more that begin with a blank, beside others "
            "that do not; they are published as they stand."
        )

    def _advice(self) -> str:
        """Return a remark on a column of text that may have been meant as numbers, or nothing."""
        if self._is_text:
            return self._advice_on_text(*self.evidence.get("text", (0, "")))
        if self._odd:
            shown = ", ".join(
                f"{shortened(text)} ({counted(count, 'cell')})" for text, count in self._odd.items()
            )
            row, _ = self.evidence["text"]
            words = json.dumps([*self._odd, *self._spelling.listed], ensure_ascii=False)
            remedy = self._remedy(list(self._odd)) or (
                f"If they mean that there is no value, say in `reading` that `missing` is {words}."
            )
            return (
                f"Column {self.name!r} is published as text, for beside numbers it has, from row {row + 1} on, "
                f"{shown}. {remedy}"
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

    def _advice_on_text(self, row: int, text: str) -> str:
        """Return a remark on a column of text, of which this is the first one, or nothing."""
        if formula := _FORMULA.fullmatch(text):
            return (
                f"Column {self.name!r} is published as it stands: row {row + 1} has {shortened(text)}, which a "
                f"spreadsheet shows as {shortened(formula[1])}. To publish that, save the table from one as .xlsx."
            )
        remedy = self._remedy([text])
        return (
            f"Column {self.name!r} is published as text: row {row + 1} has {shortened(text)}. {remedy}"
            if remedy
            else ""
        )

    def _remedy(self, texts: Sequence[str]) -> str:
        """Return what makes numbers of texts that are written as people do, or nothing if they are not."""
        notation = self._spelling.notation
        if all(unsigned(text.strip(BLANKS), notation) for text in texts):
            return 'Declare it "real" to have numbers; what stands beside them is left out then.'
        stripped = [text.strip(BLANKS) for text in texts]
        if marks := notations_for(stripped, notation):
            named = " or that ".join(
                " and ".join(f"`{field}` is {json.dumps(mark)}" for field, mark in each.items())
                for each in marks
            )
            is_signed = any(unsigned(text, marked(notation, marks[0])) for text in stripped)
            declare = ', and declare it "real"; what stands beside them is left out then' if is_signed else ""
            return f"To have numbers, say in `reading` that {named}{declare}."
        if all(map(_LOCAL_NUMBER.fullmatch, stripped)):
            return "To have numbers, write all of them as 1234.5."
        return ""

    def _kind(self) -> Literal["integer", "real", "boolean", "string"]:
        if self._is_text or self._odd or "code" in self._seen:
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
                choices={"attributes": ["string"]},
            )


def scan_of(name: str, request: ConversionRequest, spelling: Spelling) -> Scan:
    """Return the scan of a column of cells whose type is not known, unless the owner declared it.

    Raises:
        TabularError: `unknown-type`, `bad-label`, `duplicate-label`, `too-many-labels`.
    """
    if name in request.attributes:
        return declared(name, request, spelling)
    return InferredType(name, target_labels(name, request, spelling), spelling)
