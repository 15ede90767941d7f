"""Evaluates a run as the engine does: its predictions are compared with the dataset's own values of the target."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from openml_sandbox.measures import classification, regression
from openml_sandbox.run_records import Evaluation
from openml_sandbox.weka import Watcher, read_arff
from openml_sandbox.weka_values import Attribute, Column

# Beyond, a machine for tests would be busy for minutes.
_MOST_PREDICTIONS = 2_000_000
_PLACES = ("repeat", "fold", "row_id")
_CONFIDENCE = "confidence."


class UnusableError(Exception):
    """The predictions cannot be evaluated; the text says why."""


@dataclass(slots=True)
class _Table:
    """The columns of a file; None where a value is missing."""

    attributes: list[Attribute]
    columns: list[Column]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.columns[0])

    def position(self, name: str) -> int | None:
        """Return where a column is."""
        names = [attribute.name.decode(errors="replace") for attribute in self.attributes]
        return names.index(name) if name in names else None


class _Reader(Watcher):
    def __init__(self, on_block: Callable[[], None]) -> None:
        self.columns: list[Column] = []
        self._on_block = on_block

    def on_header(self, attributes: list[Attribute]) -> None:
        self.columns = [[] for _ in attributes]

    def on_columns(self, columns: list[Column]) -> None:
        if len(self.columns[0]) + len(columns[0]) > _MOST_PREDICTIONS:
            raise UnusableError(f"there are more than {_MOST_PREDICTIONS} predictions")
        for known, more in zip(self.columns, columns, strict=True):
            known.extend(more)

    def on_block(self) -> None:
        self._on_block()


class TargetValues(Watcher):
    """The values of one column.

    Attributes:
        attribute: its declaration; None if there is none of that name.
        values: its cells.
    """

    def __init__(self, name: str, on_block: Callable[[], None]) -> None:
        self._name = name
        self._on_block = on_block
        self.attribute: Attribute | None = None
        self.values: list[bytes | None] = []

    def on_header(self, attributes: list[Attribute]) -> None:
        """Find the column."""
        names = [attribute.name.decode(errors="replace") for attribute in attributes]
        if self._name in names:
            self.target = names.index(self._name)
            self.attribute = attributes[self.target]

    def on_target(self, values: Sequence[bytes | None]) -> None:
        """Keep its cells."""
        self.values += values

    def on_block(self) -> None:
        """Let whoever evaluates end it."""
        self._on_block()


def evaluate(predictions: Path, dataset: Path, target: str, on_block: Callable[[], None]) -> list[Evaluation]:
    """Evaluate predictions, all together and for each fold.

    Args:
        predictions: ARFF with columns `repeat`, `fold`, `row_id`, `prediction` and perhaps `confidence.LABEL`.
        dataset: ARFF in which a row's number is its `row_id`.
        target: the name of the column that was to be predicted.
        on_block: called now and then; may raise to end the reading.

    Raises:
        UnusableError: the predictions are none of this dataset.
        WekaError: a file cannot be read.
    """
    truth = TargetValues(target, on_block)
    with dataset.open("rb") as file:
        read_arff(file, truth)
    if truth.attribute is None:
        raise UnusableError(f"the dataset has no column {target}")
    reader = _Reader(on_block)
    with predictions.open("rb") as file:
        summary = read_arff(file, reader)
    table = _Table(summary.attributes, reader.columns)
    if not len(table):
        raise UnusableError("there are no predictions")
    scorer = _Scorer(table, truth.attribute, truth.values)
    found = scorer.score(range(len(table)))
    for (repeat, fold), rows in sorted(scorer.folds().items()):
        of_fold = (each for each in scorer.score(rows) if each.function != "confusion_matrix")
        found += [replace(each, repeat=repeat, fold=fold) for each in of_fold]
    return found


class _Scorer:
    """Knows the columns of predictions, and what was to be predicted."""

    def __init__(self, table: _Table, attribute: Attribute, truth: Sequence[bytes | None]) -> None:
        self._table = table
        self._places = [_whole(self._column(name), name) for name in _PLACES]
        self._is_nominal = attribute.kind == "nominal"
        labels = [label.decode(errors="replace") for label in attribute.labels]
        self._labels = labels
        row_ids = self._places[2]
        if row_ids and not 0 <= min(row_ids) <= max(row_ids) < len(truth):
            raise UnusableError("a row_id is beyond the dataset's rows")
        self._truth = _present([truth[row] for row in row_ids], "the target")
        self._predicted = _present(self._column("prediction"), "prediction")
        if self._is_nominal and not set(self._predicted) <= set(labels):
            raise UnusableError("a prediction is no label of the target")
        self._confidences = self._read_confidences()

    def folds(self) -> dict[tuple[int, int], list[int]]:
        """Return the rows of each repeat and fold."""
        found: dict[tuple[int, int], list[int]] = defaultdict(list)
        for row, place in enumerate(zip(self._places[0], self._places[1], strict=True)):
            found[place].append(row)
        return found

    def score(self, rows: Sequence[int]) -> list[Evaluation]:
        """Measure some of the predictions."""
        truth, predicted = [self._truth[row] for row in rows], [self._predicted[row] for row in rows]
        if not self._is_nominal:
            return regression(_numbers(truth), _numbers(predicted))
        confidences = None
        if self._confidences:
            confidences = {
                label: [column[row] for row in rows] for label, column in self._confidences.items()
            }
        return classification(self._labels, truth, predicted, confidences)

    def _column(self, name: str) -> Column:
        position = self._table.position(name)
        if position is None:
            raise UnusableError(f"the predictions have no column {name}")
        return self._table.columns[position]

    def _read_confidences(self) -> dict[str, list[float]]:
        if not self._is_nominal or any(
            self._table.position(_CONFIDENCE + label) is None for label in self._labels
        ):
            return {}
        return {
            label: _numbers(_present(self._column(_CONFIDENCE + label), "a confidence"))
            for label in self._labels
        }


def _present(values: Sequence[bytes | None], what: str) -> list[str]:
    if None in values:
        raise UnusableError(f"{what} is missing in a row")
    return [value.decode(errors="replace") for value in values if value is not None]


def _numbers(texts: Sequence[str]) -> list[float]:
    try:
        numbers = [float(text) for text in texts]
    except ValueError as error:
        raise UnusableError("a value is no number") from error
    if not all(map(math.isfinite, numbers)):
        raise UnusableError("a value is no finite number")
    return numbers


def _whole(values: Sequence[bytes | None], name: str) -> list[int]:
    numbers = _numbers(_present(values, name))
    if not all(number.is_integer() for number in numbers):
        raise UnusableError(f"{name} is no whole number")
    return [int(number) for number in numbers]
