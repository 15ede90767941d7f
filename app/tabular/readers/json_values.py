"""Values of a JSON document as columns of text; and names that stand twice in an object, of which one would be lost."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from app.tabular.schema.cells import BOOLEANS
from app.tabular.types import TabularError
from app.tabular.wording import shortened

Number = bytes
"""A number is the bytes that spell it, as `str` is a JSON string."""

_HALF = "holds half a character (an unpaired surrogate)"
_NAME_END = re.compile(r'"[ \t\r\n]*:')
_SPACED = (" :", "\t:", "\n:", "\r:")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"([ \t\r\n]*:)?', re.DOTALL)


def values_of(rows: Sequence[Any], order: Mapping[Any, int]) -> dict[Any, Sequence[Any]]:
    """Return the values of rows by their column: those that any of the objects has, in `order`, or places in arrays."""
    if isinstance(rows[0], list):
        return dict(enumerate(zip(*rows, strict=True)))
    stated = sorted(set[str]().union(*rows), key=order.__getitem__)
    return {key: [row.get(key) for row in rows] for key in stated}


def texts_of(name: str, values: Sequence[Any], first_row: int) -> tuple[pa.Array, set[type]]:
    """Return values as texts, numbers as spelled, and the types of those that are not null.

    Raises:
        TabularError: `nested-value`, `not-text`.
    """
    kinds = {*map(type, values)} - {type(None)}
    if not kinds <= {str, bool, Number}:
        row = next(row for row, value in enumerate(values, start=1) if isinstance(value, dict | list))
        raise TabularError(
            "nested-value",
            "The value is an array or an object, which a table cannot hold.",
            row=first_row + row,
            column=name,
            hint="Spread it over columns of its own, or leave the column out.",
            choices={"leave_out": [name]},
        )
    if bool in kinds:
        values = [BOOLEANS[not value] if isinstance(value, bool) else value for value in values]
    try:
        return pa.array(values, pa.string()), kinds
    except (pa.ArrowInvalid, UnicodeEncodeError):
        raise TabularError("not-text", f"A text {_HALF}.", column=name) from None


def require_writable(name: str) -> None:
    """Refuse a column's name that no UTF-8 can hold: neither the ARFF file nor any answer could show it.

    Raises:
        TabularError: `not-text`.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise TabularError("not-text", f"The name {shortened(name)} of a column {_HALF}.") from None


def listed_labels(field: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the categories that a schema of pandas lists for a column, or None."""
    limits = field.get("constraints")
    listed = limits.get("enum") if isinstance(limits, dict) else None
    if not isinstance(listed, list) or not all(isinstance(each, str | Number) for each in listed):
        return None
    return tuple(each.decode() if isinstance(each, Number) else each for each in listed)


def name_of(value: Any) -> str:  # noqa: ANN401 - of any type that JSON has
    """Return the name of a column; of several levels, their names with underscores between."""
    if isinstance(value, list):
        return "_".join(filter(None, map(name_of, value)))
    if isinstance(value, str):
        require_writable(value)
        return value
    return value.decode() if isinstance(value, Number) else "" if value is None else str(value)


def check_names(text: str, rows: Sequence[Any], first_row: int, *, others: int = 0) -> None:
    """Refuse an object in which a name stands twice: a parser keeps the last value only.

    A hook that sees all pairs would take as long as parsing; counting what may be the end of a name does not.

    Args:
        text: some rows as they are written.
        rows: the same, as they were read.
        first_row: number of the first of them, from 0.
        others: names in the text that are not in the rows.

    Raises:
        TabularError: `duplicate-key`.
    """
    kept = others + (sum(map(len, rows)) if isinstance(rows[0], dict) else 0)
    most = text.count('":')
    if any(spaced in text for spaced in _SPACED):
        most = sum(1 for _ in _NAME_END.finditer(text))
    if most == kept:
        return
    written = sum(1 for match in _STRING.finditer(text) if match[1])
    if written == others + sum(map(_names_in, rows)):
        return
    row, name = _first_repeated(text)
    raise TabularError(
        "duplicate-key",
        f"The name {shortened(name)} stands twice in the row.",
        row=first_row + row,
        column=name,
        hint="Give each value of a row a name of its own.",
    )


def _names_in(value: Any) -> int:  # noqa: ANN401 - of any type that JSON has
    if isinstance(value, dict):
        return len(value) + sum(map(_names_in, value.values()))
    return sum(map(_names_in, value)) if isinstance(value, list) else 0


def _first_repeated(text: str) -> tuple[int, str]:
    """Return the row, from 1, and the name; there is one."""
    found: list[str] = []

    def see(pairs: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in pairs]
        found.extend(name for name in names if names.count(name) > 1)

    decoder = json.JSONDecoder(object_pairs_hook=see, strict=False)
    at, row = text.find("{"), 0
    while at >= 0 and not found:
        _, at = decoder.raw_decode(text, at)
        row += 1
        at = text.find("{", at)
    return row, found[0] if found else ""
