"""Sparse ARFF rows: `{index value, ...}`, with zero wherever no value is stated.

Written so that all readers agree: indices ascend, a row without entries says `0 0`, and nominal columns are always
stated, for the upload check refuses rows that leave one out (to Weka and liac-arff, such a row means the first label).
"""

import re
from collections.abc import Mapping

from app.tabular.arff.syntax import BARE, BLANKS, QUOTED, refuse, unquote
from app.tabular.arff.tokens import MISSING, tokens_of
from app.tabular.schema.cells import does_not_fit, number_fault
from app.tabular.schema.names import not_a_label
from app.tabular.schema.plan import ColumnPlan, RowCounts
from app.tabular.table import SparseBlock
from app.tabular.types import TabularError
from app.tabular.wording import shortened

_ENTRY = re.compile(rf"[ \t]*([0-9]{{1,9}})[ \t]+({QUOTED}|{BARE})[ \t]*,")


class SparseRows:
    """Validates sparse rows and encodes them canonically.

    Attributes:
        counts: of the rows encoded so far.
    """

    def __init__(self, plans: Mapping[int, ColumnPlan], width: int) -> None:
        """Prepare for rows of `width` columns, of which those in `plans` are written.

        Raises:
            TabularError: `sparse-text`, if one of them is text.
        """
        self.counts = RowCounts(plans)
        self._plans = plans
        self._width = width
        self._places = {index: place for place, index in enumerate(plans)}
        self._tokens: dict[int, dict[str, str]] = {}
        for index, plan in plans.items():
            if plan.kind == "string":
                message = "OpenML refuses sparse rows that state a text."
                hint = "Save the table as dense rows, or leave the column out."
                choices = {"leave_out": [plan.name]}
                raise TabularError("sparse-text", message, column=plan.name, hint=hint, choices=choices)
            if plan.labels:
                self._tokens[index] = tokens_of(plan.labels)
        self._first_labels = {index: next(iter(tokens.values())) for index, tokens in self._tokens.items()}

    def encode(self, block: SparseBlock) -> bytes:
        """Return the lines of a block.

        Raises:
            TabularError: `invalid-arff` or `value-does-not-fit`.
        """
        lines = []
        for row, (line, text) in enumerate(block.rows, start=block.first_row):
            stated = {
                index: self._token(index, cell, line, row)
                for index, cell in self.entries_of(text, line).items()
            }
            entries = self._first_labels | stated
            body = ",".join(f"{self._places[index]} {entries[index]}" for index in sorted(entries))
            lines.append(f"{{{body or '0 0'}}}\n")
        self.counts.rows += len(lines)
        return "".join(lines).encode()

    def entries_of(self, text: str, line: int) -> dict[int, str]:
        """Return the tokens of a row by index, of columns that are written.

        Raises:
            TabularError: `invalid-arff`.
        """
        entries = split_row(text, line)
        beyond = next((index for index in entries if index >= self._width), None)
        if beyond is not None:
            refuse(f"The index {beyond} is beyond the last attribute, {self._width - 1}.", line)
        return {index: cell for index, cell in entries.items() if index in self._plans}

    def _token(self, index: int, cell: str, line: int, row: int) -> str:
        if cell == MISSING:
            self.counts.missing[index] += 1
            return MISSING
        plan = self._plans[index]
        value = unquote(cell, line)
        if plan.labels:
            if value not in self._tokens[index]:
                raise not_a_label(value, plan.labels, plan.name, row)
            return self._tokens[index][value]
        if fault := number_fault(value, plan.kind):
            raise does_not_fit(plan.name, value, fault, row)
        self.counts.squares.add_number(index, row, value)
        return value


def split_row(text: str, line: int) -> dict[int, str]:
    """Split a row into indices and tokens.

    Raises:
        TabularError: `invalid-arff`.
    """
    if not text.endswith("}"):
        refuse("A sparse row must end with a brace.", line)
    body = text[1:-1].strip(BLANKS)
    body += "," if body else ""
    entries: dict[int, str] = {}
    at = 0
    while at < len(body):
        match = _ENTRY.match(body, at)
        if match is None:
            refuse(f"{shortened(body[at:-1])} is not an index and a value.", line)
        index = int(match[1])
        if index in entries:
            refuse(f"The index {index} is stated twice.", line)
        entries[index] = match[2]
        at = match.end()
    return entries
