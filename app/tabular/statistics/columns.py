"""Statistics of one column: exact where it fits into memory, else figures of it from a sample, and said so."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.statistics.copy import Copy, finite

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_MOST_DISTINCT = 100_000
"""Values that are counted where a column does not fit into memory."""
_TEXT_CHARACTERS = 100
_WIDE, _BY_CLASS_COLUMNS = 2_000, 200
SEGMENTS = 40
"""Runs of rows whose missing cells are counted."""


@dataclass(frozen=True, slots=True)
class Classes:
    """The commonest labels of the target, by which other columns are shown.

    Attributes:
        index: of the target.
        labels: at most ten.
    """

    index: int
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ColumnDetail:
    """How much is told of each column: less where there are thousands.

    Attributes:
        bins: of a histogram.
        commonest: values that are listed.
        classes: by which columns are shown; None if they are not.
    """

    bins: int
    commonest: int
    classes: Classes | None

    @classmethod
    def of(cls, columns: int, classes: Classes | None) -> "ColumnDetail":
        """Return the detail for a table with this number of columns."""
        bins, commonest = (8, 3) if columns > _WIDE else (20, 20)
        return cls(bins, commonest, classes if columns <= _BY_CLASS_COLUMNS else None)


def describe(copy: Copy, index: int, detail: ColumnDetail) -> dict[str, Any]:
    """Return the statistics of a column, as JSON values."""
    missing, segments = _missing(copy, index)
    described: dict[str, Any] = {
        "index": index,
        "name": copy.names[index],
        "kind": copy.about[index]["kind"],
        "count": copy.rows - missing,
        "missing": missing,
        "missing_in_segments": segments if missing else [],
        **_distinct(copy, index, detail),
    }
    if missing == copy.rows:
        return described
    shown = _numbers(copy, index, detail) if copy.is_number(index) else _texts(copy, index, described, detail)
    return described | shown


def _missing(copy: Copy, index: int) -> tuple[int, list[float]]:
    """Return how many cells are missing, and their share in each of `SEGMENTS` runs of rows."""
    bounds = [copy.rows * number // SEGMENTS for number in range(SEGMENTS + 1)]
    found, first = [0] * SEGMENTS, 0
    for array in copy.arrays(index):
        last = first + len(array)
        if array.null_count:
            for segment, (low, high) in enumerate(itertools.pairwise(bounds)):
                begin, end = max(low, first), min(high, last)
                if begin < end:
                    found[segment] += array.slice(begin - first, end - begin).null_count
        first = last
    spans = [max(high - low, 1) for low, high in itertools.pairwise(bounds)]
    return sum(found), [count / span for count, span in zip(found, spans, strict=True)]


def _distinct(copy: Copy, index: int, detail: ColumnDetail) -> dict[str, Any]:
    """Return how many values there are, and the commonest; both exact unless they say otherwise."""
    if copy.is_small:
        values = _counted(copy.whole(index))
        return {
            "distinct": len(values),
            "distinct_is_exact": True,
            "commonest": _commonest(values, detail.commonest),
            "commonest_is_exact": True,
        }
    counts: Counter[Any] = Counter()
    for array in copy.arrays(index):
        found = _counted(array)
        counts.update(dict(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True)))
        if len(counts) > _MOST_DISTINCT:
            sampled = _counted(copy.sample(index))
            return {
                "distinct": len(counts),
                "distinct_is_exact": False,
                "commonest": _commonest(sampled, detail.commonest),
                "commonest_is_exact": False,
            }
    commonest = [
        {"value": _shown(value), "count": count} for value, count in counts.most_common(detail.commonest)
    ]
    exact = {"distinct_is_exact": True, "commonest_is_exact": True}
    return {"distinct": len(counts), "commonest": commonest, **exact}


def _counted(array: pa.Array) -> pa.StructArray:
    stated = array.drop_null()
    # Zero is one number, whatever its sign.
    return pc.value_counts(pc.add(stated, 0.0) if pa.types.is_floating(stated.type) else stated)


def _commonest(values: pa.StructArray, most: int) -> list[dict[str, Any]]:
    # Of equally common ones the first in the file.
    table = pa.table({"count": values.field(1), "place": pa.arange(0, len(values))})
    found = values.take(pc.select_k_unstable(table, most, [("count", "descending"), ("place", "ascending")]))
    pairs = zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True)
    return [{"value": _shown(value), "count": count} for value, count in pairs]


def _shown(value: object) -> object:
    is_long = isinstance(value, str) and len(value) > _TEXT_CHARACTERS
    return f"{str(value)[: _TEXT_CHARACTERS - 1]}…" if is_long else value


def _numbers(copy: Copy, index: int, detail: ColumnDetail) -> dict[str, Any]:
    pieces = [
        (pc.min_max(array), pc.sum(array).as_py(), len(array) - array.null_count)
        for array in copy.arrays(index)
    ]
    pieces = [piece for piece in pieces if piece[2]]
    low = min(piece[0]["min"].as_py() for piece in pieces)
    high = max(piece[0]["max"].as_py() for piece in pieces)
    count = sum(piece[2] for piece in pieces)
    mean = sum(piece[1] / count for piece in pieces)  # Not fsum: of infinite sums that raises.
    sample = copy.whole(index) if copy.is_small else copy.sample(index)
    quantiles = pc.quantile(sample, q=list(QUANTILES)).to_pylist()
    shown = {
        "min": low,
        "max": high,
        "mean": finite(mean),
        "standard_deviation": _deviation(copy.arrays(index), mean, count),
        "quantiles": {str(share): finite(value) for share, value in zip(QUANTILES, quantiles, strict=True)},
        "quantiles_are_exact": copy.is_small,
    }
    edges = _edges(low, high, detail.bins)
    if edges is None:
        return shown
    counts = _summed(histogram(array, edges) for array in copy.arrays(index))
    shown["histogram"] = {"edges": edges, "counts": counts}
    if detail.classes is not None and detail.classes.index != index:
        shown["by_class"] = _histograms(copy, index, edges, detail.classes)
    return shown


def _deviation(arrays: Iterable[pa.Array], mean: float, count: int) -> float | None:
    """Return the sample standard deviation, by a second pass; None for one value, or beyond all numbers."""
    if count < 2 or not math.isfinite(mean):  # noqa: PLR2004 - of one value there is none
        return None
    squares = (pc.sum(pc.power(pc.subtract(array, mean), 2)).as_py() for array in arrays)
    total = sum(square for square in squares if square is not None)
    return finite(math.sqrt(total / (count - 1)))


def _edges(low: float, high: float, bins: int) -> list[float] | None:
    """Return the edges of a histogram: those of numpy; of one value, that twice. None if they are beyond numbers."""
    if low == high:
        return [low, high]
    step = (high - low) / bins
    if not math.isfinite(step) or low + step == low:
        return None
    return [low + number * step for number in range(bins)] + [high]


def histogram(array: pa.Array, edges: list[float]) -> list[int]:
    """Count values between edges; a value on an edge belongs to the bin above it, the last edge to the last bin."""
    stated = len(array) - array.null_count
    below = [0, *((pc.sum(pc.less(array, edge)).as_py() or 0) for edge in edges[1:-1]), stated]
    return [after - before for before, after in itertools.pairwise(below)]


def _histograms(copy: Copy, index: int, edges: list[float], classes: Classes) -> dict[str, list[int]]:
    found = {label: [0] * (len(edges) - 1) for label in classes.labels}
    for numbers, labels in _pairs(copy, index, classes):
        for label in classes.labels:
            some = numbers.filter(pc.equal(labels, label))
            found[label] = _summed([found[label], histogram(some, edges)])
    return found


def _pairs(copy: Copy, index: int, classes: Classes) -> Iterator[tuple[pa.Array, pa.Array]]:
    """Yield a column with the target, piece by piece."""
    # In this order: a copy keeps one group of columns in memory, and an array holds its own.
    targets = [copy.whole(classes.index)] if copy.is_small else copy.arrays(classes.index)
    yield from zip(copy.arrays(index), targets, strict=True)


def _texts(copy: Copy, index: int, described: dict[str, Any], detail: ColumnDetail) -> dict[str, Any]:
    lengths = [pc.utf8_length(array.drop_null()) for array in copy.arrays(index)]
    extremes = [pc.min_max(each) for each in lengths if len(each)]
    total = sum(pc.sum(each).as_py() or 0 for each in lengths)
    shown: dict[str, Any] = {
        "lengths": {
            "min": min(each["min"].as_py() for each in extremes),
            "max": max(each["max"].as_py() for each in extremes),
            "mean": total / described["count"],
        }
    }
    if copy.about[index]["kind"] == "date":
        ends = [pc.min_max(array) for array in copy.arrays(index)]
        shown["first"] = min(each["min"].as_py() for each in ends if each["min"].is_valid)
        shown["last"] = max(each["max"].as_py() for each in ends if each["max"].is_valid)
    if (
        copy.about[index]["kind"] == "nominal"
        and detail.classes is not None
        and detail.classes.index != index
    ):
        values = [each["value"] for each in described["commonest"]]
        shown["by_class"] = _counts_by_class(copy, index, values, detail.classes)
    return shown


def _counts_by_class(copy: Copy, index: int, values: list[object], classes: Classes) -> dict[str, list[int]]:
    """Return, for each class, how often it has each of the values."""
    found: Counter[tuple[str, object]] = Counter()
    for texts, labels in _pairs(copy, index, classes):
        table = pa.table({"class": labels, "value": texts})
        counted = table.group_by(["class", "value"], use_threads=False).aggregate([([], "count_all")])
        columns = (counted[name].to_pylist() for name in ("class", "value", "count_all"))
        for label, value, count in zip(*columns, strict=True):
            found[label, _shown(value)] += count
    return {label: [found[label, value] for value in values] for label in classes.labels}


def _summed(lists: Iterable[list[int]]) -> list[int]:
    return [sum(parts) for parts in zip(*lists, strict=True)]
