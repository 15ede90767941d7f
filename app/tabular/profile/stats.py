"""Statistics of the values of many columns, block by block, in memory that grows with the number of columns only.

Each step is one vectorised call for all columns of a block, so that thousands of short columns cost little.
"""

import hashlib
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import nlargest
from operator import itemgetter
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.table import LONG_COLUMN, divided

_CHUNK_CELLS = 200_000
_MANY_COLUMNS = 2_000
_MOST_VALUES = 500_000
_FEWEST_VALUES = 10
# Values of a column with too many that are still counted.
_WATCHED = 50
_MOST_CELLS = 200_000
_MOST_CELLS_A_BIN = 64
_FEWEST_CELLS_A_BIN = 2
LONGEST_VALUE = 100
"""Characters of a value that are kept."""


@dataclass(frozen=True, slots=True)
class Detail:
    """How much is kept of each column; less if there are thousands.

    Attributes:
        bins: of a histogram, at most.
        cells: finer bins in which numbers are counted while their range is not known, at most.
        commonest: most frequent values that are listed, at most.
        values: distinct values that are counted exactly, at most.
    """

    bins: int
    cells: int
    commonest: int
    values: int

    @classmethod
    def of(cls, columns: int, max_labels: int) -> Self:
        """Return the detail for a table with this number of columns."""
        # Somewhat more than there may be labels: words for missing values are among them.
        values = max(_FEWEST_VALUES, min(max_labels + _WATCHED, _MOST_VALUES // columns))
        bins, commonest = (8, 3) if columns > _MANY_COLUMNS else (20, 10)
        cells = max(_FEWEST_CELLS_A_BIN * bins, min(_MOST_CELLS_A_BIN * bins, _MOST_CELLS // columns))
        return cls(bins, cells, commonest, values)


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells of one column, or of several.

    Attributes:
        columns: the index of the column; or that of each cell's column, in an array as long as `cells`.
        cells: their texts; null is a missing value.
    """

    columns: int | pa.Array
    cells: pa.Array

    @classmethod
    def stacked(cls, columns: Mapping[int, pa.Array]) -> Iterator[Self]:
        """Yield columns of one length: long ones each by itself, others concatenated, up to 200 000 cells at once."""
        indices = list(columns)
        rows = len(columns[indices[0]]) if indices else 1
        if rows > LONG_COLUMN:
            yield from itertools.starmap(cls, columns.items())
            return
        step = max(1, _CHUNK_CELLS // max(rows, 1))
        for start in range(0, len(indices), step):
            some = indices[start : start + step]
            cells = [columns[index] for index in some]
            yield cls(
                _repeated(some, rows),
                cells[0] if len(cells) == 1 else pa.concat_arrays(cells),
            )

    def stated(self) -> Self:
        """Return the cells that are not missing."""
        if not self.cells.null_count:
            return self
        return self.where(self.cells.is_valid())

    def among(self, values: Iterable[str]) -> Self:
        """Return the cells that have one of these texts."""
        return self.where(pc.is_in(self.cells, value_set=pa.array(sorted(values), pa.string())))

    def where(self, mask: pa.Array) -> Self:
        """Return the cells for which a mask is true."""
        columns = self.columns if isinstance(self.columns, int) else self.columns.filter(mask)
        return type(self)(columns, self.cells.filter(mask))

    def by_column(self) -> Self:
        """Return the cells column after column, those of each in their order."""
        if isinstance(self.columns, int):
            return self
        order = pc.sort_indices(self.columns)
        return type(self)(self.columns.take(order), self.cells.take(order))

    @property
    def indices(self) -> list[int]:
        """The columns, each once."""
        return [self.columns] if isinstance(self.columns, int) else pc.unique(self.columns).to_pylist()

    def column_at(self, position: int) -> int:
        """Return the column of one of the cells."""
        return self.columns if isinstance(self.columns, int) else int(self.columns[position].as_py())

    def spread(self, numbers: Mapping[int, float]) -> pa.Scalar | pa.Array:
        """Return the number of each cell's column; one for all of them, if there is one column."""
        if isinstance(self.columns, int):
            return pa.scalar(numbers[self.columns], pa.float64())
        places = pc.index_in(self.columns, value_set=pa.array(numbers, pa.int64()))
        return pa.array(numbers.values(), pa.float64()).take(places)

    def matches(self, pattern: str) -> Iterator[tuple[int, int]]:
        """Yield a column and the number of its cells that match a pattern, for columns with any."""
        yield from self._counts(pc.match_substring_regex(self.cells, pattern))

    def whole_numbers(self) -> Iterator[tuple[int, int]]:
        """Yield a column and how many of its cells, which are numbers, have neither a point nor an exponent."""
        data = self.cells.buffers()[2]
        has_exponents = data is not None and any(mark in data.to_pybytes() for mark in (b"e", b"E"))
        is_other = (
            pc.match_substring_regex(self.cells, "[.eE]")
            if has_exponents
            else pc.match_substring(self.cells, ".")
        )
        yield from self._counts(pc.invert(is_other))

    def _counts(self, is_match: pa.Array) -> Iterator[tuple[int, int]]:
        if isinstance(self.columns, int):
            if is_match.true_count:
                yield self.columns, is_match.true_count
            return
        is_match = pc.fill_null(is_match, fill_value=False)
        for found in pc.value_counts(self.columns.filter(is_match)).to_pylist():
            yield found["values"], found["counts"]

    def tally(self, places: pa.Array) -> Iterator[tuple[int, int, int]]:
        """Yield each column with each whole number that its cells have in `places`, and how many have it."""
        if isinstance(self.columns, int):
            found = pc.value_counts(places)
            numbers, counts = found.field(0).to_pylist(), found.field(1).to_pylist()
            yield from zip(itertools.repeat(self.columns), numbers, counts)
            return
        yield from zip(*(part.to_pylist() for part in _pairs(self.columns, places)), strict=True)

    def summary(self, values: pa.Array, functions: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield each column with the aggregates of its `values`, of which there is one for each cell."""
        if isinstance(self.columns, int):
            if len(values) > values.null_count:
                yield self.columns, *(getattr(pc, name)(values).as_py() for name in functions)
            return
        table = pa.table({"column": self.columns, "value": values})
        wanted = [("value", function) for function in functions]
        found = table.group_by("column", use_threads=False).aggregate(wanted)
        names = ["column", *(f"value_{function}" for function in functions)]
        yield from zip(*(found[name].to_pylist() for name in names), strict=True)


def _repeated(numbers: Sequence[int], times: int) -> pa.Array:
    """Return an array in which each number is repeated `times` times."""
    return pa.array(numbers, pa.int64()).take(_places(len(numbers), times))


@lru_cache(maxsize=1)
def _places(count: int, times: int) -> pa.Array:
    """Return 0 to `count` - 1, each `times` times."""
    return pc.divide(pa.arange(0, count * times), times)


@dataclass(slots=True)
class LengthState:
    """Lengths of the texts of one column, in characters."""

    count: int = 0
    shortest: int = 0
    longest: int = 0
    total: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {"min": self.shortest, "max": self.longest, "mean": self.total / self.count}


class Lengths:
    """Lengths of the texts of several columns."""

    def __init__(self) -> None:
        self.states: dict[int, LengthState] = {}

    def update(self, cells: Cells) -> None:
        """Add the lengths of further cells."""
        cells = cells.stated()
        lengths = pc.utf8_length(cells.cells)
        for column, count, low, high, total in cells.summary(lengths, ("count", "min", "max", "sum")):
            state = self.states.setdefault(column, LengthState(shortest=low))
            state.count += count
            state.shortest = min(state.shortest, low)
            state.longest = max(state.longest, high)
            state.total += total


@dataclass(slots=True)
class ValueState:
    """The distinct values of one column, as spelled in the file.

    Attributes:
        counts: how often each occurs; once there are too many, of the most frequent until then.
        at_least: how many there are, once there are too many; else None.
    """

    counts: dict[str, int]
    at_least: int | None = None


class Values:
    """The distinct values of several columns, as many as `Detail` allows."""

    def __init__(
        self,
        columns: Iterable[int],
        detail: Detail,
        *,
        different: Callable[[int, Collection[str]], int],
        is_watched: Callable[[int], bool],
    ) -> None:
        """Create empty counts for these columns.

        Args:
            columns: their indices.
            detail: how many values are kept.
            different: returns how many values the texts of a column stand for.
            is_watched: whether the most frequent values of a column with too many are still counted.
        """
        self.states = {column: ValueState({}) for column in columns}
        self._limit = detail.values
        self._different = different
        self._is_watched = is_watched

    def count(self, columns: Mapping[int, pa.Array]) -> dict[int, list[str]]:
        """Count the cells of columns of one length, and return the values that are new, by column."""
        new: dict[int, list[str]] = {}
        counted = {index: cells for index, cells in columns.items() if self.states[index].at_least is None}
        watched = {
            index: cells
            for index, cells in columns.items()
            if index not in counted and self.states[index].counts
        }
        for cells in Cells.stacked(counted):
            new |= self.count_cells(cells)
        for cells in Cells.stacked(watched):
            self.count_cells(
                cells.among({text for index in cells.indices for text in self.states[index].counts})
            )
        return new

    def count_cells(self, cells: Cells) -> dict[int, list[str]]:
        """Count cells that stand column after column, and return the values that are new, by column."""
        cells = cells.stated()
        is_short = (pc.max(pc.binary_length(cells.cells)).as_py() or 0) <= LONGEST_VALUE
        add = self._add_short if is_short else self._add
        found = {column: add(column, texts, counts) for column, texts, counts in _distinct(cells)}
        return {column: values for column, values in found.items() if values}

    def _add_short(self, column: int, texts: list[str], counts: list[int]) -> list[str]:
        """Do as `_add`; the first values of a column can be taken at once, as none of them is too long."""
        state = self.states[column]
        has_begun = state.counts or state.at_least is not None
        if has_begun or (len(texts) > self._limit and self._is_watched(column)):
            return self._add(column, texts, counts)
        new = texts[: self._limit]
        state.counts = dict(zip(new, counts, strict=False))
        if len(texts) > self._limit:
            self._close(column)
        return new

    def _add(self, column: int, texts: list[str], counts: list[int]) -> list[str]:
        """Add different values of a column and how often each occurs, and return those that are new."""
        state = self.states[column]
        known, new, is_full = state.counts, [], False
        for text, count in zip(texts, counts, strict=True):
            value = text if len(text) <= LONGEST_VALUE else _cut(text)
            if value in known:
                known[value] += count
            elif state.at_least is None and len(known) < self._limit:
                known[value] = count
                new.append(text)
            else:
                is_full = True
        if is_full and state.at_least is None:
            self._close(column)
        return new

    def add(self, column: int, value: str, count: int) -> None:
        """Add occurrences of a value that sparse rows do not state."""
        counts = self.states[column].counts
        counts[value] = counts.get(value, 0) + count

    def _close(self, column: int) -> None:
        """Keep only the values that are still counted."""
        state = self.states[column]
        state.at_least = self._different(column, state.counts)
        if not self._is_watched(column):
            state.counts = {}
            return
        short = ((text, count) for text, count in state.counts.items() if len(text) <= LONGEST_VALUE)
        state.counts = dict(nlargest(_WATCHED, short, key=itemgetter(1)))


def shortened_value(value: str) -> str:
    """Return a value, truncated to `LONGEST_VALUE` characters."""
    return value if len(value) <= LONGEST_VALUE else value[: LONGEST_VALUE - 1] + "…"


def _cut(text: str) -> str:
    """Return the beginning of a long text, with a hash that distinguishes it from others that begin alike."""
    return text[:LONGEST_VALUE] + hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _distinct(cells: Cells) -> Iterator[tuple[int, list[str], list[int]]]:
    """Yield each column with its different texts, in the order of the rows, and how often each occurs."""
    if not len(cells.cells):
        return
    if isinstance(cells.columns, int):
        found = pc.value_counts(cells.cells)
        yield cells.columns, found.field(0).to_pylist(), found.field(1).to_pylist()
        return
    columns, texts, counts = _pairs(cells.columns, cells.cells)
    own, times = texts.to_pylist(), counts.to_pylist()
    runs = pc.run_end_encode(columns)
    begin = 0
    for column, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        yield column, own[begin:end], times[begin:end]
        begin = end


def _pairs(columns: pa.Array, values: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Return columns, their different values in the order of the cells, and how often each occurs."""
    encoded = values.dictionary_encode()
    different = encoded.dictionary
    found = pc.value_counts(pc.add(pc.multiply(columns, len(different)), encoded.indices.cast(pa.int64())))
    numbers, places = divided(found.field(0), len(different))
    return numbers, different.take(places), found.field(1)
