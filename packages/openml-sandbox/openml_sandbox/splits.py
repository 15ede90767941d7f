"""Splits of tasks: which rows train and which are predicted, by their estimation procedure, the same each time."""

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from openml_sandbox.evaluating import TargetValues, UnusableError
from openml_sandbox.reference import EstimationProcedure
from openml_sandbox.weka import read_arff

MOST_LINES = 5_000_000
_LINES_AT_ONCE = 10_000
_TYPES = frozenset({"crossvalidation", "leaveoneout", "holdout"})


def split(dataset: Path, target: str, procedure: EstimationProcedure, seed: int) -> Iterator[bytes]:
    """Yield an ARFF file with a line for each row of each fold of each repeat.

    Args:
        dataset: ARFF in which a row's number is its `rowid`.
        target: the column by which folds are stratified, if they are.
        procedure: how the rows are split.
        seed: of the order of the rows; the number of the task.

    Raises:
        UnusableError: there are no splits of this kind, or there would be too many lines.
        WekaError: the dataset cannot be read.
    """
    if procedure.type not in _TYPES:
        raise UnusableError(f"{procedure.name} has no splits here")
    values = _target_values(dataset, target)
    repeats, folds = procedure.repeats or 1, _folds(procedure, len(values))
    lines = len(values) * repeats * (1 if procedure.type == "holdout" else folds)
    if not values or lines > MOST_LINES:
        raise UnusableError(f"that would be {lines} lines")
    return _written(values, procedure, repeats, folds, seed)


def _target_values(dataset: Path, target: str) -> Sequence[bytes | None]:
    truth = TargetValues(target, lambda: None)
    with dataset.open("rb") as file:
        read_arff(file, truth)
    if truth.attribute is None:
        raise UnusableError(f"the dataset has no column {target}")
    return truth.values


def _folds(procedure: EstimationProcedure, rows: int) -> int:
    if procedure.type == "holdout":
        return round(100 / (procedure.percentage or 50))
    return procedure.folds or rows


def _written(
    values: Sequence[bytes | None], procedure: EstimationProcedure, repeats: int, folds: int, seed: int
) -> Iterator[bytes]:
    yield (
        f"@relation Task_{seed}_splits\n\n@attribute type {{TRAIN,TEST}}\n@attribute rowid INTEGER\n"
        "@attribute repeat INTEGER\n@attribute fold INTEGER\n\n@data\n"
    ).encode()
    shown = 1 if procedure.type == "holdout" else folds
    for repeat in range(repeats):
        draw = random.Random(seed * 1000 + repeat)  # noqa: S311 - no secret
        places = _places(values, folds, draw.shuffle, stratified=bool(procedure.stratified))
        for fold in range(shown):
            for start in range(0, len(places), _LINES_AT_ONCE):
                part = enumerate(places[start : start + _LINES_AT_ONCE], start)
                yield "".join(
                    f"{'TEST' if place == fold else 'TRAIN'},{row},{repeat},{fold}\n" for row, place in part
                ).encode()


def _places(
    values: Sequence[bytes | None], folds: int, shuffle: Callable[[list[int]], None], *, stratified: bool
) -> list[int]:
    """Return the fold in which each row is predicted: dealt in turn, class by class where they are stratified."""
    rows = list(range(len(values)))
    shuffle(rows)
    if stratified:
        rows.sort(key=lambda row: values[row] or b"")
    places = [0] * len(rows)
    for turn, row in enumerate(rows):
        places[row] = turn % folds
    return places
