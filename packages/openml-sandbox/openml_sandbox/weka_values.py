"""A column of an ARFF file, and which values Weka takes for its type."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

_SQUARES_MATTER = 1e149
# A comma that something else follows than a decimal number below 1e140.
_NO_SMALL_DECIMAL = re.compile(rb",(?![+-]?+\d{1,40}+(?!\d)\.?+\d*+(?:,|\Z|[eE][+-]?+\d\d?+(?:,|\Z)))")
JAVA_DOUBLE = re.compile(
    rb"[\x00-\x20]*[+-]?(?:(NaN)|Infinity|(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
    rb"|0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?\d+)[fFdD]?)[\x00-\x20]*"
)
"""What Java reads as a double; the first group is NaN."""
_DATE = re.compile(r"(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)")


@dataclass(slots=True)
class Attribute:
    """A column: `kind` is numeric, nominal, string or date; nominal ones list their labels in order."""

    name: bytes
    kind: str
    labels: dict[bytes, None] = field(default_factory=dict)
    missing_count: int = 0
    squares: float = 0.0
    """The sum of the squares of a numeric column, as far as it comes near the largest number."""


Column = list[bytes | None]
Failure = tuple[int, str] | None


def check_column(attribute: Attribute, column: Column) -> tuple[list[int], Failure]:
    """Find the rows that hold NaN, which is missing as well, and the first value that the type refuses."""
    match attribute.kind:
        case "numeric":
            return _check_numbers(attribute, column)
        case "nominal" if not attribute.labels.keys() >= {*column} - {None}:
            return [], _first(column, attribute.labels.__contains__, "nominal value not declared in header")
        case "date":
            failure = _first(column, _is_date, "unparseable date")
            if failure:
                shown = (column[failure[0]] or b"").decode(errors="replace")
                return [], (failure[0], f"{failure[1]}: {shown}")
    return [], None


def _check_numbers(attribute: Attribute, column: Column) -> tuple[list[int], Failure]:
    present = [cell for cell in column if cell is not None] if None in column else cast("list[bytes]", column)
    # The quick way: nearly all columns have small decimal numbers only, whose values do not matter.
    joined = b"," + b",".join(present)
    if joined.count(b",") == len(present) and not _NO_SMALL_DECIMAL.search(joined):
        return [], None
    failure = _first(column, JAVA_DOUBLE.fullmatch, "number expected")
    matches = [None if cell is None else JAVA_DOUBLE.fullmatch(cell) for cell in column]
    _add_squares(attribute, [java_double(match[0]) for match in matches if match and not match[1]])
    return [row for row, match in enumerate(matches) if match and match[1]], failure


def _add_squares(attribute: Attribute, numbers: list[float]) -> None:
    # Smaller numbers do not count beside the largest one there is, however many they are.
    if max(map(abs, numbers), default=0) > _SQUARES_MATTER:
        attribute.squares += sum(number * number for number in numbers)


def java_double(text: bytes) -> float:
    """Read a number of Java's grammar, which has hexadecimal ones, and letters behind that say its type."""
    shown = text.decode("latin-1").strip("".join(map(chr, range(0x21))))
    if "x" in shown.lower():
        mantissa, _, exponent = shown.lower().rpartition("p")
        try:
            return float.fromhex(f"{mantissa}p{exponent.rstrip('fd')}")
        except OverflowError:
            return math.inf
    return float(shown if shown.endswith("Infinity") else shown.rstrip("fFdD"))


def _first(column: Column, accepts: Callable[[bytes], object], message: str) -> Failure:
    bad = (row for row, cell in enumerate(column) if cell is not None and not accepts(cell))
    row = next(bad, None)
    return None if row is None else (row, message)


def _is_date(text: bytes) -> bool:
    """Parse as `SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss")`, not lenient; text behind is ignored."""
    match = _DATE.match(text.decode(errors="replace"))
    if not match:
        return False
    year, month, day, hour, minute, second = map(int, match.groups())
    try:
        # Java's years have no end; only their calendar matters.
        return bool(datetime(2000 + year % 400, month, day, hour, minute, second, tzinfo=UTC))
    except ValueError:
        return False
