"""The gate of an upload: a home-made ARFF check that reads the header and the first 1000 lines after it.

It behaves as the PHP server's `ARFFcheck` does, including what that wrongly refuses (tabs, date formats,
trailing comments, a value that ends in a backslash) and wrongly accepts (duplicate names, no header at all,
anything after line 1000). It works on bytes, since PHP's strings are bytes.
"""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

LINES_CHECKED = 1000

_TRIMMED = b" \t\n\r\0\x0b"  # what PHP's trim() removes
_NUMERIC = re.compile(rb"[ \t\n\r\v\f]*[+-]?(?:\d+(\.\d*)?|(\.\d+))([eE][+-]?\d+)?[ \t\n\r\v\f]*")
_NUMBER_PREFIX = re.compile(rb"[ \t\n\r\v\f]*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_NUMERIC_TYPES = (b"numeric", b"binary", b"integer", b"real")
_TEXT_TYPES = (b"string", b"date")
_PLAIN_NUMBERS = re.compile(rb"(?:-?\d+(?:\.\d+)?|\?)(?:,(?:-?\d+(?:\.\d+)?|\?))*")
_UNUSUAL = re.compile(rb"[\"%\s\0]")
# A value in quotes that is all of a cell and has neither quotes nor escapes inside.
_QUOTED = re.compile(rb"""(?:'[^'"\\]*'|"[^'"\\]*")(?![^,])""")
_QUOTE = b"'"

# A column's type: its labels, or one of "numeric", "string", "date".
_Kind = frozenset[bytes] | str


class _RefusedError(Exception):
    """The reason, without the line number."""


def check_arff(path: Path) -> str | None:
    """Say why the server refuses the file, or None when it accepts it."""
    with path.open("rb") as file:
        lines = _Lines(file)
        try:
            _check(iter(lines))
        except _RefusedError as refusal:
            reason = str(refusal)
            # The one message that the server sends without a line number.
            return reason if reason.startswith("mixing") else f"{reason} (l.{lines.number})"
    return None


class _Lines:
    """The trimmed lines of a file, and the number of the last one read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.number = 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._file:
            self.number += 1
            yield line.strip(_TRIMMED)


def _check(lines: Iterator[bytes]) -> None:
    kinds: list[_Kind] = []
    for line in lines:
        if _is_content(line) and _is_last_header_line(line, kinds):
            break
    # A file that ends without @data is accepted: there is simply nothing more to check.
    rows = _Rows(kinds)
    # Lines are counted, not rows: comments and blank lines use the allowance up as well.
    for line in islice(lines, LINES_CHECKED):
        if _is_content(line):
            rows.check(line)


def _is_content(line: bytes) -> bool:
    return line != b"" and not line.startswith(b"%")


def _is_last_header_line(line: bytes, kinds: list[_Kind]) -> bool:
    if not line.startswith(b"@"):
        raise _RefusedError(f"invalid line in ARFF header: {_text(line)}")
    # Only the blank separates, so a tab becomes part of the keyword.
    keyword = line.partition(b" ")[0]
    match keyword.lower():
        case b"@data":
            if b" " in line:
                raise _RefusedError("trailing content in @data line")
            return True
        case b"@relation":
            if _token(line, len(keyword), b" %")[1] != len(line):
                raise _RefusedError("trailing content in @relation line")
        case b"@attribute":
            kinds.append(_attribute_kind(line, len(keyword)))
        case unknown:
            raise _RefusedError(f"unsupported header field: {_text(unknown)}")
    return False


def _attribute_kind(line: bytes, position: int) -> _Kind:
    _, position = _token(line, position, b" %")
    kind: _Kind
    if line[position : position + 1] == b"{":
        kind, position = _labels(line, position + 1)
    else:
        name, position = _token(line, position, b" %")
        name = name.lower()
        if name not in _NUMERIC_TYPES + _TEXT_TYPES:
            raise _RefusedError(f"unsupported attribute type: {_text(name)}")
        # `1.5` under INTEGER and any number under BINARY pass, since the types are taken for one.
        kind = "numeric" if name in _NUMERIC_TYPES else name.decode()
    if position != len(line):
        raise _RefusedError("trailing content in @attribute line")
    return kind


def _labels(line: bytes, position: int) -> tuple[frozenset[bytes], int]:
    labels: list[bytes] = []
    while True:
        label, position = _token(line, position, b",}%")
        labels.append(label)
        delimiter = line[position : position + 1]
        if delimiter not in {b",", b"}"}:
            raise _RefusedError("format error in nominal attribute declaration")
        position += 1
        if delimiter == b"}":
            return frozenset(labels), position


def _token(line: bytes, position: int, delimiters: bytes) -> tuple[bytes, int]:
    """Read one value; the position returned is that of the delimiter behind it. Only blanks are skipped."""
    position = _skip_blanks(line, position)
    if position == len(line):
        raise _RefusedError("unexpected end of line")
    quote = line[position : position + 1]
    if quote in {b"'", b'"'}:
        return _quoted_token(line, position + 1, quote, delimiters)
    ends = (line.find(delimiters[i : i + 1], position) for i in range(len(delimiters)))
    end = min((end for end in ends if end >= 0), default=len(line))
    return line[position:end].strip(_TRIMMED), _skip_blanks(line, end)


def _quoted_token(line: bytes, start: int, quote: bytes, delimiters: bytes) -> tuple[bytes, int]:
    end = line.find(quote, start)
    # A quote behind a backslash does not close, even where the backslash itself was escaped.
    while end >= 0 and line[end - 1 : end] == b"\\":
        end = line.find(quote, end + 1)
    if end < 0:
        raise _RefusedError("missing trailing quote in string")
    after = end + 1
    if after < len(line) and line[after] not in delimiters:
        after = _skip_blanks(line, after)
        if after < len(line) and line[after] not in delimiters:
            raise _RefusedError("missing delimiter")
    return line[start:end], _skip_blanks(line, after)


def _skip_blanks(line: bytes, position: int) -> int:
    while position < len(line) and line[position] == ord(" "):
        position += 1
    return position


class _Rows:
    """Checks data lines one by one; dense and sparse ones must not be mixed."""

    def __init__(self, kinds: list[_Kind]) -> None:
        self._kinds = kinds
        self._sparse: bool | None = None
        self._numeric = [index for index, kind in enumerate(kinds) if kind == "numeric"]
        self._nominal = [(index, kind) for index, kind in enumerate(kinds) if isinstance(kind, frozenset)]

    def check(self, line: bytes) -> None:
        sparse = line.startswith(b"{")
        if self._sparse not in {None, sparse}:
            raise _RefusedError("mixing dense and sparse data lines is invalid")
        self._sparse = sparse
        if not sparse and self._is_plainly_valid(line):
            return
        end = self._check_sparse(line) if sparse else self._check_dense(line)
        if end < len(line):
            raise _RefusedError("trailing characters on data line ")

    def _is_plainly_valid(self, line: bytes) -> bool:
        """Accept the usual row quickly, so that wide tables take no time; decide nothing else."""
        quoted = 0
        if _QUOTE in line or b'"' in line:
            # A quote stands for each quoted value.
            line, quoted = _QUOTED.subn(_QUOTE, line)
        if _UNUSUAL.search(line) or line.endswith(b",") or line.count(_QUOTE) != quoted:
            return False
        cells = line.split(b",")
        if len(cells) != len(self._kinds) or cells.count(_QUOTE) != quoted:
            return False
        numbers = b",".join([cells[index] for index in self._numeric])
        return (not numbers or _PLAIN_NUMBERS.fullmatch(numbers) is not None) and all(
            cells[index] in labels and cells[index] != _QUOTE for index, labels in self._nominal
        )

    def _check_dense(self, line: bytes) -> int:
        position = 0
        for index, kind in enumerate(self._kinds):
            if index:
                if line[position : position + 1] != b",":
                    raise _RefusedError("too few feature values ")
                position += 1
            value, position = _token(line, position, b",%")
            _check_value(value, kind)
        return position

    def _check_sparse(self, line: bytes) -> int:
        position = _skip_blanks(line, 1)
        stated = 0
        # The position stays at the brace of an empty row, which then counts as trailing characters.
        if line[position : position + 1] != b"}":
            stated, position = self._check_entries(line, position)
        # Only nominal columns are counted in the header, but string and date values are in the row.
        if stated != len(self._nominal):
            raise _RefusedError(
                "at least one string, date, or nominal feature value is missing; "
                "this is disallowed in sparse data format "
            )
        return position

    def _check_entries(self, line: bytes, position: int) -> tuple[int, int]:
        stated = 0
        while True:
            index_text, position = _token(line, position, b" %")
            index = _intval(index_text)
            if not 0 <= index < len(self._kinds):
                raise _RefusedError(f"invalid feature index: {index}")
            value, position = _token(line, position, b",}%")
            _check_value(value, self._kinds[index])
            # An index may come twice; nobody looks at the order either.
            stated += self._kinds[index] != "numeric"
            if position == len(line):
                raise _RefusedError("closing brace missing in sparse data line ")
            position += 1
            if line[position - 1 : position] == b"}":
                return stated, position


def _check_value(value: bytes, kind: _Kind) -> None:
    # A quoted question mark is taken for a missing value as well: the quotes are gone by now.
    if value == b"?":
        return
    if kind == "numeric" and not _NUMERIC.fullmatch(value):
        raise _RefusedError(f"invalid value for numeric attribute: {_text(value)}")
    if isinstance(kind, frozenset) and not _is_among(value, kind):
        raise _RefusedError(f"invalid value for nominal attribute: {_text(value)}")


def _is_among(value: bytes, labels: frozenset[bytes]) -> bool:
    """Search as PHP 8 does: equal text, or two numbers of equal value (`1`, `01`, `1.0`, `1e0`)."""
    if value in labels:
        return True
    number = _php_number(value)
    return number is not None and any(number == _php_number(label) for label in labels)


def _php_number(text: bytes) -> int | float | None:
    match = _NUMERIC.fullmatch(text)
    if not match:
        return None
    is_whole = match[1] is None and match[2] is None and match[3] is None
    return int(text) if is_whole else float(text)


def _intval(text: bytes) -> int:
    match = _NUMBER_PREFIX.match(text)
    return int(float(match[0])) if match else 0


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
