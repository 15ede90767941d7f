"""Evaluation measures of predictions, by their definitions; pure.

Means over classes are weighted by how many rows have the class, as those of OpenML's engine (Weka) are. What is
undefined, such as the precision of a class that was never predicted, counts as 0; what has no value at all is left out.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby

from openml_sandbox.run_records import Evaluation

_DIGITS = 6
# Rows times classes for which the area under the curve is computed.
_MOST_CURVE_CELLS = 5_000_000
# Classes for which there is a table of confusions.
_MOST_CLASSES = 100

Confidences = Mapping[str, Sequence[float]]


def classification(
    labels: Sequence[str], truth: Sequence[str], predicted: Sequence[str], confidences: Confidences | None
) -> list[Evaluation]:
    """Measure predicted labels.

    Args:
        labels: of the target, in its order.
        truth: the label of each predicted row.
        predicted: the label that was predicted for it.
        confidences: of each label, how sure it was for each row; None where that was not said.
    """
    rows = len(truth)
    pairs = Counter(zip(truth, predicted, strict=True))
    have, said = Counter(truth), Counter(predicted)
    hits = {label: pairs[label, label] for label in labels}
    precision = {label: hits[label] / said[label] if said[label] else 0.0 for label in labels}
    recall = {label: hits[label] / have[label] if have[label] else 0.0 for label in labels}
    f_measure = {label: _harmonic(precision[label], recall[label]) for label in labels}
    accuracy = sum(hits.values()) / rows
    expected = sum(have[label] * said[label] for label in labels) / rows**2
    found = [
        _single("predictive_accuracy", accuracy),
        _single("kappa", (accuracy - expected) / (1 - expected) if expected < 1 else 0.0),
        _weighted("precision", precision, have),
        _weighted("recall", recall, have),
        _weighted("f_measure", f_measure, have),
        _single("number_of_instances", rows),
    ]
    if confidences is not None and rows * len(labels) <= _MOST_CURVE_CELLS:
        areas = {label: _area(label, truth, confidences[label]) for label in labels}
        known = {label: area for label, area in areas.items() if area is not None}
        if known:
            found.append(_weighted("area_under_roc_curve", known, have))
    if len(labels) <= _MOST_CLASSES:
        table = [[pairs[row, column] for column in labels] for row in labels]
        found.append(Evaluation("confusion_matrix", array_data=json.dumps(table, separators=(",", ":"))))
    return found


def regression(truth: Sequence[float], predicted: Sequence[float]) -> list[Evaluation]:
    """Measure predicted numbers."""
    errors = [given - true for given, true in zip(predicted, truth, strict=True)]
    rows = len(errors)
    found = [
        _single("mean_absolute_error", math.fsum(map(abs, errors)) / rows),
        _single("root_mean_squared_error", math.sqrt(math.fsum(error * error for error in errors) / rows)),
        _single("number_of_instances", rows),
    ]
    correlation = _correlation(truth, predicted)
    return found if correlation is None else [*found, _single("correlation_coefficient", correlation)]


def _single(name: str, value: float) -> Evaluation:
    return Evaluation(name, round(value, _DIGITS))


def _weighted(name: str, values: Mapping[str, float], weights: Mapping[str, int]) -> Evaluation:
    total = sum(weights[label] for label in values)
    mean = sum(value * weights[label] for label, value in values.items()) / total if total else 0.0
    listed = [round(value, _DIGITS) for value in values.values()]
    return Evaluation(name, round(mean, _DIGITS), json.dumps(listed, separators=(",", ":")))


def _harmonic(first: float, second: float) -> float:
    return 2 * first * second / (first + second) if first + second else 0.0


def _area(label: str, truth: Sequence[str], confidences: Sequence[float]) -> float | None:
    """The chance that a row of the label is given more confidence than another; None without both kinds."""
    ordered = sorted(zip(confidences, (each == label for each in truth), strict=True))
    positive = sum(is_of for _, is_of in ordered)
    negative = len(ordered) - positive
    if not positive or not negative:
        return None
    ranks = 0.0
    before = 0
    for _, group in groupby(ordered, key=lambda pair: pair[0]):
        flags = [is_of for _, is_of in group]
        # Rows of equal confidence share their ranks.
        ranks += sum(flags) * (before + (len(flags) + 1) / 2)
        before += len(flags)
    return (ranks - positive * (positive + 1) / 2) / (positive * negative)


def _correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    rows = len(first)
    means = math.fsum(first) / rows, math.fsum(second) / rows
    parts = [(a - means[0], b - means[1]) for a, b in zip(first, second, strict=True)]
    squares = math.fsum(a * a for a, _ in parts), math.fsum(b * b for _, b in parts)
    bottom = math.sqrt(squares[0]) * math.sqrt(squares[1])
    return math.fsum(a * b for a, b in parts) / bottom if bottom else None
