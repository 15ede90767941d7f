"""The processing step: reads what was uploaded as OpenML's evaluation engine does, then activates it or says why not.

It evaluates runs as well. The real engine is a Java program that runs every minute beside the server; here it is a
task of the same process. Its work list is the datasets and runs without an outcome, so work that was cut short is
done at the next start.
"""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime

from openml_sandbox.answers import html_entities
from openml_sandbox.call import to_id
from openml_sandbox.evaluating import UnusableError, evaluate
from openml_sandbox.qualities import Classes, Qualities, compute_qualities
from openml_sandbox.records import (
    Dataset,
    Feature,
    add_processing,
    get_dataset,
    get_next_unprocessed,
    set_status,
    take_processing_error,
)
from openml_sandbox.run_records import Run, add_evaluations, get_next_unevaluated, get_run_files
from openml_sandbox.store import Store
from openml_sandbox.task_records import get_inputs
from openml_sandbox.weka import Summary, Watcher, read_arff
from openml_sandbox.weka_values import Attribute

logger = logging.getLogger(__name__)

# The schema of the feature upload, which the engine's result has to pass.
_NAME_MAX_LENGTH = 64
_LABEL_MAX_LENGTH = 256

# What the Java machine of the engine has, and a whole number takes.
_HEAP_BYTES = 2 * 1024**3
_INT_BYTES = 4

# A pause between blocks lets the event loop run: reading holds the interpreter for most of its time.
_PAUSE_SECONDS = 0.001


class _StoppedError(Exception):
    """The sandbox is shutting down."""


class _RefusedError(Exception):
    """The engine gives up on the dataset; the text is what its owner reads."""


class Engine:
    """Works through datasets and runs, one after another, a while after their upload."""

    def __init__(self, store: Store, executor: Executor, delay_seconds: float) -> None:
        self._store = store
        self._executor = executor
        self._delay_seconds = delay_seconds
        self._work = asyncio.Event()
        self._stop = threading.Event()

    def wake(self) -> None:
        """Tell that there may be work."""
        self._work.set()

    def stop(self) -> None:
        """Ask a running step to give up; it is done again at the next start."""
        self._stop.set()

    async def run(self) -> None:
        """Process datasets, and then runs, until cancelled."""
        loop = asyncio.get_running_loop()
        while not self._stop.is_set():
            self._work.clear()
            dataset, run = await loop.run_in_executor(self._executor, self._next)
            if dataset is not None:
                await asyncio.sleep(self._seconds_until_due(dataset.upload_date))
                await loop.run_in_executor(self._executor, self._process, dataset.id)
            elif run is not None:
                await asyncio.sleep(self._seconds_until_due(run.start_time))
                await loop.run_in_executor(self._executor, self._evaluate, run)
            else:
                await self._work.wait()

    def _next(self) -> tuple[Dataset | None, Run | None]:
        with self._store.transaction() as connection:
            return get_next_unprocessed(connection), get_next_unevaluated(connection)

    def _seconds_until_due(self, uploaded: str) -> float:
        age = datetime.now(UTC) - datetime.fromisoformat(uploaded)
        return max(0.0, self._delay_seconds - age.total_seconds())

    def _evaluate(self, run: Run) -> None:
        with self._store.transaction() as connection:
            inputs = get_inputs(connection, run.task)
            dataset = get_dataset(connection, to_id(inputs.get("source_data", "")))
            file_id = get_run_files(connection, run.id).get("predictions")
        error, found = None, []
        try:
            if file_id is None or dataset is None or "target_feature" not in inputs:
                raise UnusableError("there is nothing to compare")
            files = self._store.file_path(file_id), self._store.file_path(dataset.file_id)
            found = evaluate(*files, inputs["target_feature"], self._pause)
        except _StoppedError:
            return
        except Exception as caught:  # noqa: BLE001 - as of datasets: a run is marked with whatever goes wrong
            logger.info("run %d was evaluated with an error: %s", run.id, caught)
            error = str(caught)
        with self._store.transaction() as connection:
            add_evaluations(connection, run.id, error, found)

    def _pause(self) -> None:
        if self._stop.is_set():
            raise _StoppedError
        time.sleep(_PAUSE_SECONDS)

    def _process(self, dataset_id: int) -> None:
        with self._store.transaction() as connection:
            dataset = get_dataset(connection, dataset_id)
            fault = take_processing_error(connection, dataset_id)
        if dataset is None:
            return
        try:
            if fault is not None:
                raise _RefusedError(fault)
            step = _Step(dataset, self._pause)
            with self._store.file_path(dataset.file_id).open("rb") as file:
                summary = read_arff(file, step)
            _require_numbers_that_fit(summary, step)
            features = _features(summary, dataset)
        except _StoppedError:
            return
        except Exception as error:  # noqa: BLE001 - the real engine, too, marks a dataset with whatever goes wrong
            logger.info("dataset %d was processed with an error: %s", dataset_id, error)
            self._store_error(dataset_id, str(error))
            return
        self._store_result(dataset_id, features, step.qualities(summary))

    def _store_error(self, dataset_id: int, error: str) -> None:
        with self._store.transaction() as connection:
            if get_dataset(connection, dataset_id) is not None:
                add_processing(connection, dataset_id, html_entities(error))

    def _store_result(self, dataset_id: int, features: list[Feature], qualities: Qualities) -> None:
        with self._store.transaction() as connection:
            dataset = get_dataset(connection, dataset_id)
            if dataset is None:
                return
            add_processing(connection, dataset_id, None, features, qualities)
            if dataset.status == "in_preparation":
                set_status(connection, dataset_id, "active")


class _Step(Watcher):
    """What the engine does while Weka reads."""

    def __init__(self, dataset: Dataset, on_block: Callable[[], None]) -> None:
        self._dataset = dataset
        self._targets = _targets(dataset)
        self._on_block = on_block
        self._classes = Classes()

    def on_header(self, attributes: list[Attribute]) -> None:
        positions = {attribute.name.decode(errors="replace"): n for n, attribute in enumerate(attributes)}
        unknown = [target for target in self._targets if target not in positions]
        if unknown:
            raise _RefusedError(f"Default target attribute(s) could not be found: [{', '.join(unknown)}]")
        if len(self._targets) == 1:
            self.target = positions[self._targets[0]]
        # Of Weka, the class is the one column that cannot be taken away.
        left_out = _names(self._dataset, "row_id_attribute") | {*self._dataset.listed("ignore_attribute")}
        self.ignored = frozenset(n for name, n in positions.items() if name in left_out) - {self.target}

    def on_rows(self) -> None:
        # The engine asks each row for its class, which is set only where there is exactly one target.
        if len(self._targets) != 1:
            raise _RefusedError("Class is not set!")

    def on_target(self, values: Sequence[bytes | None]) -> None:
        self._classes.add(values)

    def on_block(self) -> None:
        self._on_block()

    def qualities(self, summary: Summary) -> Qualities:
        """Compute the qualities of what was read."""
        kept = [attribute for n, attribute in enumerate(summary.attributes) if n not in self.ignored]
        target = None if self.target is None else summary.attributes[self.target]
        return compute_qualities(summary, kept, target, self._classes)


def _require_numbers_that_fit(summary: Summary, step: _Step) -> None:
    """Give up where the engine's own arithmetic does: it keeps a table of labels by labels, and sums squares."""
    target = None if step.target is None else summary.attributes[step.target]
    if target is not None and len(target.labels) ** 2 * _INT_BYTES > _HEAP_BYTES:
        raise _RefusedError("Java heap space")
    if any(math.isinf(attribute.squares) for attribute in summary.attributes):
        raise _RefusedError("Infinite or NaN")


def _names(dataset: Dataset, field: str) -> set[str]:
    return {name.strip() for name in dataset.metadata.get(field, "").split(",")}


def _targets(dataset: Dataset) -> list[str]:
    """Split as Java does: nothing is trimmed, and empty parts at the end are dropped."""
    target = dataset.metadata.get("default_target_attribute", "").rstrip(",")
    return list(dict.fromkeys(target.split(","))) if target else []


def _features(summary: Summary, dataset: Dataset) -> list[Feature]:
    # The server sets these flags, and trims names where the engine does not.
    targets = _names(dataset, "default_target_attribute")
    row_ids = _names(dataset, "row_id_attribute")
    ignored = set(dataset.listed("ignore_attribute"))
    features = []
    for position, attribute in enumerate(summary.attributes):
        name = _latin(attribute.name, "name", _NAME_MAX_LENGTH).strip()
        # The order of the header is lost: the engine collects labels in a sorted set.
        labels = tuple(
            sorted(_latin(label, "nominal_value", _LABEL_MAX_LENGTH) for label in attribute.labels)
        )
        if attribute.kind == "nominal" and not labels:
            raise _RefusedError(f"Nominal features need values: feature: {name}")
        features.append(
            Feature(
                position,
                name,
                attribute.kind,
                labels,
                name in targets,
                name in ignored,
                name in row_ids,
                attribute.missing_count,
            )
        )
    return features


def _latin(value: bytes, element: str, longest: int) -> str:
    """Check what the feature upload's schema asks of names and labels."""
    text = value.decode(errors="replace")
    if not text.isascii() or not 1 <= len(text) <= longest:
        raise _RefusedError(
            f"Problem validating uploaded description file: Element {element}: the value '{text}' has to have "
            f"1 to {longest} characters, all of them ASCII."
        )
    return text
