"""Points in time and durations of Arrow as texts and whole numbers, in the coarsest unit that is exact for all."""

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.schema.cells import EXACT_INTEGER, does_not_fit
from app.tabular.schema.plan import ColumnPlan
from app.tabular.types import ConversionRequest

_UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY_SECONDS = 86_400
_UTC = ("UTC", "Z", "+00:00", "Etc/UTC")


class Timestamp:
    """Timestamps, in ISO 8601: dates if all are midnights, else in the coarsest unit that is exact for all."""

    def __init__(self, name: str, kind: pa.DataType) -> None:
        self.name = name
        self.type = kind
        self.unit: str = kind.unit

    def scan(self, request: ConversionRequest) -> "_TimestampResolution":  # noqa: ARG002 - of no matter here
        """Return the scan that determines its unit."""
        return _TimestampResolution(self)

    def text(self, column: pa.Array, first_row: int) -> pa.Array:
        """Convert an array to texts; see `TypedColumn`."""
        # Stored values are UTC; a cast to a type without a zone would not shift them, but is less explicit.
        timestamps = column.view(pa.int64()).view(pa.timestamp(self.type.unit))
        if self.unit == "day":
            return _in_range(self.name, timestamps.cast(pa.date32()).cast(pa.string()), first_row)
        texts = timestamps.cast(pa.timestamp(self.unit), safe=False).cast(pa.string())
        texts = _in_range(self.name, texts, first_row)
        texts = pc.binary_replace_slice(texts.view(pa.binary()), 10, 11, b"T").view(pa.string())
        return pc.binary_join_element_wise(texts, "Z", "") if self.type.tz else texts


class _TimestampResolution:
    """Finds the coarsest exact unit of a column of timestamps, and sets it as `column.unit`."""

    needs_all_rows = True
    expected_pattern = None

    def __init__(self, column: Timestamp) -> None:
        self._column = column
        second = _UNITS[column.type.unit]
        # From coarse to fine; a day has a different length elsewhere, so a zone needs the hours.
        steps = {} if column.type.tz else {"day": _DAY_SECONDS * second}
        steps |= {unit: second // per for unit, per in _UNITS.items() if per <= second}
        self._steps = list(steps.items())

    @property
    def is_settled(self) -> bool:
        return len(self._steps) == 1

    def update(self, column: pa.Array, first_row: int) -> None:  # noqa: ARG002 - no row is at fault
        ticks = column.view(pa.int64()).drop_null()
        while len(self._steps) > 1 and not _divides(self._steps[0][1], ticks):
            del self._steps[0]

    def plan(self) -> ColumnPlan:
        self._column.unit = self._steps[0][0]
        zone = self._column.type.tz
        is_told = bool(zone) and zone not in _UTC
        name = self._column.name
        advice = (
            f"The points in time of column {name!r} are published in UTC; in the file their zone is {zone}."
        )
        return ColumnPlan(name, "string", advice=advice if is_told else "")


class Duration:
    """Durations: whole numbers of the coarsest unit that is exact for all."""

    def __init__(self, name: str, kind: pa.DataType) -> None:
        self.name = name
        self.type = kind
        self.step = 1

    def scan(self, request: ConversionRequest) -> "_DurationResolution":  # noqa: ARG002 - of no matter here
        """Return the scan that determines its unit."""
        return _DurationResolution(self)

    def text(self, column: pa.Array, first_row: int) -> pa.Array:  # noqa: ARG002 - always fits
        """Convert an array to texts; see `TypedColumn`."""
        return pc.divide(column.view(pa.int64()), self.step).cast(pa.string())


class _DurationResolution:
    """Finds the coarsest exact unit of a column of durations, and sets it as `column.step`."""

    needs_all_rows = True
    expected_pattern = None
    is_settled = False

    def __init__(self, column: Duration) -> None:
        self._column = column
        second = _UNITS[column.type.unit]
        # From coarse to fine: ticks of the file in each unit.
        self._steps = [(unit, second // per) for unit, per in _UNITS.items() if per <= second]
        self._most = 0

    def update(self, column: pa.Array, first_row: int) -> None:  # noqa: ARG002 - no row is at fault
        ticks = column.view(pa.int64()).drop_null()
        while len(self._steps) > 1 and not _divides(self._steps[0][1], ticks):
            del self._steps[0]
        if len(ticks):
            found = pc.min_max(ticks).as_py()
            self._most = max(self._most, abs(found["min"]), abs(found["max"]))

    def plan(self) -> ColumnPlan:
        unit, self._column.step = self._steps[0]
        is_exact = self._most // self._column.step <= EXACT_INTEGER
        advice = (
            f"The durations of column {self._column.name!r} are published as numbers of {_UNIT_NAMES[unit]}."
        )
        return ColumnPlan(self._column.name, "integer" if is_exact else "string", advice=advice)


def _divides(step: int, ticks: pa.Array) -> bool:
    whole = pc.multiply(pc.divide(ticks, step), step)
    return bool(pc.all(pc.equal(whole, ticks)).as_py() is not False)


def _in_range(name: str, texts: pa.Array, first_row: int) -> pa.Array:
    """Refuse years of more than four digits, which Arrow cannot format as ISO 8601."""
    is_odd = pc.invert(pc.match_substring_regex(texts, r"^[0-9]{4}-"))
    if is_odd.true_count:
        position = pc.index(is_odd, value=True).as_py()
        raise does_not_fit(name, texts[position].as_py(), "is beyond the year 9999", first_row + position)
    return texts
