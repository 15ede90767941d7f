"""Reads ARFF as Weka's `ArffLoader` does: the reader behind OpenML's evaluation engine.

Of dates only the default format is known: the gate of an upload lets no other through. Only one block of a file
is in memory at a time.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO

from openml_sandbox.tokenizer import CLOSE, END, OPEN, Token, WekaError, error_at, tokenize

BLOCK_BYTES = 1 << 18
_BATCH_CELLS = 1 << 17

# A block without any of these has nothing but bare values between commas.
_SPECIAL = re.compile(rb"['\"%{}\x00-\x09\x0b-\x20]")
_EMPTY_CELL = re.compile(rb",,|\n,|,\n|\A,|,\Z")

_SQUARES_MATTER = 1e149
_NUMBER_BYTES = b"0123456789+-.eE"
_JAVA_DOUBLE = re.compile(
    rb"[\x00-\x20]*[+-]?(?:(NaN)|Infinity|(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
    rb"|0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?\d+)[fFdD]?)[\x00-\x20]*"
)
_DATE = re.compile(r"(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)")

Row = list[bytes | None]


@dataclass(slots=True)
class Attribute:
    """A column: `kind` is numeric, nominal, string or date; nominal ones list their labels in order."""

    name: bytes
    kind: str
    labels: dict[bytes, None] = field(default_factory=dict)
    missing_count: int = 0
    squares: float = 0.0
    """The sum of the squares of a numeric column, as far as it comes near the largest number."""


@dataclass(slots=True)
class Summary:
    """What was found in a file that Weka can read to its end; `rows_with_missing` leaves out ignored columns."""

    attributes: list[Attribute]
    row_count: int = 0
    rows_with_missing: int = 0


class Watcher:
    """Told of the progress of a reader; each of its methods may raise to end the reading.

    Attributes:
        target: the position of the column whose values it wants to see, set once the header is read.
        ignored: positions of columns in which a missing value does not make a row one with missing values.
    """

    target: int | None = None
    ignored: frozenset[int] = frozenset()

    def on_header(self, attributes: list[Attribute]) -> None:
        """The header was read, no row yet."""

    def on_rows(self) -> None:
        """At least one more row was read."""

    def on_target(self, values: Sequence[bytes | None]) -> None:
        """These are the next values of the column whose position is `target`."""

    def on_block(self) -> None:
        """A block of the file is done."""


def read_arff(file: BinaryIO, watcher: Watcher) -> Summary:
    """Read a whole file, opened for binary reading, from its start.

    Raises:
        WekaError: Weka refuses the file.
    """
    lines = _Lines(file)
    attributes = _Header(lines).read()
    watcher.on_header(attributes)
    reader = _RowReader(attributes, watcher)
    while block := file.read(BLOCK_BYTES):
        block += file.readline()
        reader.read_block(block, lines.number + 1)
        lines.number += block.count(b"\n")
        watcher.on_block()
    return reader.finish()


class _Lines:
    """The lines of the header, as tokens; empty ones are left out."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.number = 0
        self.end_number = 1

    def __iter__(self) -> Iterator[list[Token]]:
        while line := self._file.readline():
            self.number += 1
            self.end_number += line.endswith(b"\n")
            if tokens := tokenize(line.rstrip(b"\r\n")):
                yield tokens


class _Header:
    def __init__(self, lines: _Lines) -> None:
        self._lines = lines

    def read(self) -> list[Attribute]:
        lines = iter(self._lines)
        first = next(lines, None)
        if first is None:
            raise self._end_of_file()
        if not _is_keyword(first[0], b"@relation"):
            raise self._failure("keyword @relation expected", first[0])
        self._get(first, 1)
        self._expect_end(first, 2)
        attributes: list[Attribute] = []
        for tokens in lines:
            if not _is_keyword(tokens[0], b"@attribute"):
                return self._finish(tokens[0], attributes)
            attributes.append(self._attribute(tokens))
        raise self._end_of_file()

    def _finish(self, token: Token, attributes: list[Attribute]) -> list[Attribute]:
        if not _is_keyword(token, b"@data"):
            raise self._failure("keyword @data expected", token)
        if not attributes:
            raise self._failure("no attributes declared", token)
        counts = Counter(attribute.name.decode(errors="replace") for attribute in attributes)
        repeated = sorted(name for name, count in counts.items() if count > 1)
        if repeated:
            causes = " ".join(f"'{name}'" for name in repeated)
            raise WekaError(f"Attribute names are not unique! Causes: {causes} ")
        return attributes

    def _attribute(self, tokens: list[Token]) -> Attribute:
        name = self._get(tokens, 1).text
        kind = self._get(tokens, 2)
        if kind.is_symbol or kind.value is None:
            return Attribute(name, "nominal", self._labels(tokens, name))
        match kind.text.lower():
            case b"real" | b"integer" | b"numeric":
                return Attribute(name, "numeric")
            case b"string":
                return Attribute(name, "string")
            case b"date":
                return Attribute(name, "date")
            case _:
                raise self._failure("no valid attribute type or invalid enumeration", kind)

    def _labels(self, tokens: list[Token], name: bytes) -> dict[bytes, None]:
        if tokens[2] != OPEN:
            raise self._failure("{ expected at beginning of enumeration", tokens[2])
        try:
            end = tokens.index(CLOSE, 3)
        except ValueError:
            raise self._failure("} expected at end of enumeration", END) from None
        # An attribute may have a weight, as a row may.
        self._expect_end(_after_weight(tokens[end + 1 :], self._lines.number), 0)
        if OPEN in tokens[3:end]:
            raise self._failure("nominal value expected", OPEN)
        labels: dict[bytes, None] = {}
        for token in tokens[3:end]:
            if token.text in labels:
                shown = name.decode(errors="replace")
                raise WekaError(
                    f"A nominal attribute ({shown}) cannot have duplicate labels ({token.shown})."
                )
            labels[token.text] = None
        return labels

    def _get(self, tokens: list[Token], index: int) -> Token:
        if index >= len(tokens):
            raise self._failure("premature end of line", END)
        return tokens[index]

    def _expect_end(self, tokens: list[Token], index: int) -> None:
        if index < len(tokens):
            raise self._failure("end of line expected", tokens[index])

    def _end_of_file(self) -> WekaError:
        return error_at("premature end of file", Token(b"EOF"), self._lines.end_number)

    def _failure(self, message: str, token: Token) -> WekaError:
        return error_at(message, token, self._lines.number)


def _is_keyword(token: Token, keyword: bytes) -> bool:
    return not token.is_symbol and token.text.lower() == keyword


class _RowReader:
    """Counts rows and missing values; dense rows are checked a batch and a column at a time."""

    def __init__(self, attributes: list[Attribute], watcher: Watcher) -> None:
        self._attributes = attributes
        self._watcher = watcher
        self._summary = Summary(attributes)
        self._rows: list[Row] = []
        self._numbers: list[int] = []
        self._batch_rows = max(1, _BATCH_CELLS // len(attributes))

    def read_block(self, block: bytes, first_line: int) -> None:
        """Read some whole lines."""
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        if not self._read_plain(block, first_line):
            self._read_lines(block, first_line)
        if len(self._rows) >= self._batch_rows:
            self._check_batch()

    def _read_lines(self, block: bytes, first_line: int) -> None:
        try:
            for number, line in enumerate(block.split(b"\n"), start=first_line):
                # A lone carriage return ends a line as well, though no count is kept of it here.
                for part in line.split(b"\r"):
                    self._read_tokens(tokenize(part), number)
        except WekaError:
            # The rows before this place are still unchecked, and an error in them comes first.
            self._check_batch()
            raise

    def finish(self) -> Summary:
        """Check what is left and hand over the counts."""
        self._check_batch()
        return self._summary

    def _read_plain(self, block: bytes, first_line: int) -> bool:
        # Cutting at commas is many times faster than cutting tokens; most files are plain in most places.
        if _SPECIAL.search(block) or _EMPTY_CELL.search(block):
            return False
        numbered = [
            (number, line) for number, line in enumerate(block.split(b"\n"), start=first_line) if line
        ]
        rows: list[Row] = [[*line.split(b",")] for _, line in numbered]
        if any(len(row) != len(self._attributes) for row in rows):
            return False
        if b"?" in block:
            rows = [[None if cell == b"?" else cell for cell in row] for row in rows]
        self._rows += rows
        self._numbers += [number for number, _ in numbered]
        return True

    def _read_tokens(self, tokens: list[Token], line: int) -> None:
        width = len(self._attributes)
        while tokens:
            if tokens[0] == OPEN:
                tokens = self._read_sparse(tokens, line)
                continue
            values = tokens[:width]
            if len(values) < width or any(token.is_symbol for token in values):
                raise self._failure_in_row(values, line)
            self._rows.append([token.value for token in values])
            self._numbers.append(line)
            tokens = _after_weight(tokens[width:], line)

    def _failure_in_row(self, tokens: list[Token], line: int) -> WekaError:
        self._check_batch()
        for index, token in enumerate(tokens):
            self._check_cell(token, index, line)
        return error_at("premature end of line", END, line)

    def _read_sparse(self, tokens: list[Token], line: int) -> list[Token]:
        # Sparse rows are checked at once: widening them to whole rows would cost memory for nothing.
        self._check_batch()
        last = -1
        has_missing = False
        target: bytes | None = self._left_out_target()
        position = 1
        while True:
            if position >= len(tokens):
                raise error_at("premature end of line", END, line)
            if tokens[position] == CLOSE:
                break
            index = self._sparse_index(tokens[position], last, line)
            if position + 1 >= len(tokens):
                raise error_at("premature end of line", END, line)
            is_missing = self._check_cell(tokens[position + 1], index, line)
            has_missing |= is_missing and index not in self._watcher.ignored
            if index == self._watcher.target:
                target = None if is_missing else tokens[position + 1].value
            last = index
            position += 2
        self._watcher.on_rows()
        if self._watcher.target is not None:
            self._watcher.on_target([target])
        self._summary.row_count += 1
        self._summary.rows_with_missing += has_missing
        return _after_weight(tokens[position + 1 :], line)

    def _left_out_target(self) -> bytes | None:
        """Return what the target is in a sparse row that does not name it: zero, or the first label."""
        if self._watcher.target is None:
            return None
        return next(iter(self._attributes[self._watcher.target].labels), b"0")

    def _sparse_index(self, token: Token, last: int, line: int) -> int:
        if token.is_symbol or not re.fullmatch(rb"[+-]?\d+", token.text):
            raise error_at("index number expected", token, line)
        index = int(token.text)
        if index <= last:
            raise error_at("indices have to be ordered", token, line)
        if index >= len(self._attributes):
            raise error_at("index out of bounds", token, line)
        return index

    def _check_cell(self, token: Token, index: int, line: int) -> bool:
        if token.is_symbol:
            raise error_at("not a valid value", token, line)
        attribute = self._attributes[index]
        nan_rows, failure = _check_column(attribute, [token.value])
        if failure:
            raise error_at(failure[1], token, line)
        is_missing = token.value is None or bool(nan_rows)
        attribute.missing_count += is_missing
        return is_missing

    def _check_batch(self) -> None:
        rows, self._rows = self._rows, []
        numbers, self._numbers = self._numbers, []
        failures: list[tuple[int, int, str]] = []
        for index, column in enumerate(zip(*rows, strict=True)):
            attribute = self._attributes[index]
            nan_rows, failure = _check_column(attribute, column)
            attribute.missing_count += column.count(None) + len(nan_rows)
            for row in nan_rows:
                rows[row][index] = None
            if failure:
                failures.append((failure[0], index, failure[1]))
        # Columns were checked one after the other; Weka reads row by row, so the first bad row counts.
        bad_row, bad_column, message = min(failures, default=(len(rows), 0, ""))
        if bad_row > 0:
            self._watcher.on_rows()
        if failures:
            raise error_at(message, Token(rows[bad_row][bad_column] or b""), numbers[bad_row])
        self._summary.row_count += len(rows)
        if self._watcher.target is not None:
            self._watcher.on_target([row[self._watcher.target] for row in rows])
        for cells in rows if self._watcher.ignored else ():
            for position in self._watcher.ignored:
                cells[position] = b""
        self._summary.rows_with_missing += sum(None in row for row in rows)


def _after_weight(tokens: list[Token], line: int) -> list[Token]:
    """Drop what Weka takes for an instance weight: `{number}`, or any one token that is none."""
    if not tokens or tokens[0] != OPEN:
        return tokens[1:]
    if len(tokens) == 1 or tokens[1].is_symbol or not _JAVA_DOUBLE.fullmatch(tokens[1].text):
        return tokens[2:]
    rest = [*tokens[2:], END]
    if rest[0] != CLOSE:
        raise error_at("Problem reading instance weight: } expected", rest[0], line)
    if rest[1] is not END:
        raise error_at("end of line expected", rest[1], line)
    return []


_Column = tuple[bytes | None, ...] | list[bytes | None]
_Failure = tuple[int, str] | None


def _check_column(attribute: Attribute, column: _Column) -> tuple[list[int], _Failure]:
    """Find the rows that hold NaN, which is missing as well, and the first value that the type refuses."""
    match attribute.kind:
        case "numeric":
            return _check_numbers(attribute, column)
        case "nominal" if not attribute.labels.keys() >= {cell for cell in column if cell is not None}:
            return [], _first(column, attribute.labels.__contains__, "nominal value not declared in header")
        case "date":
            failure = _first(column, _is_date, "unparseable date")
            if failure:
                shown = (column[failure[0]] or b"").decode(errors="replace")
                return [], (failure[0], f"{failure[1]}: {shown}")
    return [], None


def _check_numbers(attribute: Attribute, column: _Column) -> tuple[list[int], _Failure]:
    present = [cell for cell in column if cell is not None]
    if not b"".join(present).translate(None, _NUMBER_BYTES):
        try:
            # float() knows Java's grammar where only these characters occur; this is the quick way.
            _add_squares(attribute, [*map(float, present)])
        except ValueError:
            pass
        else:
            return [], None
    failure = _first(column, _JAVA_DOUBLE.fullmatch, "number expected")
    matches = [None if cell is None else _JAVA_DOUBLE.fullmatch(cell) for cell in column]
    _add_squares(attribute, [java_double(match[0]) for match in matches if match and not match[1]])
    return [row for row, match in enumerate(matches) if match and match[1]], failure


def _add_squares(attribute: Attribute, numbers: list[float]) -> None:
    # Smaller numbers do not count beside the largest one there is, however many they are.
    if max(map(abs, numbers), default=0) > _SQUARES_MATTER:
        attribute.squares += sum(number * number for number in numbers)


def java_double(text: bytes) -> float:
    """Read a number of Java's grammar, which has hexadecimal ones, and letters behind that say its type."""
    shown = text.decode("latin-1").strip("".join(map(chr, range(0x21))))
    if "x" in shown.lower():
        mantissa, _, exponent = shown.lower().rpartition("p")
        try:
            return float.fromhex(f"{mantissa}p{exponent.rstrip('fd')}")
        except OverflowError:
            return math.inf
    return float(shown if shown.endswith("Infinity") else shown.rstrip("fFdD"))


def _first(column: _Column, accepts: Callable[[bytes], object], message: str) -> _Failure:
    bad = (row for row, cell in enumerate(column) if cell is not None and not accepts(cell))
    row = next(bad, None)
    return None if row is None else (row, message)


def _is_date(text: bytes) -> bool:
    """Parse as `SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss")`, not lenient; text behind is ignored."""
    match = _DATE.match(text.decode(errors="replace"))
    if not match:
        return False
    year, month, day, hour, minute, second = map(int, match.groups())
    try:
        # Java's years have no end; only their calendar matters.
        return bool(datetime(2000 + year % 400, month, day, hour, minute, second, tzinfo=UTC))
    except ValueError:
        return False
