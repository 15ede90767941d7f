"""How a JSON document lays out a table: found from its beginning, by the names, shapes and types in it."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.tabular.readers.json_values import name_of
from app.tabular.reading import Doubt, Found, ReadingReport
from app.tabular.types import TabularError
from app.tabular.wording import shortened

_SPACE = re.compile(r"[ \t\r\n]*")
# Objects in objects in which an array is looked for.
_DEEPEST = 3
_SPLIT = {"columns", "index", "data", "index_names", "column_names"}
# A table so much longer than it is wide has its rows along the longer side.
_LONGER = 10
_ABSENT = object()
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Layout:
    """How a document lays out a table.

    Attributes:
        orient: `rows` for an array of rows, else as in `Reading.orient`: `split`, `table`, `columns`, `index`.
        path: the keys under which the array is, from the outermost.
        arrays: other arrays of rows that were seen, by their path with points.
    """

    orient: str
    path: tuple[str, ...] = ()
    arrays: tuple[str, ...] = ()


def layout_of(beginning: str, reading: ReadingReport) -> Layout:
    """Find the layout of an object.

    Args:
        beginning: of the document, from the brace on.
        reading: has the owner's choices, and gets what is found.

    Raises:
        TabularError: `unsuitable-reading` for a choice that the document does not bear.
    """
    document, end = _prefix(beginning, 0, _DEEPEST)
    members: Mapping[str, Any] = document if isinstance(document, dict) else {}
    arrays = {".".join(path): path for path in _arrays(members)}
    chosen = reading.chosen
    if chosen.orient is not None:
        return _chosen(members, arrays, reading)
    if chosen.array is not None:
        reading.decide("array", Found(next(iter(arrays), None)))
        return Layout("rows", _path_of(chosen.array, members, arrays))
    if orient := _by_names(members):
        reading.decide("orient", Found(orient, why="The document has the names that pandas gives it."))
        return Layout(orient, ("data",))
    if arrays and not _are_records(members):
        return _wrapped(members, arrays, reading)
    found, doubt = _by_types(members, is_whole=end is not None)
    return Layout(reading.decide("orient", found, doubt))


def _chosen(
    members: Mapping[str, Any], arrays: Mapping[str, tuple[str, ...]], reading: ReadingReport
) -> Layout:
    orient = reading.decide("orient", Found(_by_names(members) or _by_types(members, is_whole=True)[0].value))
    if orient in {"columns", "index"}:
        return Layout(orient)
    if orient in {"split", "table"}:
        if "data" not in members and not {"columns", "schema"} & members.keys():
            raise _unsuitable(f'The document has no member "data" to be read as `{orient}`.', orient)
        return Layout(orient, ("data",))
    array = reading.chosen.array or next(iter(arrays), None)
    if array is None:
        raise _unsuitable("The document is an object, and no array of rows is in it.", orient)
    reading.decide("array", Found(array, considered=tuple(arrays)))
    return Layout("rows", _path_of(array, members, arrays))


def _unsuitable(message: str, orient: str) -> TabularError:
    hint = f"Choose another `orient` than {orient!r}, or none."
    return TabularError("unsuitable-reading", message, hint=hint)


def _path_of(
    array: str, members: Mapping[str, Any], arrays: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    return (array,) if array in members else arrays.get(array, tuple(array.split(".")))


def _by_names(members: Mapping[str, Any]) -> str | None:
    """Return `split` or `table` if a document has the names that pandas gives to such."""
    data = members.get("data", [])
    schema = members.get("schema")
    if isinstance(schema, dict) and "fields" in schema and isinstance(data, list):
        return "table"
    columns = members.get("columns")
    is_split = isinstance(columns, list) and members.keys() <= _SPLIT and members.keys() >= {"columns"}
    rows = isinstance(data, list) and all(isinstance(row, list) for row in data)
    return "split" if is_split and rows and members.keys() & {"data", "index"} else None


def _wrapped(
    members: Mapping[str, Any], arrays: Mapping[str, tuple[str, ...]], reading: ReadingReport
) -> Layout:
    """Return the layout of a document that has a table in an array among other things."""
    first, *others = arrays
    doubt = None
    lists = [name for name, value in members.items() if isinstance(value, list)]
    if len(lists) > 1 and len({len(members[name]) for name in lists}) == 1 and not others:
        message = (
            f"The arrays {_listed(lists)} of the document may be columns, or only {shortened(first)} a table."
        )
        found = Found("records", considered=("columns",))
        reading.decide("orient", found, Doubt("orient", message, ("records", "columns")))
    elif others:
        message = f"The document has several arrays of rows: {_listed(arrays)}."
        doubt = Doubt("array", message, tuple(arrays))
    path = arrays[reading.decide("array", Found(first, considered=tuple(others)), doubt)]
    return Layout("rows", path, tuple(arrays))


def _listed(names: Collection[str]) -> str:
    return " and ".join(map(shortened, names))


def _arrays(members: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the paths of arrays of objects or of arrays."""
    for name, value in members.items():
        here = (*path, name)
        if isinstance(value, dict) and len(here) < _DEEPEST:
            yield from _arrays(value, here)
        elif isinstance(value, list) and value and isinstance(value[0], list | dict):
            yield here


def _are_records(members: Mapping[str, Any]) -> bool:
    """Return whether all members are objects with the same names: rows that have arrays in them."""
    first, *rest = members.values() or [None]
    return (
        bool(rest)
        and isinstance(first, dict)
        and all(isinstance(each, dict) and each.keys() <= first.keys() for each in rest)
    )


def _by_types(members: Mapping[str, Any], *, is_whole: bool) -> tuple[Found, Doubt | None]:
    """Find whether the members of a document are columns, rows, or the values of one row."""
    values = list(members.values())
    if not values or not all(isinstance(value, dict | list) for value in values):
        return Found("records", why="The members of the document are values: it is one row."), None
    if all(isinstance(value, list) for value in values):
        return _of_lists(members)
    if not all(isinstance(value, dict) for value in values):
        return Found("columns"), None
    outer, inner = _is_mixed(values), _is_mixed(_transposed(values))
    of_rows, of_columns = Found("index", considered=("columns",)), Found("columns", considered=("index",))
    for found, is_so, why in (
        (of_columns, _counts(values[0]) and not _counts(members), "The names in its members count the rows."),
        (of_rows, _counts(members) and not _counts(values[0]), "The names of its members count the rows."),
        (of_rows, outer and not inner, "Its members are of several types, as rows are."),
        (of_columns, inner and not outer, "Its members are of one type each."),
    ):
        if is_so:
            return replace(found, why=why), None
    return _by_shape(members, is_whole=is_whole)


def _by_shape(members: Mapping[str, Mapping[str, Any]], *, is_whole: bool) -> tuple[Found, Doubt | None]:
    first = next(iter(members.values()))
    inner, outer = len(first), len(members)
    if inner >= _LONGER * outer and (is_whole or outer == 1):
        return Found("columns", considered=("index",), why="Its members are long, and few."), None
    if outer >= _LONGER * inner:
        return Found("index", considered=("columns",), why="Its members are short, and many."), None
    if any(each.keys() - first.keys() for each in members.values()):
        return Found("index", considered=("columns",), why="Its members have different names."), None
    message = (
        f"The members {_listed(list(members)[:2])} of the document may be columns of rows called "
        f"{_listed(list(first)[:2])}, or the other way round."
    )
    return Found("columns", considered=("index",)), Doubt("orient", message, ("columns", "index"))


def _of_lists(members: Mapping[str, Sequence[Any]]) -> tuple[Found, Doubt | None]:
    rows = [dict(enumerate(value)) for value in members.values()]
    is_rows = len(rows) > 1 and all(map(len, rows)) and _is_mixed(rows) and not _is_mixed(_transposed(rows))
    if not is_rows or len({*map(len, rows)}) > 1:
        return Found("columns", why="Its members are arrays."), None
    message = f"The arrays {_listed(list(members)[:2])} hold values of several types each, as rows do."
    return Found("columns", considered=("index",)), Doubt("orient", message, ("columns", "index"))


def _is_mixed(mappings: Collection[Mapping[Any, Any]]) -> bool:
    """Return whether one of these holds values of several types."""
    return any(len({*map(type, each.values())} - {type(None)}) > 1 for each in mappings)


def _transposed(mappings: Collection[Mapping[Any, Any]]) -> list[dict[int, Any]]:
    names = dict.fromkeys(name for each in mappings for name in each)
    return [dict(enumerate(each[name] for each in mappings if name in each)) for name in names]


def _counts(names: Mapping[str, Any]) -> bool:
    """Return whether names are 0, 1, 2 …, or begin with 1."""
    return any(all(name == str(number) for number, name in enumerate(names, start=start)) for start in (0, 1))


def header_of(
    first: Sequence[Any], kinds: Sequence[Collection[type]], reading: ReadingReport
) -> tuple[bool, list[str]]:
    """Decide whether the first of some arrays is a header, and return that and the names.

    Args:
        first: the array.
        kinds: the types in each column of the others.
        reading: has the owner's choice, and gets what is found.
    """
    are_names = all(isinstance(value, str) and value for value in first)
    are_names = are_names and len({*map(str, first)}) == len(first)
    is_other = any(each and str not in each for each in kinds)
    found = Found(are_names, considered=(not are_names,) if are_names else ())
    doubt = None
    if are_names and not is_other:
        shown = ", ".join(map(shortened, first[:_MOST_NAMED]))
        message = f"The first row, {shown}, may be the names of the columns, or values as those below it."
        doubt = Doubt("header", message, (True, False))
    has_header: bool = reading.decide("header", found, doubt)
    return has_header, [*map(name_of, first)] if has_header else [
        f"V{place}" for place in range(1, len(first) + 1)
    ]


# --- the beginning of a document

_decoder: Any = json.JSONDecoder(
    parse_int=str.encode, parse_float=str.encode, parse_constant=str.encode, strict=False
)


def _prefix(text: str, at: int, depth: int) -> tuple[Any, int | None]:
    """Return the value that begins at `at`, as far as the text has it, and its end; None where it is cut off."""
    try:
        return tuple(_decoder.scan_once(text, at))
    except (StopIteration, json.JSONDecodeError, RecursionError):
        mark = text[at : at + 1]
    if mark not in {"[", "{"} or depth < 0:
        return _ABSENT, None
    found: Any = [] if mark == "[" else {}
    at = _skipped(text, at + 1)
    while at < len(text) and text[at] not in "]}":
        name = None
        if mark == "{":
            name, end = _prefix(text, at, -1)
            at = len(text) if end is None else _skipped(text, end)
            if text[at : at + 1] != ":" or not isinstance(name, str):
                break
            at = _skipped(text, at + 1)
        value, end = _prefix(text, at, depth - 1)
        if value is not _ABSENT and name is None:
            found.append(value)
        elif value is not _ABSENT:
            found[name] = value
        if end is None or text[(at := _skipped(text, end)) : at + 1] != ",":
            break
        at = _skipped(text, at + 1)
    return found, None


def _skipped(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
