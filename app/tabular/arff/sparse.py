"""Sparse ARFF rows: `{index value, ...}`, with zero wherever no value is stated.

Written so that all readers agree: indices ascend, a row without entries says `0 0`, and nominal columns are always
stated, for the upload check refuses rows that leave one out (to Weka and liac-arff, such a row means the first label).
"""

import re
from collections.abc import Callable, Iterator, Mapping

from app.tabular.arff.syntax import BARE, BLANKS, QUOTED, refuse, unquote
from app.tabular.arff.tokens import MISSING, tokens_of
from app.tabular.schema.cells import does_not_fit, number_fault
from app.tabular.schema.names import not_a_label
from app.tabular.schema.plan import ColumnPlan, RowCounts
from app.tabular.table import SparseBlock
from app.tabular.types import TabularError
from app.tabular.wording import shortened

_ENTRY = re.compile(rf"[ \t]*([0-9]{{1,9}})[ \t]+({QUOTED}|{BARE})[ \t]*,")
_BARE_ENTRIES = re.compile(rf"(?:[0-9]{{1,9}} {BARE},)*")
# Numbers that need no closer look: their size and their digits are within all bounds.
_PLAIN_WHOLE = re.compile(r"-?[0-9]{1,15}")
_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,30})?")


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
        self._is_token = {index: self._test_of(index) for index in plans}

    def encode(self, block: SparseBlock) -> bytes:
        """Return the lines of a block.

        Raises:
            TabularError: `invalid-arff` or `value-does-not-fit`.
        """
        lines = []
        for stated in self.stated(block):
            entries = self._first_labels | stated
            body = ",".join([f"{self._places[index]} {entries[index]}" for index in sorted(entries)])
            lines.append(f"{{{body or '0 0'}}}\n")
        return "".join(lines).encode()

    def stated(self, block: SparseBlock) -> Iterator[dict[int, str]]:
        """Yield what each row states: by index, the tokens of columns that are written.

        Raises:
            TabularError: `invalid-arff` or `value-does-not-fit`.
        """
        is_token = self._is_token
        for row, (line, text) in enumerate(block.rows, start=block.first_row):
            entries = split_row(text, line)
            if max(entries, default=-1) >= self._width:
                beyond = next(index for index in entries if index >= self._width)
                refuse(f"The index {beyond} is beyond the last attribute, {self._width - 1}.", line)
            yield {
                index: cell if is_token[index](cell) else self._token(index, cell, line, row)
                for index, cell in entries.items()
                if index in is_token
            }
            self.counts.rows += 1

    def _test_of(self, index: int) -> Callable[[str], object]:
        """Return what is true of the usual cells of a column: of those that are their own tokens."""
        if index in self._tokens:
            return frozenset(
                label for label, token in self._tokens[index].items() if label == token
            ).__contains__
        return (_PLAIN_WHOLE if self._plans[index].kind == "integer" else _PLAIN_NUMBER).fullmatch

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
    if _BARE_ENTRIES.fullmatch(body):
        words = body.replace(",", " ").split()
        entries = dict(zip(map(int, words[::2]), words[1::2], strict=True))
        if len(entries) * 2 == len(words):
            return entries
    entries = {}
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
