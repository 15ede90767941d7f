"""JSON as `pandas.read_json` reads it: an array of records, records line by line, or an object of columns.

It is read once, value by value, and spooled as columns of text, from which the types are inferred and the rows written.
"""

import gc
import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import pyarrow as pa

from app.tabular.readers.json_scanner import JsonScanner, Number
from app.tabular.readers.spool import ColumnSpool
from app.tabular.readers.text import BLOCK_BYTES, TextFile
from app.tabular.schema.cells import BOOLEANS
from app.tabular.table import Block
from app.tabular.types import MIB, ConversionRequest, Repair, TabularError
from app.tabular.wording import shortened

_MOST_ROWS = 16_384
_MOST_CELLS = 2_000_000
# Of one column in an object of columns.
_COLUMN_ROWS = 4096
_COLUMN_BYTES = 64 * MIB
_HALF = "holds half a character (an unpaired surrogate)"
_RECORDS = "Save the table as an array of records: to_json(orient='records')."


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
            TabularError: `invalid-json`, `nested-value`, `not-text`, `row-too-long`, `too-many-columns`, `no-rows`.
        """
        self._size = text.size
        self._limits = request.limits
        self._progress = on_progress
        self._spool = ColumnSpool(request.target.parent, request.limits)
        self._left_out = frozenset(request.leave_out)
        self._indices: dict[str, int] = {}
        self.kinds: list[set[type]] = []
        self.repairs: tuple[Repair, ...] = ()
        with closing(JsonScanner(text)) as scanner, _without_collector():
            self._read(scanner, is_lines=request.format == "jsonl")
        if not self._spool.rows or not self.names:
            raise TabularError.no_rows()

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

    def _read(self, scanner: JsonScanner, *, is_lines: bool) -> None:
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

    def _read_records(self, scanner: JsonScanner, values: Iterator[Any]) -> None:
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
                if name not in self._left_out
            }
            self._spool.add(self._spool.blocks, columns, len(records))
        return rows

    # --- columns

    def _read_columns(self, scanner: JsonScanner) -> None:
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

    def _read_column(self, scanner: JsonScanner, name: str, values: Iterator[Any]) -> None:
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
        is_wanted = name not in self._left_out
        piece = {self._indices[name]: self._texts(name, values, number * _COLUMN_ROWS)} if is_wanted else {}
        self._spool.add(number, piece, len(values))

    # --- both

    def _add_names(self, names: Collection[str]) -> None:
        for name in names:
            if name not in self._indices:
                _require_writable(name)
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
            raise TabularError("not-text", f"A text {_HALF}.", column=name) from None


def _require_writable(name: str) -> None:
    """Refuse a column's name that no UTF-8 can hold: neither the ARFF file nor any answer could show it.

    Raises:
        TabularError: `not-text`.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise TabularError("not-text", f"The name {shortened(name)} of a column {_HALF}.") from None


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


@contextmanager
def _without_collector() -> Iterator[None]:
    """Switch the garbage collector off: records have no cycles, and the search for them takes half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
