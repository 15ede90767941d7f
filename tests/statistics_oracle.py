"""Statistics as numpy computes them, of rows that another reader of ARFF found; what a test compares ours with.

Texts, sets and counts are Python's. Nothing of `app` is called here.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import arff
import numpy as np

SAMPLED = 0.03
"""How far a coefficient of a sample of 100 000 rows may be from that of all rows."""
REL = 1e-9
"""Of floating-point sums, whose order is nobody's promise. What counts, compares or picks is exact."""
NUMBERS = frozenset({"NUMERIC", "REAL", "INTEGER"})


@dataclass(frozen=True, slots=True)
class Cells:
    """A column: its name, whether it holds numbers, and its cells; None is a missing one, and an infinite number."""

    name: str
    is_number: bool
    values: list[Any]

    @property
    def stated(self) -> list[Any]:
        """The cells that are not missing."""
        return [value for value in self.values if value is not None]


def read(text: str) -> list[Cells]:
    """Return the columns of an ARFF file, by liac-arff."""
    document = arff.loads(text)
    columns = []
    for at, (name, kind) in enumerate(document["attributes"]):
        is_number = isinstance(kind, str) and kind.upper() in NUMBERS
        values = [row[at] for row in document["data"]]
        if is_number:
            values = [None if value is None or not math.isfinite(value) else float(value) for value in values]
        columns.append(Cells(name, is_number, values))
    return columns


def differences(
    table: Mapping[str, Any], found: Sequence[Mapping[str, Any]], cells: Sequence[Cells]
) -> list[str]:
    """Return what is told of a table and is not what numpy computes; at most a million rows, so that all is exact."""
    expected = {"rows": len(cells[0].values), "columns": len(cells)}
    expected["missing"] = sum(len(each.values) - len(each.stated) for each in cells)
    wrong = [
        _told("the table", name, table[name], value)
        for name, value in expected.items()
        if table[name] != value
    ]
    for column, each in zip(found, cells, strict=True):
        wrong += _of_column(column, each)
        wrong += _by_class(column, each, table, cells)
    return wrong + list(_correlations(table, cells)) + list(_associations(table, cells))


def _of_column(column: Mapping[str, Any], cells: Cells) -> Iterator[str]:
    counted = Counter(cells.stated)
    exact = {
        "name": cells.name,
        "count": len(cells.stated),
        "missing": len(cells.values) - len(cells.stated),
        "distinct": len(counted),
        "distinct_is_exact": True,
        "commonest_is_exact": True,
    }
    for name, value in exact.items():
        if column[name] != value:
            yield _told(cells.name, name, column[name], value)
    commonest = column["commonest"]
    counts = [each["count"] for each in commonest]
    if counts != sorted(counted.values(), reverse=True)[: len(counts)] or len(counts) < min(len(counted), 3):
        yield _told(cells.name, "commonest", commonest, counted.most_common(20))
    shown = Counter({_short(value): count for value, count in counted.items()})
    for each in commonest:
        if shown[each["value"]] != each["count"] and not str(each["value"]).endswith("…"):
            yield _told(cells.name, "count of a value", each, shown[each["value"]])
    if cells.stated:
        yield from _numbers(column, cells) if cells.is_number else _texts(column, cells)
    if column["missing_in_segments"]:
        yield from _segments(column, cells)


def _short(value: object) -> object:
    return f"{value[:99]}…" if isinstance(value, str) and len(value) > 100 else value


def _segments(column: Mapping[str, Any], cells: Cells) -> Iterator[str]:
    runs = len(column["missing_in_segments"])
    bounds = [len(cells.values) * at // runs for at in range(runs + 1)]
    shares = [cells.values[low:high].count(None) / max(high - low, 1) for low, high in pairwise(bounds)]
    if shares != column["missing_in_segments"]:
        yield _told(cells.name, "missing_in_segments", column["missing_in_segments"], shares)


def _numbers(column: Mapping[str, Any], cells: Cells) -> Iterator[str]:
    values = np.array(cells.stated, dtype=float)
    scale = float(np.abs(values).max())
    with np.errstate(all="ignore"):
        expected: dict[str, float | None] = {
            "min": float(values.min()),
            "max": float(values.max()),
            "mean": _finite(float(values.mean())),
            "standard_deviation": _finite(float(values.std(ddof=1))) if len(values) > 1 else None,
        }
        quantiles = {
            share: _finite(float(np.quantile(values, float(share)))) for share in column["quantiles"]
        }
    for name in ("min", "max"):
        if column[name] != expected[name]:
            yield _told(cells.name, name, column[name], expected[name])
    for name in ("mean", "standard_deviation"):
        if not is_close(column[name], expected[name], scale):
            yield _told(cells.name, name, column[name], expected[name])
    for share, value in quantiles.items():
        if not is_close(column["quantiles"][share], value, scale):
            yield _told(cells.name, f"quantile {share}", column["quantiles"][share], value)
    if "histogram" in column:
        yield from _histogram(cells.name, column["histogram"], values)
    elif math.isfinite(float(values.max()) - float(values.min())):
        yield f"{cells.name}: there is no histogram"


def _histogram(name: str, found: Mapping[str, Any], values: Any) -> Iterator[str]:
    edges, counts = found["edges"], found["counts"]
    if edges[0] == edges[-1]:
        if counts != [len(values)]:
            yield _told(name, "histogram of one value", counts, [len(values)])
        return
    wanted, theirs = (
        np.histogram(values, bins=np.array(edges))[0].tolist(),
        np.histogram(values, bins=len(counts))[1],
    )
    if counts != wanted:
        yield _told(name, "histogram over its edges", counts, wanted)
    if not np.allclose(edges, theirs, rtol=REL, atol=REL * float(np.abs(values).max())):
        yield _told(name, "edges", edges, theirs.tolist())


def _texts(column: Mapping[str, Any], cells: Cells) -> Iterator[str]:
    lengths = [len(text) for text in cells.stated]
    expected = {"min": min(lengths), "max": max(lengths), "mean": sum(lengths) / len(lengths)}
    if column["lengths"] != expected:
        yield _told(cells.name, "lengths", column["lengths"], expected)
    if column["kind"] == "date" and (column["first"], column["last"]) != (
        min(cells.stated),
        max(cells.stated),
    ):
        yield _told(cells.name, "dates", column["first"], min(cells.stated))


def _by_class(
    column: Mapping[str, Any], cells: Cells, table: Mapping[str, Any], all_cells: Sequence[Cells]
) -> Iterator[str]:
    if "by_class" not in column:
        return
    target = next(each for each in all_cells if each.name == table["target"])
    pairs = list(zip(cells.values, target.values, strict=True))
    for label, counts in column["by_class"].items():
        some = [value for value, of in pairs if of == label and value is not None]
        if cells.is_number and len(counts) > 1:
            wanted = np.histogram(some, bins=np.array(column["histogram"]["edges"]))[0].tolist()
        elif cells.is_number:
            wanted = [len(some)]
        else:
            counted = Counter(map(_short, some))
            wanted = [counted[each["value"]] for each in column["commonest"]]
        if counts != wanted:
            yield _told(cells.name, f"by class {label!r}", counts, wanted)


def _correlations(table: Mapping[str, Any], cells: Sequence[Cells]) -> Iterator[str]:
    names, values = table["correlations"]["columns"], table["correlations"]["values"]
    numbers = [each for each in cells if each.is_number and len(set(each.stated)) > 1]
    if names != [each.name for each in numbers[: len(names)]]:
        yield _told("the table", "correlated columns", names, [each.name for each in numbers])
        return
    arrays = [
        np.array([math.nan if value is None else value for value in each.values])
        for each in numbers[: len(names)]
    ]
    for row, line in enumerate(values):
        for at, value in enumerate(line):
            wanted = _pearson(arrays[row], arrays[at]) if row != at else 1.0
            if not _is_near(value, wanted, is_exact=table["correlations"]["is_exact"]):
                yield _told(f"{names[row]} and {names[at]}", "correlation", value, wanted)


def _pearson(one: Any, other: Any) -> float | None:
    both = ~(np.isnan(one) | np.isnan(other))
    one, other = one[both], other[both]
    if len(one) < 2 or one.min() == one.max() or other.min() == other.max():
        return None
    with np.errstate(all="ignore"):
        return _finite(float(np.corrcoef(one, other)[0, 1]))


def _associations(table: Mapping[str, Any], cells: Sequence[Cells]) -> Iterator[str]:
    found = table["associations"]
    if not found:
        return
    target = next(each for each in cells if each.name == found["target"])
    for each in found["columns"]:
        column = cells[each["index"]]
        pairs = [pair for pair in zip(column.values, target.values, strict=True) if None not in pair]
        wanted = _association(each["measure"], pairs, column)
        if not _is_near(each["value"], wanted, is_exact=found["is_exact"]):
            yield _told(f"{column.name} and {target.name}", each["measure"], each["value"], wanted)


def _association(measure: str, pairs: list[tuple[Any, Any]], one: Cells) -> float | None:
    if measure == "pearson":
        arrays = np.array(pairs, dtype=float).T
        value = _pearson(arrays[0], arrays[1])
        return None if value is None else abs(value)
    if measure == "correlation_ratio":
        return _eta([pair if one.is_number else pair[::-1] for pair in pairs])
    return _cramer(pairs)


def _eta(pairs: Iterable[tuple[float, str]]) -> float | None:
    """The correlation ratio by way of the variances within the groups and of all, each by its degrees of freedom."""
    groups: dict[str, list[float]] = {}
    for number, label in pairs:
        groups.setdefault(label, []).append(number)
    everything = np.concatenate([np.array(group) for group in groups.values()])
    free = len(everything) - len(groups)
    if everything.min() == everything.max() or not free:
        return None
    within = sum(float(((np.array(group) - np.mean(group)) ** 2).sum()) for group in groups.values()) / free
    return math.sqrt(max(0.0, 1 - within / float(everything.var(ddof=1))))


def _cramer(pairs: list[tuple[str, str]]) -> float | None:
    """Cramér's V as W. Bergsma corrects it: "A bias-correction for Cramér's V and Tschuprow's T" (2013)."""
    rows, columns = (sorted({pair[side] for pair in pairs}) for side in (0, 1))
    counts = np.zeros((len(rows), len(columns)))
    places = [{label: at for at, label in enumerate(labels)} for labels in (rows, columns)]
    for one, other in pairs:
        counts[places[0][one], places[1][other]] += 1
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    chi_squared = float(((counts - expected) ** 2 / expected).sum())
    n, (r, k) = float(counts.sum()), counts.shape
    phi = max(0.0, chi_squared / n - (r - 1) * (k - 1) / (n - 1))
    least = min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1
    return math.sqrt(phi / least) if least > REL else None


def is_close(ours: float | None, theirs: float | None, scale: float) -> bool:
    """Say whether two figures are the same but for the last digits of numbers of this size."""
    if ours is None or theirs is None:
        return ours is theirs
    return math.isclose(ours, theirs, rel_tol=REL, abs_tol=REL * scale)


def _is_near(ours: float | None, theirs: float | None, *, is_exact: bool) -> bool:
    if is_exact or ours is None or theirs is None:
        return is_close(ours, theirs, 1.0)
    return abs(ours - theirs) < SAMPLED


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _told(where: str, what: str, ours: object, theirs: object) -> str:
    return f"{where}: {what}: {str(ours)[:200]}, and not {str(theirs)[:200]}"
