"""Integers of Arrow columns that a double may not hold."""

from collections.abc import Callable
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.schema.cells import EXACT_INTEGER
from app.tabular.schema.plan import ColumnPlan
from app.tabular.types import ConversionRequest

_WIDE_DIGITS = 40


class IntegerRange:
    """Detects integers beyond 2**53, which a double cannot hold."""

    needs_all_rows = True
    expected_pattern = None

    def __init__(self, name: str, numbers: Callable[[pa.Array], pa.Array] = lambda column: column) -> None:
        """Check a column of this name; `numbers` converts its values to integers."""
        self.name = name
        self.is_settled = False
        self._numbers = numbers
        self._first = ""

    def update(self, column: pa.Array, first_row: int) -> None:
        """Take the next block."""
        numbers = self._numbers(column)
        found = pc.min_max(numbers).as_py()
        extremes = [] if found["min"] is None else [found["min"], found["max"]]
        beyond = next((number for number in extremes if abs(number) > EXACT_INTEGER), None)
        if beyond is not None:
            self.is_settled = True
            row = first_row + pc.index(numbers, pa.scalar(beyond, numbers.type)).as_py() + 1
            self._first = f"row {row} has {beyond}"

    def plan(self) -> ColumnPlan:
        """Return the plan: text, if a double cannot hold all."""
        if not self.is_settled:
            return ColumnPlan(self.name, "integer")
        advice = (
            f"Column {self.name!r} is published as text, for OpenML reads numbers beyond 2^53 with other digits "
            f'({self._first}); declare it "real" to have numbers.'
        )
        return ColumnPlan(self.name, "string", advice=advice)


class WideInteger:
    """Integers of 128 bits, stored as bytes with the lowest first."""

    def __init__(self, name: str, *, is_signed: bool) -> None:
        self.name = name
        self._is_signed = is_signed

    def scan(self, request: ConversionRequest) -> IntegerRange:  # noqa: ARG002 - of no matter here
        """Return the scan that determines whether a double can hold all values."""
        return IntegerRange(self.name, self._numbers)

    def text(self, column: pa.Array, first_row: int) -> pa.Array:  # noqa: ARG002 - always fits
        """Convert an array to texts; see `TypedColumn`."""
        return self._numbers(column).cast(pa.string())

    def _numbers(self, column: pa.Array) -> pa.Array:
        numbers = [
            None if value is None else Decimal(int.from_bytes(value, "little", signed=self._is_signed))
            for value in column.to_pylist()
        ]
        return pa.array(numbers, pa.decimal256(_WIDE_DIGITS, 0))
