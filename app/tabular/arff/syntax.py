"""The grammar of ARFF values, and descriptions of syntax errors."""

import re
from typing import NoReturn

from app.tabular.types import TabularError
from app.tabular.wording import counted, shortened

BLANKS = " \t\r"
QUOTED = r"""'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*\""""
# Each of these characters breaks at least one reader in an unquoted value.
BARE = r"""[^\s,'"{}%]+"""
# One value and the comma after it. What is not a value gives an empty string; no value does, an empty one has quotes.
CELL = re.compile(rf"[ \t]*({QUOTED}|{BARE})[ \t]*,|.+")

# Three octal digits, or the escapes that Weka and liac-arff undo alike.
_ESCAPE = re.compile(r"\\([0-3][0-7]{2}|.)", re.DOTALL)
_OCTAL = 8
_ESCAPED = {
    "n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\\": "\\", "'": "'", '"': '"', "%": "%",
}  # fmt: skip


def unquote(cell: str, line: int) -> str:
    """Return the text that a token, quoted or bare, stands for.

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


def refuse_row(row: str, width: int, line: int) -> NoReturn:
    """Raise the error about a dense row that is not `width` values.

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
        message = f"The row has {counted(found, 'value')}; {counted(width, 'attribute')} declared."
        raise TabularError("ragged-row", message, line=line, hint="Quote values that hold commas.")
    refuse(_fault(row[at:].lstrip(BLANKS)), line)


def _fault(text: str) -> str:
    """Describe what is wrong with a text where a value is expected."""
    if not text or text.startswith(","):
        return "A value is empty: write ? for a missing one, or '' for an empty text."
    if text.startswith("{"):
        return "A value in braces must be quoted; weights of rows cannot be published."
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
