"""How columns go together: correlations of numbers, and what each column says of the target."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.tabular.statistics.copy import SAMPLE_ROWS, Copy, finite

MOST_CORRELATED, MOST_ASSOCIATED = 30, 500
_NOTHING = 1e-9
"""Where every row has a label of its own, there is this much, or less, to go together."""
_MOST_VALUES = 1_000
"""Different texts of a column up to which it is compared with the target."""


def correlations(copy: Copy, indices: Sequence[int]) -> dict[str, Any]:
    """Return Pearson's coefficients between the first columns of numbers, over the rows in which both are stated."""
    chosen = indices[:MOST_CORRELATED]
    samples = [copy.sample(index) for index in chosen]
    values = [
        [1.0 if row == column else pearson(samples[row], samples[column]) for column in range(row + 1)]
        for row in range(len(chosen))
    ]
    return {
        "columns": [copy.names[index] for index in chosen],
        "values": values,
        "left_out": len(indices) - len(chosen),
        "is_exact": copy.rows <= SAMPLE_ROWS,
    }


def associations(copy: Copy, target: int, distinct: Mapping[int, int]) -> dict[str, Any]:
    """Return how far each of the first columns and the target go together, from 0 (not at all) to 1."""
    wanted = copy.sample(target)
    found: list[dict[str, Any]] = []
    for index in range(min(len(copy.names), MOST_ASSOCIATED)):
        if index == target or not (copy.is_number(index) or distinct[index] <= _MOST_VALUES):
            continue
        measure, value = _association(copy.sample(index), wanted)
        if value is not None:
            found.append({"index": index, "name": copy.names[index], "measure": measure, "value": value})
    found.sort(key=lambda each: -float(each["value"]))
    return {"target": copy.names[target], "columns": found, "is_exact": copy.rows <= SAMPLE_ROWS}


def _association(one: pa.Array, other: pa.Array) -> tuple[str, float | None]:
    are_numbers = [pa.types.is_floating(each.type) for each in (one, other)]
    if all(are_numbers):
        value = pearson(one, other)
        return "pearson", value if value is None else abs(value)
    if any(are_numbers):
        numbers, labels = (one, other) if are_numbers[0] else (other, one)
        return "correlation_ratio", correlation_ratio(numbers, labels)
    return "cramers_v", cramers_v(one, other)


def pearson(one: pa.Array, other: pa.Array) -> float | None:
    """Return the coefficient of two columns of numbers; None if one does not vary."""
    if one.null_count or other.null_count:
        both = pc.and_(one.is_valid(), other.is_valid())
        one, other = one.filter(both), other.filter(both)
    if _is_constant(one) or _is_constant(other):
        return None
    one, other = (pc.subtract(each, pc.mean(each)) for each in (one, other))
    spread = math.sqrt(_dot(one, one)) * math.sqrt(_dot(other, other))
    return (
        max(-1.0, min(1.0, value))
        if spread and (value := finite(_dot(one, other) / spread)) is not None
        else None
    )


def _is_constant(numbers: pa.Array) -> bool:
    """Return whether numbers do not vary; their distances from a rounded mean may not be zero for all that."""
    ends = pc.min_max(numbers).as_py()
    return bool(ends["min"] == ends["max"])


def _dot(one: pa.Array, other: pa.Array) -> float:
    total: float = pc.sum(pc.multiply(one, other)).as_py()
    return total


def correlation_ratio(numbers: pa.Array, labels: pa.Array) -> float | None:
    """Return the share of the spread of numbers that lies between the labels, as its square root.

    Corrected for what labels explain by chance (Kelley's epsilon): as many labels as rows explain all and tell nothing.
    """
    both = pc.and_(numbers.is_valid(), labels.is_valid())
    numbers, labels = numbers.filter(both), labels.filter(both)
    if _is_constant(numbers):
        return None
    centred = pc.subtract(numbers, pc.mean(numbers))
    total = _dot(centred, centred)
    table = pa.table({"label": labels, "number": centred})
    means = table.group_by("label", use_threads=False).aggregate([("number", "mean"), ("number", "count")])
    between = pc.sum(pc.multiply(means["number_count"], pc.power(means["number_mean"], 2))).as_py()
    rows, groups = len(numbers), means.num_rows
    if rows == groups or not total or not math.isfinite(between / total):
        return None
    within = (1 - min(between / total, 1.0)) * (rows - 1) / (rows - groups)
    return math.sqrt(max(1 - within, 0.0))


def cramers_v(one: pa.Array, other: pa.Array) -> float | None:
    """Return Cramér's V of two columns of labels, corrected for what goes together by chance (Bergsma 2013)."""
    both = pc.and_(one.is_valid(), other.is_valid())
    table = pa.table({"one": one.filter(both), "other": other.filter(both)})
    counted = table.group_by(["one", "other"], use_threads=False).aggregate([([], "count_all")])
    pairs = list(zip(*(counted[name].to_pylist() for name in ("one", "other", "count_all")), strict=True))
    rows: dict[str, int] = {}
    columns: dict[str, int] = {}
    for first, second, count in pairs:
        rows[first] = rows.get(first, 0) + count
        columns[second] = columns.get(second, 0) + count
    beyond_one = [len(rows) - 1, len(columns) - 1]
    total = sum(rows.values())
    if min(beyond_one) < 1 or total < 2:  # noqa: PLR2004 - one row tells nothing
        return None
    # Chi squared over n: the sum of observed squares over the products of the margins, less one.
    phi = sum(count * count / (rows[first] * columns[second]) for first, second, count in pairs) - 1
    phi -= beyond_one[0] * beyond_one[1] / (total - 1)
    most = min(more - more * more / (total - 1) for more in beyond_one)
    return min(1.0, math.sqrt(max(phi, 0.0) / most)) if most > _NOTHING else None
