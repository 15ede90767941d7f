"""Columns with Arrow types, from Parquet and Feather: their scans, and their conversion to text."""

from collections.abc import Callable
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as pt

from app.tabular.schema.cells import BOOLEANS, EXACT_INTEGER, TYPED, does_not_fit
from app.tabular.schema.labels import InferredLabels, target_labels
from app.tabular.schema.plan import ColumnPlan
from app.tabular.schema.scans import KnownType, Scan
from app.tabular.types import ConversionRequest, Kind, Repair, TabularError

_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY_SECONDS = 86_400


class TypedColumn(Protocol):
    """One column of a typed table."""

    name: str

    def scan(self, request: ConversionRequest) -> Scan:
        """Return the scan of the column; it takes arrays of the column's type in the file."""
        ...

    def text(self, column: pa.Array, first_row: int) -> pa.Array:
        """Convert an array of the column, whose first row is number `first_row` (from 0), to strings.

        Raises:
            TabularError: `not-finite` or `value-does-not-fit`.
        """
        ...


def typed_column(name: str, kind: pa.DataType, *, is_ordered: bool = False) -> TypedColumn:
    """Return the column of this name and type.

    Args:
        name: as published.
        kind: its type in the file.
        is_ordered: for categories, whether their order is part of the data.

    Raises:
        TabularError: `unusable-type`.
    """
    for is_kind, column in _COLUMNS:
        if is_kind(kind):
            return column(name, kind)
    if pt.is_dictionary(kind):
        return _Category(name, kind, is_ordered=is_ordered or kind.ordered)
    if isinstance(kind, pa.ExtensionType):
        return typed_column(name, kind.storage_type, is_ordered=is_ordered)
    subject = "It holds lists or structures, which have" if pt.is_nested(kind) else f"Its type, {kind}, has"
    message = f"{subject} no counterpart in ARFF."
    raise TabularError("unusable-type", message, column=name, hint=_hint(kind))


class TextScan:
    """A scan of texts, applied to a typed column."""

    def __init__(self, column: TypedColumn, scan: Scan) -> None:
        self.needs_all_rows = not isinstance(scan, KnownType)
        self.expected_pattern = None
        self._column = column
        self._scan = scan

    @property
    def is_settled(self) -> bool:
        """Whether further blocks cannot change the plan."""
        return self._scan.is_settled

    def update(self, column: pa.Array, first_row: int) -> None:
        """Convert the next block to text, and pass it on.

        Raises:
            TabularError: what the scan raises.
        """
        self._scan.update(self._column.text(column, first_row), first_row)

    def plan(self) -> ColumnPlan | Repair | None:
        """Return the plan of the scan."""
        return self._scan.plan()


class _Column:
    """A column whose plan depends on its type only."""

    kind: Kind = "string"

    def __init__(self, name: str, kind: pa.DataType) -> None:
        self.name = name
        self.type = kind

    def scan(self, request: ConversionRequest) -> Scan:  # noqa: ARG002 - others need it
        return KnownType(ColumnPlan(self.name, self.kind))

    def text(self, column: pa.Array, first_row: int) -> pa.Array:  # noqa: ARG002 - others need it
        return column.cast(pa.string())


class _Text(_Column):
    """Text of any Arrow type; a target becomes nominal."""

    def scan(self, request: ConversionRequest) -> Scan:
        labels = target_labels(self.name, request, TYPED)
        return TextScan(self, labels) if labels else super().scan(request)


class _Null(_Column):
    """A column of Arrow's null type, without values."""

    kind: Kind = "real"


class _Boolean(_Column):
    """Booleans."""

    def scan(self, request: ConversionRequest) -> Scan:  # noqa: ARG002 - of no matter here
        return KnownType(ColumnPlan(self.name, "nominal", BOOLEANS))

    def text(self, column: pa.Array, first_row: int) -> pa.Array:  # noqa: ARG002 - always fits
        true, false = BOOLEANS
        # A choice between two texts takes twice as long.
        return pa.array([false, true], pa.string()).take(column.cast(pa.int8()))


class _Float(_Column):
    """Floating-point numbers: NaN is missing, as in pandas."""

    kind: Kind = "real"

    def text(self, column: pa.Array, first_row: int) -> pa.Array:
        column = column.cast(pa.float32()) if pt.is_float16(column.type) else column
        if pc.all(pc.is_finite(column)).as_py() is not False:
            return column.cast(pa.string())
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        is_infinite = pc.is_inf(column)
        if is_infinite.true_count:
            raise TabularError(
                "not-finite",
                "The column holds numbers, but one is infinite, and OpenML cannot store it.",
                row=first_row + pc.index(is_infinite, value=True).as_py() + 1,
                column=self.name,
                hint="Make the value missing.",
            )
        return column.cast(pa.string())


class _Decimal(_Column):
    """Decimals, with all digits."""

    kind: Kind = "real"


class _Integer(_Column):
    """Integers; published as text if one is beyond 2**53, which a double cannot hold."""

    def scan(self, request: ConversionRequest) -> Scan:  # noqa: ARG002 - of no matter here
        is_narrow = pt.is_integer(self.type) and self.type.bit_width <= 32  # noqa: PLR2004 - bits
        return KnownType(ColumnPlan(self.name, "integer")) if is_narrow else _IntegerRange(self.name)


class _IntegerRange:
    """Detects integers beyond 2**53, which a double cannot hold."""

    needs_all_rows = True
    expected_pattern = None

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_settled = False

    def update(self, column: pa.Array, first_row: int) -> None:  # noqa: ARG002 - no row is at fault
        found = pc.min_max(column).as_py()
        if found["min"] is not None:
            self.is_settled = found["min"] < -EXACT_INTEGER or found["max"] > EXACT_INTEGER

    def plan(self) -> ColumnPlan:
        return ColumnPlan(self.name, "string" if self.is_settled else "integer")


class _Category(_Column):
    """A dictionary; all its values are labels, whether they occur or not."""

    def __init__(self, name: str, kind: pa.DataType, *, is_ordered: bool) -> None:
        super().__init__(name, kind)
        self._is_ordered = is_ordered
        self._values = typed_column(name, kind.value_type)

    def scan(self, request: ConversionRequest) -> Scan:
        is_target = self.name in request.target_attributes
        labels = InferredLabels(
            self.name,
            request.limits.max_labels,
            frozenset(),
            is_ordered=self._is_ordered,
            repair=request.repair,
        )
        return _Categories(self, labels, may_be_text=request.repair and not is_target)

    def text(self, column: pa.Array, first_row: int) -> pa.Array:
        column = column.dictionary_decode() if pt.is_dictionary(column.type) else column
        return self._values.text(column, first_row)

    def labels(self, column: pa.Array) -> list[str]:
        """Return a dictionary's values as text."""
        values = column.dictionary if pt.is_dictionary(column.type) else pc.unique(column)
        texts: list[str] = self._values.text(values.drop_null(), 0).drop_null().to_pylist()
        return texts


class _Categories:
    """Collects the labels of a dictionary column; if they are not valid, it may be published as text."""

    needs_all_rows = True
    expected_pattern = None

    def __init__(self, column: _Category, labels: InferredLabels, *, may_be_text: bool) -> None:
        self._column = column
        self._labels = labels
        self._may_be_text = may_be_text
        self._last: pa.Array | None = None
        self._is_empty = True

    @property
    def is_settled(self) -> bool:
        return self._labels.is_settled

    def update(self, column: pa.Array, first_row: int) -> None:  # noqa: ARG002 - a label stands in no row
        values = column.dictionary if pt.is_dictionary(column.type) else column
        if self._last is not None and values.equals(self._last):
            return
        self._last = values
        labels = self._column.labels(column)
        self._is_empty = self._is_empty and not labels
        self._labels.add(labels)

    def plan(self) -> ColumnPlan:
        if self._is_empty:
            return ColumnPlan(self._column.name, "real")
        try:
            return self._labels.plan()
        except TabularError as error:
            if not self._may_be_text:
                raise
            repair = Repair(
                column=self._column.name,
                change=f"The categories of {self._column.name!r} are published as text.",
                reason=error.message,
            )
            return ColumnPlan(self._column.name, "string", repairs=(repair,))


class _TimeOfDay(_Column):
    """Times of day, in ISO 8601, without a fraction of zeros."""

    def text(self, column: pa.Array, first_row: int) -> pa.Array:
        return pc.replace_substring_regex(super().text(column, first_row), r"\.0+$", "")


class _Timestamp(_Column):
    """Timestamps, in ISO 8601: dates if all are midnights, else in the coarsest unit that is exact for all."""

    def __init__(self, name: str, kind: pa.DataType) -> None:
        super().__init__(name, kind)
        self.unit: str = kind.unit

    def scan(self, request: ConversionRequest) -> Scan:  # noqa: ARG002 - of no matter here
        return _TimestampResolution(self)

    def text(self, column: pa.Array, first_row: int) -> pa.Array:
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

    def __init__(self, column: _Timestamp) -> None:
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
        return ColumnPlan(self._column.name, "string")


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


def _hint(kind: pa.DataType) -> str:
    if pt.is_nested(kind):
        return "Spread them over columns of their own."
    if pt.is_binary(kind) or pt.is_large_binary(kind):
        return "Save texts as strings, not as bytes."
    if pt.is_duration(kind):
        return "Save durations as numbers, for example of seconds."
    return "Save the column as numbers or text."


_COLUMNS: tuple[tuple[Callable[[Any], bool], Callable[[str, pa.DataType], TypedColumn]], ...] = (
    (pt.is_null, _Null),
    (pt.is_boolean, _Boolean),
    (pt.is_integer, _Integer),
    (pt.is_floating, _Float),
    (lambda kind: pt.is_decimal(kind) and kind.scale <= 0, _Integer),
    (pt.is_decimal, _Decimal),
    (lambda kind: pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind), _Text),
    (pt.is_timestamp, _Timestamp),
    (pt.is_date, _Column),
    (pt.is_time, _TimeOfDay),
)
