"""Bit-sliced columns: conditions, counts and orders over a million rows by arithmetic on long whole numbers.

A value has a code of at most 64 bits, in the order of the values; 0 stands for none. Bit `b` of the codes of all rows
is slice `b` of the column (O'Neil and Quass, "Improved query performance with variant indexes", 1997). A bitmap is an
`int` whose bit `n` stands for row `n`. Slices lie in blocks of rows, and are written with the rows themselves.
"""

import json
import re
import sqlite3
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import groupby
from typing import Final

from app.index.fields import KINDS, NUMERIC_COLUMNS, Scalar
from app.index.reading import ReadingConnection

BLOCK: Final = 32_000
"""Rows of a block; a slice of it fills a page of SQLite's, and needs no other."""
LABELLED: Final = frozenset({"status", "licence", "format", "subtype"})
"""Columns of texts that have numbers of their own, in no order."""
SLICED: Final = ("shelf", *sorted(LABELLED), "date", "name", *sorted(NUMERIC_COLUMNS))
INEXACT: Final = frozenset({"name"})
"""Columns whose codes are of the beginning of a value alone: good for an order that is looked at again."""
TABLES: Final = (
    "CREATE TABLE slice (id INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    "CREATE TABLE label (code INTEGER PRIMARY KEY, field TEXT NOT NULL, value TEXT NOT NULL, UNIQUE (field, value))",
)
SPLITS_KEPT: Final = 16
"""Comparisons whose rows are remembered, for the next range begins where one ends."""
MOST_LOOKED_INTO: Final = 2000
"""Groups of values that are split until the commonest are known."""
_PLACES: Final = {column: place for place, column in enumerate(SLICED)}
_BITS: Final = 64
_SIGN: Final = 1 << (_BITS - 1)
_ALL_BITS: Final = (1 << _BITS) - 1
_MOST_BLOCKS: Final = 1 << 24
_NAME_BYTES: Final = 6
_NO_DIGITS: Final = re.compile(r"\D")

Codes = Mapping[str, int]


def code_of_number(number: float) -> int:
    """Return the code of a finite number."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", float(number) + 0.0))
    return int(bits ^ (_ALL_BITS if bits & _SIGN else _SIGN))


def _number_of_code(code: int) -> float:
    bits = code ^ (_SIGN if code & _SIGN else _ALL_BITS)
    (number,) = struct.unpack(">d", struct.pack(">Q", bits))
    return int(number) if number.is_integer() else float(number)


def code_of(column: str, value: Scalar) -> int:
    """Return the code of a value of a column that is no label; 0 for none."""
    if value is None:
        return 0
    if column == "shelf":
        return int(value) + len(KINDS) + 1
    if column == "date":
        return int(_NO_DIGITS.sub("", str(value)))
    if column == "name":
        # Begun with a one, for an empty name is one, too.
        return int.from_bytes(b"\1" + str(value).encode()[:_NAME_BYTES].ljust(_NAME_BYTES, b"\0"), "big")
    return code_of_number(float(value))


def _ids(column: str, block: int) -> int:
    return (_PLACES[column] * _MOST_BLOCKS + block) * _BITS


class BitmapWriter:
    """Gathers the values of rows, and writes them at the end of a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._pending: dict[int, Codes] = {}

    def put(self, row: int, values: Mapping[str, Scalar]) -> None:
        """Set the values of a row."""
        self._pending[row] = {
            column: self._label(column, value) if column in LABELLED else code_of(column, value)
            for column, value in values.items()
            if column in _PLACES
        }

    def remove(self, row: int) -> None:
        """Take a row out of all columns."""
        self._pending[row] = {}

    def forget(self) -> None:
        """Forget what was gathered."""
        self._pending.clear()

    def write(self) -> None:
        """Write what was gathered."""
        rows = sorted(self._pending)
        for block, group in groupby(rows, key=lambda row: row // BLOCK):
            members = list(group)
            for column in SLICED:
                self._write_block(column, block, members)
        self._pending.clear()

    def _write_block(self, column: str, block: int, rows: Sequence[int]) -> None:
        touched = bytearray(BLOCK // 8)
        new: dict[int, bytearray] = {}
        for row in rows:
            byte, mask = row % BLOCK >> 3, 1 << (row & 7)
            touched[byte] |= mask
            code = self._pending[row].get(column, 0)
            while code:
                bit = code.bit_length() - 1
                code ^= 1 << bit
                if bit not in new:
                    new[bit] = bytearray(BLOCK // 8)
                new[bit][byte] |= mask
        first = _ids(column, block)
        there: dict[int, bytes] = {
            number - first: data
            for number, data in self._connection.execute(
                "SELECT id, data FROM slice WHERE id >= ? AND id < ?", (first, first + _BITS)
            )
        }
        kept = ~int.from_bytes(touched, "little")
        for bit in {*there, *new}:
            before = int.from_bytes(there.get(bit, b""), "little")
            after = before & kept | int.from_bytes(new.get(bit, b""), "little")
            if after != before:
                self._connection.execute(
                    "INSERT OR REPLACE INTO slice VALUES (?, ?)",
                    (first + bit, after.to_bytes(BLOCK // 8, "little")),
                )

    def _label(self, column: str, value: Scalar) -> int:
        if value is None:
            return 0
        found = self._connection.execute(
            "SELECT code FROM label WHERE field = ? AND value = ?", (column, value)
        ).fetchone()
        if found:
            return int(found[0])
        return int(
            self._connection.execute(
                "INSERT INTO label (field, value) VALUES (?, ?)", (column, value)
            ).lastrowid
            or 0
        )


class Bitmaps:
    """The columns as one search reads them. All of it ends with `sqlite3.OperationalError` when its time is over."""

    def __init__(self, connection: ReadingConnection) -> None:
        self._connection = connection
        self._slices: dict[str, Mapping[int, int]] = {}
        self._valued: dict[str, int] = {}
        self._splits: dict[tuple[str, int], tuple[int, int]] = {}

    def everything(self) -> int:
        """Return all rows."""
        return self.exists("shelf")

    def exists(self, column: str) -> int:
        """Return the rows that have a value."""
        if column not in self._valued:
            found = 0
            for each in self._column(column).values():
                found |= each
            self._valued[column] = found
        return self._valued[column]

    def compare(self, column: str, sign: str, code: int) -> int:
        """Return the rows whose code is like this (`=`, `<`, `<=`, `>`, `>=`); those without a value never are."""
        larger, equal = self._split(column, code)
        if sign == "=":
            return equal
        if sign == ">":
            return larger
        if sign == ">=":
            return larger | equal
        smaller = self.exists(column) & ~(larger | equal)
        return smaller if sign == "<" else smaller | equal

    def _split(self, column: str, code: int) -> tuple[int, int]:
        """Return the rows whose code is larger, and those whose code it is."""
        if (column, code) in self._splits:
            return self._splits[column, code]
        self._connection.look()
        slices = self._column(column)
        larger, equal = 0, self.everything()
        for bit in range(max([code.bit_length() - 1, *slices]), -1, -1):
            ones = slices.get(bit, 0)
            if code >> bit & 1:
                equal &= ones
            elif ones:
                both = equal & ones
                larger |= both
                equal ^= both
        while len(self._splits) >= SPLITS_KEPT:
            del self._splits[next(iter(self._splits))]
        self._splits[column, code] = larger, equal
        return larger, equal

    def labelled(self, column: str, value: str) -> int:
        """Return the rows with a text."""
        found = self._connection.execute(
            "SELECT code FROM label WHERE field = ? AND value = ?", (column, value)
        ).fetchone()
        return self.compare(column, "=", found[0]) if found else 0

    def selected(self, statement: str, values: Iterable[Scalar]) -> int:
        """Return the rows whose numbers a statement tells."""
        self._connection.look()
        return bitmap_of(row for (row,) in self._connection.execute(statement, tuple(values)))

    def one_of(self, column: str, codes: Iterable[int]) -> int:
        """Return the rows with one of these codes."""
        bits = sorted(self._column(column), reverse=True)
        known = sum(1 << bit for bit in bits)
        return self._among(column, bits, [code for code in codes if code & ~known == 0], self.exists(column))

    def _among(self, column: str, bits: Sequence[int], codes: Sequence[int], rows: int) -> int:
        if not codes or not rows or not bits:
            return rows if codes else 0
        self._connection.look()
        first, *others = bits
        ones = rows & self._column(column)[first]
        with_it = [code for code in codes if code >> first & 1]
        without = [code for code in codes if not code >> first & 1]
        return self._among(column, others, with_it, ones) | self._among(column, others, without, rows ^ ones)

    def top(self, rows: int, keys: Sequence[tuple[str | None, bool]], count: int, most: int) -> int:
        """Return rows that hold the first ones of an order.

        Args:
            rows: of which.
            keys: columns (None: another field) and whether the largest come first; at the end the newest rows do.
            count: how many are wanted.
            most: how many are looked at of those that the columns do not tell apart; the newest.
        """
        if not keys or rows.bit_count() <= count:
            return newest_bits(rows, count)
        (column, is_descending), *others = keys
        if column is None:
            return newest_bits(rows, max(most, count))
        valued = rows & self.exists(column)
        sure, equal = self._first(valued, column, count, is_descending=is_descending)
        left = count - sure.bit_count()
        if left <= 0:
            return sure
        if not equal:
            return sure | self.top(rows & ~valued, others, left, most)
        if column in INEXACT:
            return sure | newest_bits(equal, max(most, left))
        return sure | self.top(equal, others, left, most)

    def _first(self, rows: int, column: str, count: int, *, is_descending: bool) -> tuple[int, int]:
        """Return those that are among the first so many for sure, and those of equal codes of which some are."""
        if rows.bit_count() <= count:
            return rows, 0
        sure, slices = 0, self._column(column)
        for bit in sorted(slices, reverse=True):
            ones = rows & slices[bit]
            before = ones if is_descending else rows ^ ones
            found = (sure | before).bit_count()
            if found > count:
                rows = before
            else:
                sure |= before
                rows ^= before
                if found == count:
                    return sure, 0
        return sure, rows

    def counts(self, rows: int, column: str, most: int) -> list[tuple[Scalar, int]]:
        """Return the commonest values of rows, and how many have each."""
        slices = self._column(column)
        bits = sorted(slices, reverse=True)
        start = rows & self.exists(column)
        groups = [(-start.bit_count(), 0, 0, start)] if start else []
        found: list[tuple[int, int]] = []
        looked = 0
        while groups and len(found) < most and looked < MOST_LOOKED_INTO:
            count, code, depth, inside = heappop(groups)
            if depth == len(bits):
                found.append((code, -count))
                continue
            looked += 1
            self._connection.look()
            ones = inside & slices[bits[depth]]
            zeros = inside ^ ones
            if ones:
                heappush(groups, (-ones.bit_count(), code | 1 << bits[depth], depth + 1, ones))
            if zeros:
                heappush(groups, (-zeros.bit_count(), code, depth + 1, zeros))
        return [(self._value(column, code), count) for code, count in found]

    def _value(self, column: str, code: int) -> Scalar:
        if column == "date":
            digits = f"{code:014}"
            return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]} {digits[8:10]}:{digits[10:12]}:{digits[12:]}"
        if column not in LABELLED:
            return _number_of_code(code)
        (value,) = self._connection.execute("SELECT value FROM label WHERE code = ?", (code,)).fetchone()
        return str(value)

    def _column(self, column: str) -> Mapping[int, int]:
        if column not in self._slices:
            self._slices[column] = self._read(column)
        return self._slices[column]

    def _read(self, column: str) -> Mapping[int, int]:
        first = _ids(column, 0)
        parts: defaultdict[int, list[bytes]] = defaultdict(list)
        empty = bytes(BLOCK // 8)
        for number, data in self._connection.execute(
            "SELECT id - ?, data FROM slice WHERE id >= ? AND id < ?",
            (first, first, first + _BITS * _MOST_BLOCKS),
        ):
            blocks, block = parts[number % _BITS], number // _BITS
            if len(blocks) < block:
                blocks.extend([empty] * (block - len(blocks)))
            blocks.append(data)
        return {bit: int.from_bytes(b"".join(blocks), "little") for bit, blocks in parts.items()}


Mask = Callable[[Bitmaps], int]


def bitmap_of(rows: Iterable[int]) -> int:
    """Return a bitmap of rows."""
    data = bytearray()
    for row in rows:
        byte = row >> 3
        if byte >= len(data):
            data.extend(bytes(byte + 1 - len(data) + BLOCK // 8))
        data[byte] |= 1 << (row & 7)
    return int.from_bytes(data, "little")


def newest(rows: int, count: int) -> list[int]:
    """Return the numbers of the newest so many rows, the newest first."""
    size = (rows.bit_length() + 63) // 64
    words = struct.unpack(f"<{size}Q", rows.to_bytes(8 * size, "little"))
    found: list[int] = []
    place = size
    for word in reversed(words):
        place -= 1
        if not word:
            continue
        if len(found) >= count:
            break
        left, first = word, 64 * place - 1
        while left:
            length = left.bit_length()
            found.append(first + length)
            left ^= 1 << (length - 1)
    return found[:count]


def newest_bits(rows: int, count: int) -> int:
    """Return the newest so many rows."""
    if rows.bit_count() <= count:
        return rows
    return rows >> (last := newest(rows, count)[-1]) << last if count > 0 else 0


def as_json(rows: Iterable[int]) -> str:
    """Return numbers of rows as SQLite's `json_each` takes them."""
    return json.dumps(list(rows))
