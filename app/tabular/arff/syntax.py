"""The grammar of ARFF values, and descriptions of syntax errors."""

import re
from dataclasses import dataclass
from typing import NoReturn

from app.tabular.types import TabularError
from app.tabular.wording import counted, shortened

BLANKS = " \t\r"
QUOTED = r"""'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*\""""
# Each of these characters breaks at least one reader in an unquoted value.
BARE = r"""[^\s,'"{}%]+"""
# One value and the comma after it. What is not a value gives an empty string; no value does, an empty one has quotes.
CELL = re.compile(rf"[ \t]*({QUOTED}|{BARE})[ \t]*,|.+")

_VALUE = re.compile(f"{QUOTED}|{BARE}")
_GAP = re.compile(r"[ \t]*(,?)[ \t]*")
_WEIGHT = re.compile(r"\{[ \t]*([0-9.eE+-]+)[ \t]*\}[ \t]*(?:%.*)?")
# Three octal digits, or the escapes that Weka and liac-arff undo alike.
_ESCAPE = re.compile(r"\\([0-3][0-7]{2}|.)", re.DOTALL)
_OCTAL = 8
_ESCAPED = {
    "n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\\": "\\", "'": "'", '"': '"', "%": "%",
}  # fmt: skip


def unquote(cell: str, line: int) -> str:
    """Return the text that a quoted or bare token encodes.

    Raises:
        TabularError: `invalid-arff`, for an escape that readers interpret differently.
    """
    if cell[0] not in "'\"":
        return cell
    return _ESCAPE.sub(lambda match: _unescape(match[1], line), cell[1:-1])


def _unescape(escaped: str, line: int) -> str:
    if len(escaped) > 1:
        return chr(int(escaped, _OCTAL))
    if escaped not in _ESCAPED:
        hint = f"Write \\\\{escaped}, if a backslash is meant."
        message = f"Readers of ARFF disagree on what \\{escaped} stands for."
        raise TabularError("invalid-arff", message, line=line, hint=hint)
    return _ESCAPED[escaped]


@dataclass(frozen=True, slots=True)
class LooseRow:
    """A dense row as Weka splits it: blanks and tabs separate values as commas do.

    Attributes:
        values: its tokens.
        marks: what separates them: `,`, or nothing where there are blanks only.
        weight: of the row, as it is spelled; None if it has none.
        has_comment: whether a comment stands behind the values.
    """

    values: list[str]
    marks: set[str]
    weight: str | None = None
    has_comment: bool = False


def loose_row(row: str) -> LooseRow | None:
    """Split a row as Weka does; return None if another reader could interpret it differently."""
    values: list[str] = []
    marks: list[str] = []
    at = 0
    while at < len(row):
        if values and (weight := _WEIGHT.fullmatch(row, at)):
            return LooseRow(values, set(marks[:-1]), weight[1])
        if values and row[at] == "%" and row[at - 1] in BLANKS:
            return LooseRow(values, set(marks[:-1]), has_comment=True)
        value = _VALUE.match(row, at)
        gap = _GAP.match(row, value.end()) if value else None
        if value is None or gap is None or (gap.end() == value.end() < len(row)):
            return None
        values.append(value[0])
        marks.append(gap[1])
        at = gap.end()
    return LooseRow(values, set(marks[:-1]))


def refuse_row(row: str, width: int, line: int) -> NoReturn:
    """Raise the error about a dense row that does not have `width` values.

    Raises:
        TabularError: `ragged-row` or `invalid-arff`.
    """
    if row.startswith("{"):
        refuse("Sparse and dense rows are mixed.", line)
    text = row + ","
    at = found = 0
    while (match := CELL.match(text, at)) and match[1]:
        at = match.end()
        found += 1
    if at == len(text):
        raise ragged(found, width, line)
    refuse(_fault(row[at:].lstrip(BLANKS)), line)


def ragged(found: int, width: int, line: int) -> TabularError:
    """Return the error for a row of `found` values in place of `width`."""
    message = f"The row has {counted(found, 'value')}; {counted(width, 'attribute')} declared."
    return TabularError("ragged-row", message, line=line, hint="Quote values that hold commas or blanks.")


def _fault(text: str) -> str:
    """Describe what is wrong with a text where a value is expected."""
    if not text or text.startswith(","):
        return "A value is empty: write ? for a missing one, or '' for an empty text."
    if text.startswith("{"):
        return "A value in braces must be quoted."
    if quoted := re.match(QUOTED, text):
        behind = text[quoted.end() :].lstrip(BLANKS)
        if behind.startswith(text[0]):
            return "A quotation mark inside a quoted value must be escaped with a backslash, not doubled."
        return f"{shortened(behind)} stands between a quoted value and the next comma."
    if text[0] in "'\"":
        return "A quotation mark is opened and not closed on the same line."
    value = text.partition(",")[0].rstrip(BLANKS)
    return (
        f"The value {shortened(value)} holds a blank, a quotation mark, a brace or a percent sign: quote it."
    )


def refuse(message: str, line: int | None) -> NoReturn:
    """Raise the error about a line.

    Raises:
        TabularError: `invalid-arff`.
    """
    raise TabularError("invalid-arff", message, line=line)
