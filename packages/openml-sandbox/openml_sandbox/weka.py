"""Reads ARFF as Weka's `ArffLoader` does: the reader behind OpenML's evaluation engine.

Of dates only the default format is known: the gate of an upload lets no other through. Only one block of a file
is in memory at a time.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from openml_sandbox.tokenizer import CLOSE, END, OPEN, Token, WekaError, cut, error_at, tokenize
from openml_sandbox.weka_header import Header, Lines, after_weight
from openml_sandbox.weka_values import Attribute, Column, check_column

BLOCK_BYTES = 1 << 18
_BATCH_CELLS = 1 << 17


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

    def on_columns(self, columns: list[Column]) -> None:
        """These are the next dense rows, as columns."""

    def on_block(self) -> None:
        """A block of the file is done."""


def read_arff(file: BinaryIO, watcher: Watcher) -> Summary:
    """Read a whole file, opened for binary reading, from its start.

    Raises:
        WekaError: Weka refuses the file.
    """
    lines = Lines(file)
    attributes = Header(lines).read()
    watcher.on_header(attributes)
    reader = _RowReader(attributes, watcher)
    while block := file.read(BLOCK_BYTES):
        block += file.readline()
        reader.read_block(block, lines.number + 1)
        lines.number += block.count(b"\n")
        watcher.on_block()
    return reader.finish()


class _RowReader:
    """Counts rows and missing values; dense rows are checked a batch and a column at a time."""

    def __init__(self, attributes: list[Attribute], watcher: Watcher) -> None:
        self._attributes = attributes
        self._watcher = watcher
        self._summary = Summary(attributes)
        self._cells: Column = []
        """The values of rows that are not checked yet, row by row."""
        self._numbers: list[int] = []
        """The line of each of these rows."""

    def read_block(self, block: bytes, first_line: int) -> None:
        """Read some whole lines."""
        block = block.replace(b"\r\n", b"\n")
        rows = block.strip(b"\n")
        # Cutting at commas is many times faster than cutting tokens; most files are plain in most places.
        cells = cut(rows, len(self._attributes)) if rows else []
        if cells is None:
            self._read_lines(block, first_line)
        elif cells:
            first_line += block.index(rows)
            self._cells += cells
            self._numbers += range(first_line, first_line + rows.count(b"\n") + 1)
        if len(self._cells) >= _BATCH_CELLS:
            self._check_batch()

    def _read_lines(self, block: bytes, first_line: int) -> None:
        try:
            for number, line in enumerate(block.split(b"\n"), first_line):
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

    def _read_tokens(self, tokens: list[Token], line: int) -> None:
        width = len(self._attributes)
        while tokens:
            if tokens[0] == OPEN:
                tokens = self._read_sparse(tokens, line)
                continue
            values = tokens[:width]
            if len(values) < width or any(token.is_symbol for token in values):
                raise self._failure_in_row(values, line)
            self._cells += [token.value for token in values]
            self._numbers.append(line)
            tokens = after_weight(tokens[width:], line)

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
        return after_weight(tokens[position + 1 :], line)

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
        nan_rows, failure = check_column(attribute, [token.value])
        if failure:
            raise error_at(failure[1], token, line)
        is_missing = token.value is None or bool(nan_rows)
        attribute.missing_count += is_missing
        return is_missing

    def _check_batch(self) -> None:
        cells, self._cells = self._cells, []
        numbers, self._numbers = self._numbers, []
        if not numbers:
            return
        width = len(self._attributes)
        columns = [cells[index::width] for index in range(width)]
        failures: list[tuple[int, int, str]] = []
        with_missing: list[Column] = []
        for index, (attribute, column) in enumerate(zip(self._attributes, columns, strict=True)):
            nan_rows, failure = check_column(attribute, column)
            for row in nan_rows:
                column[row] = None
            if failure:
                failures.append((failure[0], index, failure[1]))
            missing_count = column.count(None)
            attribute.missing_count += missing_count
            if missing_count and index not in self._watcher.ignored:
                with_missing.append(column)
        # Columns were checked one after the other; Weka reads row by row, so the first bad row counts.
        bad_row, bad_column, message = min(failures, default=(len(numbers), 0, ""))
        if bad_row > 0:
            self._watcher.on_rows()
        if failures:
            raise error_at(message, Token(columns[bad_column][bad_row] or b""), numbers[bad_row])
        self._summary.row_count += len(numbers)
        self._summary.rows_with_missing += sum(None in row for row in zip(*with_missing, strict=True))
        if self._watcher.target is not None:
            self._watcher.on_target(columns[self._watcher.target])
        self._watcher.on_columns(columns)
