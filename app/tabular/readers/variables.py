"""Columns of SPSS, Stata and SAS: what their formats mean, their labels, and what they become."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

import pyarrow as pa

from app.tabular.schema.cells import EXACT_INTEGER
from app.tabular.types import Format, TabularError
from app.tabular.wording import duration_text

_DAY = 86_400
_MICRO = 1_000_000
# Seconds from the epoch of SPSS (14 October 1582) and of Stata and SAS (1960) to 1970.
_SPSS_EPOCH, _EPOCH_1960 = 12_219_379_200, 315_619_200
_MOST_LABELS_SHOWN = 20

Meaning = Literal["text", "number", "moment", "time", "duration", "period"]

_SPSS_MOMENTS = {"DATE", "ADATE", "EDATE", "JDATE", "SDATE", "QYR", "MOYR", "WKYR", "DATETIME", "YMDHMS"}
_SPSS_TIMES: dict[str, Meaning] = {"TIME": "time", "MTIME": "time", "DTIME": "duration"}
_SAS_DATES = re.compile(
    r"(?:DATE|DAY|DDMMYY|MMDDYY|YYMMDD|MONYY|YYMON|MMYY|YYMM|YYQ|YEAR|JULIAN|JULDAY|WEEKDATE|WEEKDATX|WORDDATE|"
    r"WORDDATX|E8601DA|B8601DA|IS8601DA|ND8601DA|NENGO|MINGUO|EURDF(?:DD|DE|DN|DWN|MN|MY|WDX|WKX)|NLDATE(?!M)|"
    r"PDJULG|PDJULI|QTR|DOWNAME|MONNAME|MONTH|WEEKDAY|WEEK[UVW])[A-Z]?"
)
_SAS_MOMENTS = re.compile(
    r"(?:DATETIME|DATEAMPM|DTDATE|DTMONYY|DTWKDATX|DTYEAR|DTYYQC|MDYAMPM|E8601DT|B8601DT|IS8601DT|NLDATM|EURDFDT)[A-Z]*"
)
_SAS_TIMES = re.compile(r"(?:TIME|TIMEAMPM|TOD|HHMM|HOUR|MMSS|E8601TM|B8601TM|IS8601TM|NLTIME|NLTIMAP)")
_STATA = re.compile(r"%-?(d|t[a-zA-Z])")


class Variable:
    """One column: it is scanned in a first pass over its values, and becomes Arrow columns in a second one."""

    def __init__(
        self,
        name: str,
        measure: "Measure",
        labels: Mapping[Any, str],
        ranges: Sequence[tuple[Any, Any]],
        title: str,
    ) -> None:
        """Create the column from the file's metadata.

        Args:
            name: of the column.
            measure: what its values mean.
            labels: of values.
            ranges: values that its owner declared missing, from the first to the second of each pair.
            title: the sentence that describes the column, if there is one.
        """
        self.name = name
        self._measure = measure
        self._ranges = ranges
        self._title = title
        self._labels = {value: label for value, label in labels.items() if not self.is_missing(value)}
        self._has_all_labels = bool(self._labels) and measure.meaning in {"text", "number"}
        self._has_all_labels &= len(set(self._labels.values())) == len(self._labels)
        self._is_whole = self._is_time_of_day = True
        self._tags: set[str] = set()

    def scan(self, values: Sequence[Any]) -> None:
        """Update the column's type with further values."""
        found = {value for value in values if value is not None and value != ""}
        if self._measure.meaning != "text":
            tags = {value for value in found if isinstance(value, str)}
            self._tags |= tags
            found -= tags
        self._has_all_labels = self._has_all_labels and found <= self._labels.keys()
        if self._measure.meaning == "number":
            self._is_whole = self._is_whole and all(
                float(value).is_integer() and abs(value) <= EXACT_INTEGER for value in found
            )
        if self._measure.meaning == "time":
            self._is_time_of_day = self._is_time_of_day and all(0 <= value < _DAY for value in found)

    def field(self) -> pa.Field:
        """Return the column's name and type."""
        return pa.field(self.name, self.column([]).type)

    def column(self, values: Sequence[Any]) -> pa.Array:
        """Return values as Arrow has them; what is missing is null, and so is an empty text.

        Raises:
            TabularError: `value-does-not-fit`.
        """
        if self._has_all_labels:
            order = sorted(self._labels, key=lambda value: (isinstance(value, str), value))
            positions = {value: position for position, value in enumerate(order)}
            indices = [None if value in {None, ""} else positions[value] for value in values]
            labels = pa.array([self._labels[value] for value in order], pa.string())
            return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), labels, ordered=True)
        kind, convert = self._form()
        try:
            return pa.array([None if value in {None, ""} else convert(value) for value in values], kind)
        except (OverflowError, ValueError):
            message = (
                f"A value of the column is too large for what its format means ({self._measure.meaning})."
            )
            hint = "Correct it, or save the column without its format."
            raise TabularError("value-does-not-fit", message, column=self.name, hint=hint) from None

    def _form(self) -> tuple[pa.DataType, Callable[[Any], Any]]:
        """Return the Arrow type of the values, and the function that converts a value of the file to it."""
        measure = self._measure
        texts, moments, times = (pa.string(), measure.text), pa.timestamp("us"), pa.time64("us")
        numbers = pa.float32() if measure.is_single else pa.float64()
        forms: dict[Meaning, tuple[pa.DataType, Callable[[Any], Any]]] = {
            "text": (pa.string(), str),
            "number": (pa.int64(), int) if self._is_whole else (numbers, float),
            "moment": (moments, measure.micros),
            "time": (times, measure.micros) if self._is_time_of_day else texts,
            "duration": texts,
            "period": texts,
        }
        return forms[measure.meaning]

    def remark(self) -> str:
        """Return what its owner should know of the column, as a sentence; empty if there is nothing."""
        said = []
        if self._tags:
            letters = ", ".join(f".{tag}" for tag in sorted(self._tags))
            said.append(
                f"values that are missing for a reason ({letters}) are missing, and the reasons are not kept"
            )
        if self._ranges:
            shown = ", ".join(
                _shown(low) if low == high else f"{_shown(low)} to {_shown(high)}"
                for low, high in self._ranges
            )
            said.append(f"values that the file declares missing ({shown}) are missing")
        if self._labels and not self._has_all_labels:
            said.append(
                "not every value has a label of its own, so the values are kept, and the labels are in a comment"
            )
        if self._measure.meaning == "number" and self._measure.unit == "tC":
            said.append("points in time with leap seconds are kept as numbers")
        return f"In column {self.name!r}, {'; '.join(said)}." if said else ""

    def comments(self) -> list[str]:
        """Return what describes the column, a line each."""
        lines = [f"{self.name}: {self._title}"] if self._title else []
        if self._labels and not self._has_all_labels:
            pairs = [f"{_shown(value)} = {label}" for value, label in self._labels.items()]
            more = [f"and {len(pairs) - _MOST_LABELS_SHOWN} more"] if len(pairs) > _MOST_LABELS_SHOWN else []
            lines.append(f"{self.name}: {', '.join([*pairs[:_MOST_LABELS_SHOWN], *more])}")
        return lines

    def is_missing(self, value: Any) -> bool:  # noqa: ANN401 - a number or a text
        """Return whether a value stands for a missing one."""
        if self._measure.meaning != "text" and isinstance(value, str):
            return True  # the letter of a missing value
        return any(
            low <= value <= high
            for low, high in self._ranges
            if type(low) is type(value) or not isinstance(value, str)
        )


def variable_of(name: str, meta: Any, kind: Format) -> Variable:  # noqa: ANN401 - of pyreadstat
    """Return the column of this name in a file of a kind, of which pyreadstat says what `meta` has."""
    is_text = meta.readstat_variable_types[name] == "string"
    form = meta.original_variable_types.get(name) or ""
    measure = Measure("text") if is_text else _measure(kind, form)
    if kind == "dta" and meta.readstat_variable_types[name] == "float":
        measure = replace(measure, is_single=True)
    return Variable(
        name,
        measure,
        meta.variable_value_labels.get(name, {}),
        [(each["lo"], each["hi"]) for each in meta.missing_ranges.get(name, [])],
        meta.column_names_to_labels.get(name) or "",
    )


@dataclass(frozen=True, slots=True)
class Measure:
    """What the values of a column mean.

    Attributes:
        meaning: `period` is a number of weeks, months, quarters or halves since 1960.
        seconds: of one unit.
        epoch: seconds from the epoch of the values to 1970.
        unit: the word of Stata's format.
        is_single: whether numbers have 32 bits.
    """

    meaning: Meaning
    seconds: float = 1
    epoch: int = 0
    unit: str = ""
    is_single: bool = False

    def micros(self, value: float) -> int:
        """Return microseconds since 1970, or since midnight."""
        return round((value * self.seconds - self.epoch) * _MICRO)

    def text(self, value: float) -> str:
        """Return a duration in ISO 8601, or a period as Stata shows it (months as in ISO 8601)."""
        if self.meaning in {"time", "duration"}:
            return duration_text(timedelta(seconds=value * self.seconds))
        year, part = divmod(int(value), _PARTS[self.unit])
        mark = {"tm": "-", "tw": "w", "tq": "q", "th": "h"}[self.unit]
        return (
            f"{1960 + year:04d}{mark}{part + 1:02d}"
            if self.unit in {"tm", "tw"}
            else f"{1960 + year:04d}{mark}{part + 1}"
        )


_PARTS = {"tw": 52, "tm": 12, "tq": 4, "th": 2}


def _measure(kind: Format, form: str) -> Measure:
    """Return what numbers of a format mean."""
    name = form.upper().rstrip(".0123456789")
    if kind in {"sav", "por"}:
        if name in _SPSS_MOMENTS:
            return Measure("moment", 1, _SPSS_EPOCH)
        return Measure(_SPSS_TIMES.get(name, "number"))
    if kind == "dta":
        return _measure_of_stata(form)
    if _SAS_MOMENTS.fullmatch(name):
        return Measure("moment", 1, _EPOCH_1960)
    if _SAS_DATES.fullmatch(name):
        return Measure("moment", _DAY, _EPOCH_1960)
    return Measure("time" if _SAS_TIMES.fullmatch(name) else "number")


def _measure_of_stata(form: str) -> Measure:
    unit = found[1] if (found := _STATA.match(form)) else ""
    if unit in {"d", "td", "tc"}:
        return Measure("moment", 0.001 if unit == "tc" else _DAY, _EPOCH_1960)
    return Measure("period" if unit in _PARTS else "number", unit=unit)


def _shown(value: Any) -> str:  # noqa: ANN401 - a number or a text
    return f"{value:.15g}" if isinstance(value, float) else str(value)
