"""Some rows of a columnar copy, chosen and ordered by a column, at a cost that does not grow with the whole table."""

import bisect
import math
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.statistics.copy import WHOLE_ROWS, Copy
from app.tabular.statistics.requests import MOST_CELLS, MOST_COLUMNS, Page
from app.tabular.types import TabularError

_CELL_CHARACTERS = 200
_COMPARED = {
    "eq": pc.equal, "ne": pc.not_equal, "lt": pc.less, "le": pc.less_equal, "gt": pc.greater, "ge": pc.greater_equal,
}  # fmt: skip


def rows(copy: Copy, page: Page) -> dict[str, Any]:
    """Return the rows of a page: their numbers from 0, the cells, and how many rows there are to choose from.

    Raises:
        TabularError: `unknown-column`, `not-a-number`, or `too-many-rows` to sort.
    """
    shown = [
        _place(copy, name)
        for name in page.columns or copy.names[: min(MOST_COLUMNS, MOST_CELLS // page.limit)]
    ]
    found, wanted = _wanted(copy, page)
    return {
        "columns": [copy.names[index] for index in shown],
        "rows": wanted,
        "cells": _cells(copy, shown, wanted),
        "found": found,
        "total": copy.rows,
    }


def _place(copy: Copy, name: str) -> int:
    if name not in copy.names:
        raise TabularError("unknown-column", f"There is no column {name!r}.", column=name)
    return copy.names.index(name)


def _wanted(copy: Copy, page: Page) -> tuple[int, list[int]]:
    """Return how many rows there are to choose from, and the numbers of those on the page."""
    end = page.offset + page.limit
    if page.sort:
        if not copy.is_small:
            raise TabularError("too-many-rows", f"Tables of more than {WHOLE_ROWS} rows are not sorted.")
        chosen = pa.concat_arrays([pa.array([], pa.int64()), *_chosen(copy, page)]) if page.column else None
        ordered = _ordered(copy, page, chosen)
        return len(ordered), ordered.slice(page.offset, page.limit).to_pylist()
    if not page.column:
        return copy.rows, list(range(min(page.offset, copy.rows), min(end, copy.rows)))
    found, wanted = 0, []
    for places in _chosen(copy, page):
        low, high = (min(max(bound - found, 0), len(places)) for bound in (page.offset, end))
        wanted += places.slice(low, high - low).to_pylist()
        found += len(places)
    return found, wanted


def _chosen(copy: Copy, page: Page) -> Iterator[pa.Array]:
    """Yield the numbers of the rows that match, piece by piece."""
    index, first = _place(copy, page.column), 0
    for array in copy.arrays(index):
        yield pc.add(pc.indices_nonzero(_matches(array, page)).cast(pa.int64()), first)
        first += len(array)


def _matches(array: pa.Array, page: Page) -> pa.Array:
    if page.operator in {"missing", "present"}:
        return array.is_null() if page.operator == "missing" else array.is_valid()
    if page.operator == "contains":
        texts = array if pa.types.is_string(array.type) else pc.cast(array, pa.string())
        return pc.match_substring(texts, page.value, ignore_case=True)
    value: str | float = page.value
    if pa.types.is_floating(array.type):
        value = _as_number(page)
    return _COMPARED[page.operator](array, pa.scalar(value, array.type))


def _as_number(page: Page) -> float:
    try:
        value = float(page.value)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise TabularError(
            "not-a-number", "The column holds numbers; compare it with one.", column=page.column
        )
    return value


def _ordered(copy: Copy, page: Page, chosen: pa.Array | None) -> pa.Array:
    """Return the numbers of the chosen rows, or of all, in the order of a column."""
    index = _place(copy, page.sort)
    values = copy.whole(index)
    values = values if chosen is None else values.take(chosen)
    order = "descending" if page.descending else "ascending"
    # Rows that are equal stay as they stand in the file.
    numbers = pa.arange(0, copy.rows) if chosen is None else chosen
    table = pa.table({"value": values, "row": numbers})
    return numbers.take(pc.sort_indices(table, sort_keys=[("value", order), ("row", "ascending")]))


def _cells(copy: Copy, shown: Sequence[int], wanted: Sequence[int]) -> list[list[object]]:
    """Read the cells of some rows, each batch that has any of them once."""
    by_batch: dict[int, list[int]] = {}
    for place, row in enumerate(wanted):
        by_batch.setdefault(bisect.bisect_right(copy.starts, row) - 1, []).append(place)
    fields = sorted(set(shown))
    cells: list[list[object]] = [[] for _ in wanted]
    for number, places in by_batch.items():
        batch = next(copy.batches(fields, only=[number]))
        within = pa.array([wanted[place] - copy.starts[number] for place in places], pa.int64())
        columns = [batch.column(fields.index(index)).take(within).to_pylist() for index in shown]
        for at, place in enumerate(places):
            cells[place] = [_short(column[at]) for column in columns]
    return cells


def _short(value: object) -> object:
    is_long = isinstance(value, str) and len(value) > _CELL_CHARACTERS
    return f"{str(value)[: _CELL_CHARACTERS - 1]}…" if is_long else value
