"""The measures that pages offer: what they are called, and whether less of them is better."""

import re
from collections.abc import Mapping
from typing import Final

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What OpenML takes for the name of one, in an address."""
LABELS: Final[Mapping[str, str]] = {
    "predictive_accuracy": "Accuracy",
    "area_under_roc_curve": "Area under the ROC curve",
    "f_measure": "F-measure",
    "kappa": "Kappa",
    "precision": "Precision",
    "recall": "Recall",
    "mean_absolute_error": "Mean absolute error",
    "root_mean_squared_error": "Root mean squared error",
    "relative_absolute_error": "Relative absolute error",
    "root_relative_squared_error": "Root relative squared error",
    "correlation_coefficient": "Correlation",
    "usercpu_time_millis": "Processor time (ms)",
    "usercpu_time_millis_training": "Processor time of training (ms)",
    "wall_clock_time_millis": "Time (ms)",
}
DEFAULTS: Final = ("predictive_accuracy", "mean_absolute_error")
"""What is looked for where nobody chose one: results of labels, then of numbers."""
_LESS: Final = re.compile(r"error|_time_|cost$|memory|variance|bias|complexity", re.IGNORECASE)


def label_of(name: str) -> str:
    """Return what a measure is called on pages."""
    return LABELS.get(name) or name.replace("_", " ").capitalize()


def is_better_lower(name: str) -> bool:
    """Say whether the least is the best."""
    return _LESS.search(name) is not None


def offered(chosen: str) -> list[tuple[str, str]]:
    """Return the names and labels that a page lets one choose from, the chosen one among them."""
    known = [*LABELS.items()]
    return known if chosen in LABELS else [*known, (chosen, label_of(chosen))]
