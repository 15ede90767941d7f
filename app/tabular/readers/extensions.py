"""Texts of values of Arrow's extension types: periods and intervals of pandas, UUIDs."""

import calendar
import json
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - periods have no zone
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS = {name.upper(): number for number, name in enumerate(calendar.day_abbr)}
# Periods shorter than a day: their number in a second, or their seconds; and the digits of their text.
_SECONDS = {"H": 3600, "T": 60, "MIN": 60, "S": 1}
_PARTS = {"L": 3, "MS": 3, "U": 6, "US": 6, "N": 9, "NS": 9}
_UNTIL = {"H": 13, "T": 16, "MIN": 16}
_FREQUENCY = re.compile(r"([A-Z]+)(?:-([A-Z]{3}))?")


def extension_of(field: pa.Field) -> tuple[str, dict[str, Any]] | None:
    """Return the name of a field's extension type and its parameters, whether pyarrow knows it or not."""
    kind = field.type
    if isinstance(kind, pa.BaseExtensionType):
        stored = kind.__arrow_ext_serialize__() if isinstance(kind, pa.ExtensionType) else b""
        return kind.extension_name, _parameters(stored)
    notes = field.metadata or {}
    name = notes.get(b"ARROW:extension:name")
    return (
        (name.decode(errors="replace"), _parameters(notes.get(b"ARROW:extension:metadata", b"")))
        if name
        else None
    )


def _parameters(stored: bytes) -> dict[str, Any]:
    try:
        found = json.loads(stored)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def storage_of(column: pa.Array) -> pa.Array:
    """Return the values behind an extension type."""
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def by_value(convert: Callable[[Any], str]) -> Callable[[pa.Array], pa.Array]:
    """Return a function that converts each different value of an array once, and keeps nulls."""

    def texts(column: pa.Array) -> pa.Array:
        encoded = storage_of(column).dictionary_encode()
        converted = [convert(value) for value in encoded.dictionary.to_pylist()]
        return pa.array(converted, pa.string()).take(encoded.indices)

    return texts


def uuid_text(value: bytes) -> str:
    """Return the text of the 16 bytes of a UUID."""
    return str(UUID(bytes=value))


def is_text(value: bytes | None) -> bool:
    """Return whether bytes are text in UTF-8, without NUL; null is."""
    try:
        return value is None or "\0" not in value.decode()
    except UnicodeDecodeError:
        return False


def interval_texts(left: pa.Array, right: pa.Array, closed: str) -> pa.Array:
    """Return texts such as `(0, 1]` of intervals between two arrays of texts; null where either is."""
    begin = "[" if closed in {"left", "both"} else "("
    end = "]" if closed in {"right", "both"} else ")"
    return pc.binary_join_element_wise(
        pc.binary_join_element_wise(begin, left, ""), pc.binary_join_element_wise(right, end, ""), ", "
    )


def period_text(frequency: str) -> Callable[[int], str] | None:
    """Return the function from the ordinals of periods to texts in ISO 8601; None for a frequency that has none.

    Args:
        frequency: as pandas spells it, such as `M`, `Q-DEC` or `W-SUN`.
    """
    match = _FREQUENCY.fullmatch(frequency.upper())
    if match is None:
        return None
    unit, anchor = match[1], match[2]
    month = _MONTHS.get(anchor or "DEC")
    if unit in {"A", "Y", "Q"} and month:
        return _years(month) if unit != "Q" else _quarters(month)
    if unit == "W" and (anchor or "SUN") in _WEEKDAYS:
        return _weeks(_WEEKDAYS[anchor or "SUN"])
    if anchor is not None:
        return None
    if unit in _SECONDS or unit in _PARTS:
        return lambda ordinal: _moment(unit, ordinal)
    return {"M": _month, "D": _day, "B": _business_day}.get(unit)


def _month(ordinal: int) -> str:
    year, month = divmod(ordinal, 12)
    return f"{1970 + year:04}-{month + 1:02}"


def _years(last_month: int) -> Callable[[int], str]:
    def text(ordinal: int) -> str:
        if last_month == 12:  # noqa: PLR2004 - December
            return f"{1970 + ordinal:04}"
        last = ordinal * 12 + last_month - 1
        return f"{_month(last - 11)}/{_month(last)}"

    return text


def _quarters(last_month: int) -> Callable[[int], str]:
    def text(ordinal: int) -> str:
        year, quarter = divmod(ordinal, 4)
        if last_month == 12:  # noqa: PLR2004 - December
            return f"{1970 + year:04}-Q{quarter + 1}"
        last = year * 12 + last_month - 1 - 3 * (3 - quarter)
        return f"{_month(last - 2)}/{_month(last)}"

    return text


def _weeks(last_day: int) -> Callable[[int], str]:
    def text(ordinal: int) -> str:
        # Period 0 ends between four days before the first of January 1970 (a Sunday) and two days after it.
        last = _EPOCH.date() + timedelta(days=ordinal * 7 + (last_day + 1) % 7 - 4)
        if last_day == 6:  # noqa: PLR2004 - Sunday
            year, week, _ = last.isocalendar()
            return f"{year:04}-W{week:02}"
        return f"{last - timedelta(days=6)}/{last}"

    return text


def _day(ordinal: int) -> str:
    return str(date.fromordinal(_EPOCH.toordinal() + ordinal))


def _business_day(ordinal: int) -> str:
    week, day = divmod(ordinal + 3, 5)
    return _day(week * 7 + day - 3)


def _moment(unit: str, ordinal: int) -> str:
    digits = _PARTS.get(unit, 0)
    seconds, rest = divmod(ordinal * _SECONDS.get(unit, 1), 10**digits)
    text = (_EPOCH + timedelta(seconds=seconds)).isoformat()
    return f"{text}.{rest:0{digits}}" if digits else text[: _UNTIL.get(unit)]
