"""Columns that tell the target: how well each goes with it, in sampled rows."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

Values = Sequence[str | None]
_FEWEST_PAIRS = 50
_MOST_OF_ONE_CLASS = 0.98
_FEWEST_OF_A_VALUE = 5
_FEWEST_NUMBERS = 10
_NEAR_PERFECT_CLASS, _NEAR_PERFECT_LINE = 0.995, 0.999


def class_share(classes: Values, feature: Values, *, is_number: bool) -> float | None:
    """Return the share of rows whose class a feature tells, if that is nearly all; else None.

    A number tells classes if their rows come one class after the other in its order; a label by its commonest class.
    """
    pairs = [(value, each) for value, each in zip(feature, classes, strict=True) if value and each]
    if len(pairs) < _FEWEST_PAIRS or _largest(each for _, each in pairs) > _MOST_OF_ONE_CLASS * len(pairs):
        return None
    if len({value for value, _ in pairs}) * _FEWEST_OF_A_VALUE <= len(pairs):
        share = _share_by_value(pairs)
    elif is_number:
        share = _share_by_order(pairs)
    else:
        return None
    return share if share >= _NEAR_PERFECT_CLASS else None


def line_share(target: Values, feature: Values) -> float | None:
    """Return the square of the correlation of two columns of numbers, if it is nearly one; else None."""
    pairs = [
        (float(x), float(y)) for x, y in zip(feature, target, strict=True) if x is not None and y is not None
    ]
    pairs = [pair for pair in pairs if all(map(math.isfinite, pair))]
    if len(pairs) < _FEWEST_PAIRS or any(
        len(set(column)) < _FEWEST_NUMBERS for column in zip(*pairs, strict=True)
    ):
        return None
    xs, ys = (_scaled(column) for column in zip(*pairs, strict=True))
    square = math.fsum(x * y for x, y in zip(xs, ys, strict=True)) ** 2
    return min(square, 1.0) if square >= _NEAR_PERFECT_LINE else None


def _share_by_value(pairs: Sequence[tuple[str, str]]) -> float:
    best: dict[str, int] = {}
    for (value, _), count in Counter(pairs).items():
        best[value] = max(best.get(value, 0), count)
    return sum(best.values()) / len(pairs)


def _share_by_order(pairs: Sequence[tuple[str, str]]) -> float:
    ordered = sorted((float(value), each) for value, each in pairs)
    changes = sum(before[1] != after[1] for before, after in pairwise(ordered))
    needed = len({each for _, each in pairs}) - 1
    return 1 - (changes - needed) / len(pairs)


def _largest(classes: Iterable[str]) -> int:
    return max(Counter(classes).values())


def _scaled(column: Sequence[float]) -> list[float]:
    """Return the differences from the mean, of which the squares add up to one; zeros where there is no such scale."""
    most = max(map(abs, column)) or 1.0
    small = [number / most for number in column]
    mean = math.fsum(small) / len(small)
    differences = [number - mean for number in small]
    length = math.sqrt(math.fsum(number * number for number in differences))
    return [number / length if length else 0.0 for number in differences]
