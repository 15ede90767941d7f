"""Delimited text as rows of cells, in any dialect, in plain Python: for samples, and what pyarrow cannot read."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

SEPARATOR = "\x1f"
"""Between the cells of a canonical row: texts do not have it."""
MOST_CHARACTERS = 8 * 1024 * 1024
"""Of one row: with more, a quote was left open."""
_LINE_END = "\r\n"


@dataclass(frozen=True)
class Dialect:
    r"""How delimited text is written.

    Attributes:
        delimiter: between cells; a blank stands for one or more blanks or tabs; nothing if each line is one cell.
        quote: around quoted cells, or nothing.
        escape: how a quote is written inside quotes.
        comment: what lines begin with that are no rows, or nothing.
        skip_lines: lines before the header.
        is_padded: whether blanks around quotes are no part of the cell.
        has_pairs: with `escape` as `backslash`, whether a backslash itself is written twice.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: Literal["double", "backslash"] = "double"
    comment: str = ""
    skip_lines: int = 0
    is_padded: bool = False
    has_pairs: bool = True

    @property
    def is_plain(self) -> bool:
        """Whether pyarrow reads its rows as they stand."""
        is_ascii = self.delimiter.isascii()  # pyarrow knows no other delimiters
        return is_ascii and not (
            self.comment or self.is_padded or self.has_blanks or self.escape == "backslash"
        )

    @property
    def after_header(self) -> "Dialect":
        """The same without lines to skip."""
        return replace(self, skip_lines=0)

    @property
    def has_blanks(self) -> bool:
        """Whether blanks separate the cells."""
        return self.delimiter == " "

    @cached_property
    def cell(self) -> re.Pattern[str]:
        """One cell: a group for a quoted one, one for a bare one, one for the delimiter behind it, if there is one."""
        quote, delimiter = re.escape(self.quote), re.escape(self.delimiter)
        escaped = r"|\\." if self.escape == "backslash" else ""
        plain = r"\\" if escaped else ""
        blanks = "[ \t]" if self.delimiter != "\t" else " "
        pad = f"{blanks}*+" if self.is_padded or self.has_blanks else ""
        end = f"({blanks}++(?![\r\n]|\\Z)|(?={blanks}*[\r\n]|{blanks}*\\Z))" if self.has_blanks else (
            f"({delimiter}|(?=[\r\n]|\\Z))" if delimiter else "((?=[\r\n]|\\Z))"
        )  # fmt: skip
        barred = " \t" if self.has_blanks else delimiter
        bare = f"((?:[^{barred}\r\n{plain}]{escaped})*+)"
        if not quote:
            return re.compile(f"()(?:){bare}{end}", re.DOTALL)
        quoted = f"({quote}(?:[^{quote}{plain}]|{quote}{quote}{escaped})*+{quote})"
        # A bare cell does not begin like a quoted one, be it behind blanks.
        return re.compile(
            f"(?:{pad}{quoted}{pad if self.is_padded else ''}|(?![ \t]*{quote}){bare}){end}", re.DOTALL
        )

    @cached_property
    def _escapes(self) -> re.Pattern[str]:
        pairs = r"\\" if self.has_pairs else ""
        delimiter = re.escape(self.delimiter)
        return re.compile(rf"\\([{pairs}{re.escape(self.quote)}{delimiter}\r\n])")

    def value(self, token: str) -> str:
        """Return the text that a cell stands for."""
        if self.quote and token.startswith(self.quote):
            token = token[1:-1].replace(self.quote * 2, self.quote)
        return self._escapes.sub(r"\1", token) if self.escape == "backslash" else token

    def canonical(self, row: "Row") -> str:
        """Return a row with cells between `SEPARATOR`, quotes doubled, and a line end."""
        cells = map(self._canonical_cell, row.cells) if self.escape == "backslash" else row.cells
        return SEPARATOR.join(cells) + "\n"

    def _canonical_cell(self, token: str) -> str:
        if "\\" not in token:
            return token
        value = self.value(token)
        is_bare = not self.quote or not (
            token.startswith(self.quote) or value.startswith(self.quote) or set(value) & set(_LINE_END)
        )
        return value if is_bare else self.quote + value.replace(self.quote, self.quote * 2) + self.quote


class Row(NamedTuple):
    """One row: the line on which it begins, from 1, and its cells as they are written, with quotes."""

    line: int
    cells: list[str]


class MisquotedError(Exception):
    """A row whose quotes cannot be read."""

    def __init__(self, row: int, line: int, text: str, *, is_open: bool) -> None:
        """Name the row (from 0, the first that is read) and the line (from 1); `is_open`: a quote is never closed."""
        super().__init__(row, line, text)
        self.row = row
        self.line = line
        self.text = text
        self.is_open = is_open


def rows(lines: Iterable[str], dialect: Dialect) -> Iterator[Row]:
    """Yield the rows of some lines, which end as they do in the file; blank lines and comments are none.

    Raises:
        MisquotedError: a quoted cell does not end where it should, or never.
    """
    pending: list[str] = []
    begin = found = size = 0
    for number, line in enumerate(lines, start=1):
        if number <= dialect.skip_lines:
            continue
        if not pending:
            if dialect.comment and line.startswith(dialect.comment):
                continue
            begin = number
        pending.append(line)
        size = len(line) if len(pending) == 1 else size + len(line)
        if size > MOST_CHARACTERS:
            break
        needs_look = len(pending) == 1 or dialect.quote in line
        cells = _split("".join(pending), dialect) if needs_look else None
        if cells is None:
            continue
        if isinstance(cells, str):
            raise MisquotedError(found, begin, cells, is_open=False)
        pending = []
        if not _is_blank(cells, dialect):
            yield Row(begin, cells)
            found += 1
    if pending:
        raise MisquotedError(found, begin, pending[0], is_open=True)


def _is_blank(cells: list[str], dialect: Dialect) -> bool:
    """Return whether a line is blank; where each line is a cell, blanks are a value."""
    return len(cells) == 1 and not (cells[0].strip(" \t") if dialect.delimiter else cells[0])


def _split(text: str, dialect: Dialect) -> list[str] | str | None:
    """Return the cells of a row, or the text of the first one that is misquoted, or None if the row goes on."""
    is_simple = dialect.escape == "double" and not (dialect.quote and dialect.quote in text)
    if is_simple and not dialect.has_blanks:
        line = text.rstrip(_LINE_END)
        return line.split(dialect.delimiter) if dialect.delimiter else [line]
    if is_simple:
        return text.split() or [""]
    if dialect.escape == "backslash" and _goes_on(text):
        return None
    cells: list[str] = []
    at = len(text) - len(text.lstrip(" \t")) if dialect.has_blanks else 0
    while True:
        match = dialect.cell.match(text, at)
        if match is None:
            return _misread(text[at:], dialect)
        cells.append(match[1] or match[2] or "")
        at = match.end()
        if not match[3]:
            return cells


def _goes_on(text: str) -> bool:
    """Return whether the line end is escaped."""
    line = text.rstrip(_LINE_END)
    return len(line) < len(text) and (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _misread(rest: str, dialect: Dialect) -> str | None:
    """Return a misquoted cell, or None if it goes on in the next line."""
    inner = rest.lstrip(" \t")[1:]
    if dialect.escape == "backslash":
        inner = re.sub(r"\\.", "", inner, flags=re.DOTALL)
    is_closed = dialect.quote in inner.replace(dialect.quote * 2, "")
    return rest.rstrip(_LINE_END) if is_closed else None
