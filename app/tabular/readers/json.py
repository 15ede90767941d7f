"""JSON as `pandas.read_json` reads it: an array of records, records line by line, or an object of columns.

It is read once, a value at a time by the standard library's scanner, which hands out numbers as they are spelled;
what was read is spooled as columns of text, so that the types can be found out and the rows be written from there.
"""

import codecs
import gc
import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import pyarrow as pa

from app.tabular.readers.spool import Spool
from app.tabular.readers.text import BLOCK_BYTES, MAX_ROW_BYTES, TextFile
from app.tabular.schema.cells import BOOLEANS
from app.tabular.table import Block
from app.tabular.types import MIB, ConversionRequest, Repair, TabularError
from app.tabular.wording import shortened

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER_TAIL = len("e+")
_MOST_ROWS = 16_384
_MOST_CELLS = 2_000_000
# Of one column in an object of columns.
_COLUMN_ROWS = 4096
_COLUMN_BYTES = 64 * MIB
_RECORDS = "Save the table as an array of records: to_json(orient='records')."

Number = bytes
"""A number arrives as the bytes that spell it: a text in Python is a text in JSON."""


class JsonTable:
    """A JSON file that was spooled.

    Attributes:
        names: the keys, in the order in which they are met.
        kinds: for each column, the types of its values that are not null: `bool`, `bytes` (numbers), `str`.
        repairs: what was left out.
    """

    def __init__(
        self, text: TextFile, request: ConversionRequest, on_progress: Callable[[int], None]
    ) -> None:
        """Read the file.

        Raises:
            TabularError: `invalid-json`, `nested-value`, `row-too-long`, `too-many-columns`, `no-rows`.
        """
        self._size = text.size
        self._limits = request.limits
        self._progress = on_progress
        self._spool = Spool(request.target.parent, request.limits)
        self._indices: dict[str, int] = {}
        self.kinds: list[set[type]] = []
        self.repairs: tuple[Repair, ...] = ()
        with closing(_Scanner(text)) as scanner, _without_collector():
            self._read(scanner, is_lines=request.format == "jsonl")
        if not self._spool.rows or not self.names:
            raise TabularError("no-rows", "The table has no rows.")

    @property
    def names(self) -> list[str]:
        """Return the columns' names."""
        return list(self._indices)

    def blocks(self) -> Iterator[Block]:
        """Yield the rows as texts: numbers as spelled, booleans as openml-python writes them."""
        first_row = 0
        for columns, rows, share in self._spool.read():
            nothing = pa.nulls(rows, pa.string())
            cells = [columns.get(index, nothing) for index in range(len(self._indices))]
            yield Block(cells, first_row, round(share * self._size))
            first_row += rows

    def blocks_to_scan(self, indices: Collection[int]) -> Iterator[Block]:  # noqa: ARG002 - all are read at once
        """Yield the same blocks."""
        return self.blocks()

    def line_of(self, row: int) -> None:  # noqa: ARG002 - rows are not lines
        """Return None."""
        return

    def _read(self, scanner: "_Scanner", *, is_lines: bool) -> None:
        first = scanner.peek()
        if first == "[":
            self._read_records(scanner, scanner.items())
        elif first == "{" and not is_lines and scanner.holds_columns():
            self._read_columns(scanner)
        elif first == "{":
            self._read_records(scanner, scanner.lines())
        elif first:
            raise scanner.error("The file is neither an array nor an object nor lines of objects.")
        if scanner.peek():
            raise scanner.error("Something stands behind the end of the table.")

    # --- records

    def _read_records(self, scanner: "_Scanner", values: Iterator[Any]) -> None:
        records: list[dict[str, Any]] = []
        begin = scanner.consumed
        first_row = 0
        for record in values:
            if not isinstance(record, dict):
                row = first_row + len(records) + 1
                raise TabularError(
                    "invalid-json", "The row is not an object with names.", row=row, hint=_RECORDS
                )
            records.append(record)
            if not record.keys() <= self._indices.keys():
                self._add_names(record)
            is_full = len(records) == _MOST_ROWS or len(records) * len(self._indices) > _MOST_CELLS
            if is_full or scanner.consumed - begin > BLOCK_BYTES:
                first_row = self._flush(records, first_row)
                records, begin = [], scanner.consumed
                self._progress(scanner.position())
        self._flush(records, first_row)

    def _flush(self, records: Sequence[Mapping[str, Any]], first_row: int) -> int:
        rows = first_row + len(records)
        # Each value and the comma behind it will take two bytes at the least.
        if rows * len(self._indices) * 2 > self._limits.max_unpacked_bytes:
            message = (
                f"The table has {rows} rows of {len(self._indices)} columns, more than can be published."
            )
            raise TabularError("file-too-large", message)
        if records:
            stated = sorted(set[str]().union(*records), key=self._indices.__getitem__)
            columns = {
                self._indices[name]: self._texts(name, [record.get(name) for record in records], first_row)
                for name in stated
            }
            self._spool.add(self._spool.blocks, columns, len(records))
        return rows

    # --- columns

    def _read_columns(self, scanner: "_Scanner") -> None:
        labels: _RowLabels | None = None
        for name in scanner.members():
            if name in self._indices:
                raise TabularError(
                    "duplicate-column", f"The key {shortened(name)} stands twice.", column=name
                )
            self._add_names([name])
            own = _RowLabels()
            values = own.seen(scanner.pairs()) if scanner.peek() == "{" else own.counted(scanner.items())
            self._read_column(scanner, name, values)
            labels = labels or own
            if own != labels:
                message = f"It does not have the same rows as {shortened(self.names[0])}."
                raise TabularError("ragged-column", message, column=name, hint=_RECORDS)
            self._progress(scanner.position())
        if labels and not labels.are_numbers:
            change, reason = "The row labels were left out.", "They are no column of the table."
            self.repairs = (Repair(column="", change=change, reason=reason),)

    def _read_column(self, scanner: "_Scanner", name: str, values: Iterator[Any]) -> None:
        block: list[Any] = []
        number = 0
        begin = scanner.consumed
        for value in values:
            block.append(value)
            if scanner.consumed - begin > _COLUMN_BYTES:
                message = f"{len(block)} values of the column are longer than {_COLUMN_BYTES // MIB} MiB."
                raise TabularError("row-too-long", message, column=name, hint=_RECORDS)
            if len(block) == _COLUMN_ROWS:
                self._add_piece(number, name, block)
                block, number, begin = [], number + 1, scanner.consumed
        if block:
            self._add_piece(number, name, block)

    def _add_piece(self, number: int, name: str, values: list[Any]) -> None:
        is_first = name == self.names[0]
        if not is_first and (number >= self._spool.blocks or len(values) != self._spool.rows_of(number)):
            message = f"It does not have as many rows as {shortened(self.names[0])}."
            raise TabularError("ragged-column", message, column=name, hint=_RECORDS)
        piece = {self._indices[name]: self._texts(name, values, number * _COLUMN_ROWS)}
        self._spool.add(number, piece, len(values))

    # --- both

    def _add_names(self, names: Collection[str]) -> None:
        for name in names:
            if name not in self._indices:
                self._indices[name] = len(self._indices)
                self.kinds.append(set())
        if len(self._indices) > self._limits.max_columns:
            message = f"The table has more than {self._limits.max_columns} columns."
            raise TabularError("too-many-columns", message)

    def _texts(self, name: str, values: list[Any], first_row: int) -> pa.Array:
        kinds = {*map(type, values)} - {type(None)}
        if not kinds <= {str, bool, Number}:
            row = next(row for row, value in enumerate(values, start=1) if isinstance(value, dict | list))
            raise TabularError(
                "nested-value",
                "The value is an array or an object, which a table cannot hold.",
                row=first_row + row,
                column=name,
                hint="Spread it over columns of its own.",
            )
        self.kinds[self._indices[name]] |= kinds
        if bool in kinds:
            values = [BOOLEANS[not value] if isinstance(value, bool) else value for value in values]
        try:
            return pa.array(values, pa.string())
        except (pa.ArrowInvalid, UnicodeEncodeError):
            message = "A text holds half a character (an unpaired surrogate)."
            raise TabularError("not-text", message, column=name) from None


class _RowLabels:
    """The labels of one column's rows, to be compared with those of another without keeping them."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b()
        self._count = 0
        self.are_numbers = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _RowLabels) and self._key() == other._key()

    __hash__ = None  # type: ignore[assignment] # it changes

    def _key(self) -> tuple[int, bytes]:
        return self._count, b"" if self.are_numbers else self._digest.digest()

    def seen(self, pairs: Iterator[tuple[str, Any]]) -> Iterator[Any]:
        """Yield the values of pairs."""
        for label, value in pairs:
            self.are_numbers = self.are_numbers and label == str(self._count)
            self._digest.update(f"{len(label)}:{label}".encode(errors="surrogatepass"))
            self._count += 1
            yield value

    def counted(self, values: Iterator[Any]) -> Iterator[Any]:
        """Yield values that have no labels."""
        for value in values:
            self._count += 1
            yield value


class _Scanner:
    """A JSON text, read value by value through a window that holds one value at the least.

    Attributes:
        consumed: characters that were read.
    """

    def __init__(self, text: TextFile) -> None:
        self._stream = text.open()
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        decoder: Any = json.JSONDecoder(
            parse_int=_spelled, parse_float=_spelled, parse_constant=_constant, strict=False
        )
        self._scan = decoder.scan_once  # `raw_decode` without its wrapping
        self._window = ""
        self._at = 0
        self._before = 0
        self._lines = 1
        self._is_end = False

    @property
    def consumed(self) -> int:
        return self._before + self._at

    def position(self) -> int:
        """Return how many bytes of the file were read."""
        return self._stream.position()

    def close(self) -> None:
        self._stream.close()

    def peek(self) -> str:
        """Return the next character that is not blank, or nothing at the end."""
        while True:
            found = _SPACE.match(self._window, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._window):
                return self._window[self._at]
            if not self._more():
                return ""

    def take(self, *expected: str) -> str:
        """Go past the next character, which must be one of these."""
        character = self.peek()
        if character not in expected or not character:
            found = shortened(character) if character else "the end of the file"
            raise self.error(f"Here stands {found} in place of {' or '.join(map(repr, expected))}.")
        self._at += 1
        return character

    def value(self) -> Any:  # noqa: ANN401 - of any type that JSON has
        """Return the next value; numbers as bytes."""
        self.peek()
        stuck = -1
        while True:
            try:
                value, end = self._scan(self._window, self._at)
            except (StopIteration, json.JSONDecodeError) as error:
                position = error.pos if isinstance(error, json.JSONDecodeError) else error.value
                # What is still wrong at the same place with more text behind it is wrong, unless it is an open text.
                is_open = isinstance(error, json.JSONDecodeError) and error.msg.startswith("Unterminated")
                is_final = self._before + position == stuck and not is_open
                stuck = self._before + position
                if not is_final and self._more():
                    continue
                at = min(stuck - self._before, len(self._window))
                raise self.error("This is not valid JSON.", at) from None
            except RecursionError:
                raise self.error("Arrays and objects are nested too deeply.") from None
            # A number at the end of the window may go on behind it: `1`, `.5`; `1`, `e+`, `5`.
            stop = self._before + end
            if end < len(self._window) - _NUMBER_TAIL or not self._more():
                self._at = stop - self._before
                return value

    def items(self) -> Iterator[Any]:
        """Yield the values of an array."""
        self.take("[")
        if self.peek() == "]":
            self.take("]")
            return
        while True:
            yield self.value()
            if self.take(",", "]") == "]":
                return

    def members(self) -> Iterator[str]:
        """Yield the keys of an object; the caller reads the values."""
        self.take("{")
        if self.peek() == "}":
            self.take("}")
            return
        while True:
            if self.peek() != '"':
                raise self.error("A key must be a text in double quotes.")
            key: str = self.value()
            self.take(":")
            yield key
            if self.take(",", "}") == "}":
                return

    def pairs(self) -> Iterator[tuple[str, Any]]:
        """Yield the keys and values of an object."""
        for key in self.members():
            yield key, self.value()

    def lines(self) -> Iterator[Any]:
        """Yield values until the end."""
        while self.peek():
            yield self.value()

    def holds_columns(self) -> bool:
        """Say whether the object that begins here has an array or an object as its first value; read nothing."""
        found = re.compile(r'\{[ \t\r\n]*"(?:[^"\\]|\\.)*"[ \t\r\n]*:[ \t\r\n]*[\[{]')
        return bool(found.match(self._window, self._at))

    def error(self, message: str, position: int | None = None) -> TabularError:
        """Return the error about what stands here."""
        at = self._at if position is None else position
        line = self._lines + self._window.count("\n", 0, at)
        return TabularError("invalid-json", message, line=line)

    def _more(self) -> bool:
        """Widen the window, and return whether there was more."""
        if self._is_end:
            return False
        if len(self._window) - self._at > MAX_ROW_BYTES:
            line = self._lines + self._window.count("\n", 0, self._at)
            message = f"A value is longer than {MAX_ROW_BYTES // MIB} MiB, or it never ends."
            raise TabularError("row-too-long", message, line=line)
        chunk = self._stream.read(BLOCK_BYTES)
        self._is_end = not chunk
        self._lines += self._window.count("\n", 0, self._at)
        self._window = self._window[self._at :] + self._decoder.decode(chunk, final=self._is_end)
        self._before, self._at = self.consumed, 0
        return not self._is_end


def _spelled(number: str) -> Number:
    return number.encode()


def _constant(name: str) -> Number | None:
    """Take NaN as missing, as pandas does; what is infinite is refused where the numbers are looked at."""
    return None if name == "NaN" else name.encode()


@contextmanager
def _without_collector() -> Iterator[None]:
    """Switch the garbage collector off: records have no cycles, and looking for them takes half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
