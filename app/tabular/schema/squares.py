"""Detects columns whose sum of squares is infinite as a double, which OpenML's engine cannot process."""

import math
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

# What a number beyond `_LEAST` has: an exponent of three digits, or many digits.
_MARKS = (b"e", b"E")
_LONG = 130
_CANDIDATE = r"[eE]\+?0*[1-9][0-9]{2}|[0-9]{130}"
_LEAST = 1e149
"""Smaller numbers do not count beside the largest square there is, however many they are."""


def _may_be_large(cells: pa.Array) -> bool:
    """Return whether there may be numbers whose squares count; for a slice, anywhere in its parent."""
    data = cells.buffers()[2]
    text = data.to_pybytes() if data is not None else b""
    has_exponents = any(mark in text for mark in _MARKS)
    return has_exponents or (pc.max(pc.binary_length(cells)).as_py() or 0) >= _LONG


class Squares:
    """Sums of the squares of columns of numbers, as far as they come near the largest number.

    Attributes:
        beyond: columns by index whose sum is infinite: the row (from 0) of the number at which it became so, and its
            text.
    """

    def __init__(self) -> None:
        self.beyond: dict[int, tuple[int, str]] = {}
        self._sums: dict[int, float] = {}

    def add(
        self, cells: pa.Array, place: Callable[[int], tuple[int, int]], *, is_row_major: bool = False
    ) -> None:
        """Add numbers as they are spelled, and nulls.

        Args:
            cells: of several columns.
            place: says of which column and row (from 0) each is, by its position.
            is_row_major: whether they stand row after row, and not column after column.
        """
        if not _may_be_large(cells):
            return
        candidates = pc.indices_nonzero(pc.match_substring_regex(cells, _CANDIDATE)).to_pylist()
        places = ((*place(position), cells[position].as_py()) for position in candidates)
        # Column by column: so they are told.
        for index, row, text in sorted(places) if is_row_major else places:
            self.add_number(index, row, text)

    def add_number(self, index: int, row: int, text: str) -> None:
        """Add one number of a column."""
        number = float(text)
        if index in self.beyond or abs(number) < _LEAST:
            return
        self._sums[index] = self._sums.get(index, 0.0) + number * number
        if math.isinf(self._sums[index]):
            self.beyond[index] = (row, text)
