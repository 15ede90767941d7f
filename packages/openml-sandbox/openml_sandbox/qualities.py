"""The qualities that OpenML's evaluation engine computes of a dataset, all of them at once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise, starmap
from operator import ne

from openml_sandbox.weka import Summary
from openml_sandbox.weka_values import Attribute, java_double

Qualities = dict[str, float | None]


@dataclass(slots=True)
class Classes:
    """What the values of the target come to, row by row; None is a value that is missing, and no class."""

    counts: Counter[bytes | None] = field(default_factory=Counter)
    changes: int = 0
    first: bytes | None = None
    last: bytes | None = None

    def add(self, values: Sequence[bytes | None]) -> None:
        """Take the values of the next rows; there is at least one."""
        known = [self.last, *values] if self.counts else values
        if not self.counts:
            self.first = values[0]
        self.changes += sum(starmap(ne, pairwise(known)))
        if None in values:
            # A missing value differs from everything, another one too.
            self.changes += [*pairwise(known)].count((None, None))
        self.counts.update(values)
        self.last = values[-1]

    @property
    def has_missing(self) -> bool:
        """Whether a row has no class."""
        return None in self.counts


def compute_qualities(
    summary: Summary, kept: Sequence[Attribute], target: Attribute | None, classes: Classes
) -> Qualities:
    """Compute them over the columns that are neither ignored nor name rows; None where there is no number."""
    rows, columns = summary.row_count, len(kept)
    missing = sum(attribute.missing_count for attribute in kept)
    numeric = sum(attribute.kind in {"numeric", "date"} for attribute in kept)
    nominal = [attribute for attribute in kept if attribute.kind == "nominal"]
    binary = sum(len(attribute.labels) == 2 for attribute in nominal)  # noqa: PLR2004 - what binary means
    sizes = [count for value, count in classes.counts.items() if value is not None]
    is_numeric = target is not None and target.kind == "numeric"
    majority, minority = (None, None) if is_numeric or not sizes else (max(sizes), min(sizes))
    return {
        "AutoCorrelation": _auto_correlation(rows, target, classes),
        "Dimensionality": columns / rows if rows else 0,
        "MajorityClassPercentage": _percentage(majority, rows),
        "MajorityClassSize": majority,
        "MinorityClassPercentage": _percentage(minority, rows),
        "MinorityClassSize": minority,
        "NumberOfBinaryFeatures": binary,
        "NumberOfClasses": 0 if is_numeric else len(sizes),
        "NumberOfFeatures": columns,
        "NumberOfInstances": rows,
        "NumberOfInstancesWithMissingValues": summary.rows_with_missing,
        "NumberOfMissingValues": missing,
        "NumberOfNumericFeatures": numeric,
        "NumberOfSymbolicFeatures": len(nominal),
        "PercentageOfBinaryFeatures": _percentage(binary, columns),
        "PercentageOfInstancesWithMissingValues": _percentage(summary.rows_with_missing, rows),
        "PercentageOfMissingValues": _percentage(missing, columns * rows),
        "PercentageOfNumericFeatures": _percentage(numeric, columns),
        "PercentageOfSymbolicFeatures": _percentage(len(nominal), columns),
    }


def _percentage(part: float | None, whole: float) -> float | None:
    return part / whole * 100 if part is not None and whole else None


def _auto_correlation(rows: int, target: Attribute | None, classes: Classes) -> float | None:
    """How seldom the class changes from a row to the next; of numbers it is how far they fall, for the engine."""
    if target is None or rows < 2:  # noqa: PLR2004 - there has to be a next row
        return None
    if target.kind != "numeric":
        return (rows - 1 - classes.changes) / (rows - 1)
    if classes.has_missing or classes.first is None or classes.last is None:
        return None
    return (rows - 1 - (java_double(classes.first) - java_double(classes.last))) / (rows - 1)
