"""Statistics of the numbers of many columns (range, mean, deviation, histogram), in one pass and bounded memory."""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.profile.stats import Cells, Detail

# Scales beyond this would be no finite double.
_SMALLEST_POWER = -1000
_DOUBLE_BITS = 52


@dataclass(slots=True)
class NumberState:
    """Statistics of the numbers of one column.

    Attributes:
        count: of the numbers.
        low: the smallest.
        high: the largest.
        origin: one of the numbers; `mean` and `squares` are of the differences from it, which keep more digits.
        mean: of these differences.
        squares: the sum of their squared deviations from the mean.
        power: cells of the grid are 2^power wide and begin at multiples of that.
        grid: numbers in each cell, by its place; place 0 begins at zero. While there are no more numbers than cells,
            each number has its own; then the grid covers their range, and is coarsened as it grows.
    """

    detail: Detail
    is_whole: bool
    count: int = 0
    low: float = math.inf
    high: float = -math.inf
    origin: float = 0.0
    mean: float = 0.0
    squares: float = 0.0
    power: int = _SMALLEST_POWER
    grid: dict[int, int] = field(default_factory=dict)

    def reach(self, low: float, high: float, count: int) -> None:
        """Extend the range and the grid for `count` more numbers."""
        if not self.count:
            self.origin = low
        limit = self.detail.cells
        is_many = self.count + count > limit
        if low < self.low or high > self.high or (is_many and self.count <= limit):
            self.low, self.high = min(low, self.low), max(high, self.high)
            self._widen(limit if is_many else 1 << _DOUBLE_BITS)

    def add(self, count: int, mean: float, squares: float) -> None:
        """Add numbers, except to the grid; `mean` and `squares` are of their differences from the origin."""
        total = self.count + count
        difference = mean - self.mean
        self.mean += difference * (count / total)
        self.squares += squares + difference * difference * (self.count * (count / total))
        self.count = total

    def _widen(self, cells: int) -> None:
        """Widen the cells until the range needs no more than `cells`; pairs are merged, which keeps counts exact."""
        largest = max(abs(self.low), abs(self.high))
        finest = max(_SMALLEST_POWER, 0 if self.is_whole else math.frexp(largest)[1] - _DOUBLE_BITS)
        if self.power >= finest and self._cells_of(self.power) <= cells:
            return
        span = self.high / cells - self.low / cells
        power = max(self.power, finest, math.frexp(span)[1] - 2 if span else finest)
        while self._cells_of(power) > cells:
            power += 1
        shift = power - self.power
        if shift and self.grid:
            wider: dict[int, int] = {}
            for place, count in self.grid.items():
                wider[place >> shift] = wider.get(place >> shift, 0) + count
            self.grid = wider
        self.power = power

    def _cells_of(self, power: int) -> int:
        """Return how many cells of a width the range needs."""
        return self.place_of(self.high, power) - self.place_of(self.low, power) + 1

    @staticmethod
    def place_of(number: float, power: int) -> int:
        """Return the place of the cell that holds a number."""
        return math.floor(math.ldexp(number, -power))

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values; a figure that is not finite is null."""
        deviation = math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else None
        return {
            "min": self._plain(self.low),
            "max": self._plain(self.high),
            "mean": _finite(self.origin + self.mean),
            "std": _finite(deviation),
            "histogram": self._histogram(),
        }

    def _plain(self, number: float) -> float | int:
        return int(number) if self.is_whole else number

    def _histogram(self) -> dict[str, list[float]]:
        """Return bins that cover exactly the range, and begin where a cell of the grid does."""
        if self.low == self.high:
            return {"edges": [self._plain(self.low)] * 2, "counts": [self.count]}
        starts = self._starts_of_whole() if self.is_whole else self._starts()
        counts = [0] * (len(starts) + 1)
        for place, count in self.grid.items():
            counts[bisect_right(starts, place)] += count
        inner = [math.ldexp(place, self.power) for place in starts]
        # The bin of the last whole number ends before the next one.
        end = int(self.high) + 1 if self.is_whole else self.high
        return {"edges": [*map(self._plain, [self.low, *inner]), end], "counts": list(counts)}

    def _starts(self) -> list[int]:
        """Return the places where bins after the first begin, for bins as equally wide as the grid allows."""
        first, last = self.place_of(self.low, self.power), self.place_of(self.high, self.power)
        bins = max(1, min(self.detail.bins, last - first))
        ideal = (self.low * (1 - index / bins) + self.high * (index / bins) for index in range(1, bins))
        places = {round(math.ldexp(edge, -self.power)) for edge in ideal}
        return sorted(place for place in places if first < place <= last)

    def _starts_of_whole(self) -> list[int]:
        """Return the same for bins of equally many whole numbers, with the last bin as full as possible."""
        first, last = self.place_of(self.low, self.power), self.place_of(self.high, self.power)
        places = last - first + 1
        bins = self.detail.bins
        widths = [math.ceil(places / wanted) for wanted in range(bins, bins // 2 - 1, -1)]
        width = max(widths, key=lambda width: ((places - 1) % width + 1) / width)
        return list(range(first + width, last + 1, width))


class Numbers:
    """Statistics of several columns of numbers."""

    def __init__(self, whole: Mapping[int, bool], detail: Detail) -> None:
        """Create empty statistics for columns by index; `whole`: whether each has whole numbers only."""
        self._detail = detail
        self._whole = whole
        self.states: dict[int, NumberState] = {}

    def update(self, cells: Cells) -> None:
        """Add cells that are numbers or missing."""
        cells = cells.stated()
        if not len(cells.cells):
            return
        values = cells.cells.cast(pa.float64())
        seen = []
        for column, low, high, count in cells.summary(values, ("min", "max", "count")):
            self._state(column).reach(low, high, count)
            seen.append(column)
        states = {column: self.states[column] for column in seen}
        origins = {column: state.origin for column, state in states.items()}
        differences = pc.subtract(values, cells.spread(origins))
        for column, count, mean, variance in cells.summary(differences, ("count", "mean", "variance")):
            states[column].add(count, mean, variance * count)
        scales = cells.spread({column: math.ldexp(1.0, -state.power) for column, state in states.items()})
        for column, place, count in cells.tally(pc.floor(pc.multiply(values, scales)).cast(pa.int64())):
            own = states[column].grid
            own[place] = own.get(place, 0) + count

    def add_zeros(self, column: int, count: int) -> None:
        """Add zeros that sparse rows do not state."""
        state = self._state(column)
        state.reach(0.0, 0.0, count)
        state.add(count, -state.origin, 0.0)
        state.grid[0] = state.grid.get(0, 0) + count

    def _state(self, column: int) -> NumberState:
        if column not in self.states:
            self.states[column] = NumberState(self._detail, self._whole[column])
        return self.states[column]


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
