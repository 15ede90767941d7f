"""Columns with Arrow types, from Parquet and Feather: their scans, and their conversion to text."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as pt

from app.tabular.readers.extensions import (
    by_value,
    extension_of,
    interval_texts,
    is_text,
    period_text,
    storage_of,
    uuid_text,
)
from app.tabular.readers.halves import shortest_of_halves
from app.tabular.readers.integers import IntegerRange, WideInteger
from app.tabular.readers.times import Duration, Timestamp
from app.tabular.schema.cells import BOOLEANS, TYPED
from app.tabular.schema.labels import InferredLabels, target_labels
from app.tabular.schema.plan import ColumnPlan
from app.tabular.schema.scans import KnownType, Scan
from app.tabular.types import ConversionRequest, Kind, Repair, TabularError
from app.tabular.wording import shortened


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


def typed_column(
    name: str, field: pa.Field, *, is_category: bool = False, is_signed: bool | None = None
) -> TypedColumn:
    """Return the column of this name and type.

    Args:
        name: as published.
        field: the column in the file.
        is_category: whether pandas notes that it has categories, whatever its type in the file.
        is_signed: of integers of 128 bits in bytes, whether they are signed; None for anything else.

    Raises:
        TabularError: `unusable-type`.
    """
    kind = field.type
    if is_signed is not None:
        return WideInteger(name, is_signed=is_signed)
    if extension := extension_of(field):
        return _extension(name, kind, *extension)
    if pt.is_dictionary(kind) or is_category:
        return _Category(name, kind, is_ordered=pt.is_dictionary(kind) and (is_category or kind.ordered))
    return _plain_column(name, kind)


def _plain_column(name: str, kind: pa.DataType) -> TypedColumn:
    for is_kind, column in _COLUMNS:
        if is_kind(kind):
            return column(name, kind)
    subject = "It holds lists or structures, which have" if pt.is_nested(kind) else f"Its type, {kind}, has"
    nested = "Spread them over columns of their own, or leave the column out."
    hint = nested if pt.is_nested(kind) else "Save the column as numbers or text, or leave it out."
    message = f"{subject} no counterpart in ARFF."
    raise TabularError("unusable-type", message, column=name, hint=hint, choices={"leave_out": [name]})


def _extension(name: str, kind: pa.DataType, title: str, parameters: Mapping[str, Any]) -> TypedColumn:
    """Return the column of an extension type: never its raw storage, which means something else.

    Raises:
        TabularError: `unusable-type`.
    """
    storage = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    frequency = str(parameters.get("freq"))
    if title == "arrow.json":
        return _Stored(name, _Text(name, storage))
    if title == "arrow.bool8":
        return _Stored(name, _Boolean(name, storage))
    if title == "arrow.uuid":
        return _Converted(name, by_value(uuid_text))
    if title == "pandas.period" and (period := period_text(frequency)):
        advice = f"The periods of column {name!r} ({shortened(frequency)}) are published as text in ISO 8601."
        return _Converted(name, by_value(period), advice)
    if title == "pandas.interval" and pt.is_struct(storage):
        ends = [_plain_column(name, storage.field(end).type) for end in ("left", "right")]
        return _Converted(name, _Intervals(ends, str(parameters.get("closed"))))
    of = f" ({shortened(frequency)})" if "freq" in parameters else ""
    message = f"Its type is the extension {shortened(title)}{of}, and what its values mean is not known here."
    hint = "Save the column as numbers or text, or leave it out."
    raise TabularError("unusable-type", message, column=name, hint=hint, choices={"leave_out": [name]})


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


class _Converted(_Column):
    """Values that a function converts to texts."""

    def __init__(self, name: str, convert: Callable[[pa.Array], pa.Array], advice: str = "") -> None:
        super().__init__(name, pa.string())
        self._convert = convert
        self._advice = advice

    def scan(self, request: ConversionRequest) -> Scan:
        labels = target_labels(self.name, request, TYPED)
        return (
            TextScan(self, labels)
            if labels
            else KnownType(ColumnPlan(self.name, "string", advice=self._advice))
        )

    def text(self, column: pa.Array, first_row: int) -> pa.Array:
        try:
            return self._convert(column)
        except (ValueError, OverflowError):
            message = "A value of the column has no text, for it is beyond the years 1 to 9999."
            raise TabularError("value-does-not-fit", message, row=first_row + 1, column=self.name) from None


class _Intervals:
    """Converts intervals of pandas to texts."""

    def __init__(self, ends: Sequence[TypedColumn], closed: str) -> None:
        self._ends = ends
        self._closed = closed

    def __call__(self, column: pa.Array) -> pa.Array:
        left, right = storage_of(column).flatten()
        texts = [end.text(each, 0) for end, each in zip(self._ends, (left, right), strict=True)]
        return interval_texts(texts[0], texts[1], self._closed)


class _Stored:
    """An extension type whose storage means what it holds."""

    def __init__(self, name: str, column: TypedColumn) -> None:
        self.name = name
        self._column = column

    def scan(self, request: ConversionRequest) -> Scan:
        scan = self._column.scan(request)
        return (
            scan
            if isinstance(scan, KnownType)
            else TextScan(self, target_labels(self.name, request, TYPED) or scan)
        )

    def text(self, column: pa.Array, first_row: int) -> pa.Array:
        return self._column.text(storage_of(column), first_row)


class _Bytes(_Column):
    """Bytes without a type: text of writers that do not say so, if they are UTF-8 without NUL."""

    def scan(self, request: ConversionRequest) -> Scan:
        labels = target_labels(self.name, request, TYPED)
        advice = f"Column {self.name!r} holds bytes, which were read as text in UTF-8."
        return TextScan(self, labels) if labels else KnownType(ColumnPlan(self.name, "string", advice=advice))

    def text(self, column: pa.Array, first_row: int) -> pa.Array:
        values = column.cast(pa.large_binary())
        try:
            texts = values.cast(pa.large_string())
            if not pc.any(pc.match_substring(texts, "\0")).as_py():
                return texts.cast(pa.string())
        except pa.ArrowInvalid:
            pass
        raise TabularError(
            "unusable-type",
            "The column holds bytes that are no text in UTF-8.",
            row=first_row
            + 1
            + next(place for place, value in enumerate(values.to_pylist()) if not is_text(value)),
            column=self.name,
            hint="Save texts as strings, or leave the column out.",
            choices={"leave_out": [self.name]},
        )


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
        column = shortest_of_halves(column) if pt.is_float16(column.type) else column
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
        return KnownType(ColumnPlan(self.name, "integer")) if is_narrow else IntegerRange(self.name)


class _Category(_Column):
    """A dictionary, or what pandas notes to be categories; all its values are labels, whether they occur or not."""

    def __init__(self, name: str, kind: pa.DataType, *, is_ordered: bool) -> None:
        super().__init__(name, kind)
        self._is_ordered = is_ordered
        self._values = _plain_column(name, kind.value_type if pt.is_dictionary(kind) else kind)

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


_COLUMNS: tuple[tuple[Callable[[Any], bool], Callable[[str, pa.DataType], TypedColumn]], ...] = (
    (pt.is_null, _Null),
    (pt.is_boolean, _Boolean),
    (pt.is_integer, _Integer),
    (pt.is_floating, _Float),
    (lambda kind: pt.is_decimal(kind) and kind.scale <= 0, _Integer),
    (pt.is_decimal, _Decimal),
    (lambda kind: pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind), _Text),
    (pt.is_timestamp, Timestamp),
    (pt.is_date, _Column),
    (pt.is_time, _TimeOfDay),
    (pt.is_duration, Duration),
    (
        lambda kind: (
            pt.is_binary(kind)
            or pt.is_large_binary(kind)
            or pt.is_binary_view(kind)
            or pt.is_fixed_size_binary(kind)
        ),
        _Bytes,
    ),
)
