"""What a metric is, and where what is measured goes.

`add`, `observe` and `set` of a metric do nothing until `record_with` says where values go, which `app.metrics` does
where `METRICS_LISTEN` is set; so nothing here imports a library.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

PREFIX: Final = "openml_web_"


class Kind(StrEnum):
    """What can be done with a metric's values."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class ValueSource(StrEnum):
    """Where values come from."""

    PROCESS = "process"
    """Each process counts for itself; what all of a machine have is added up."""
    MAXIMUM = "maximum"
    """Of all processes the largest value."""
    SCRAPE = "scrape"
    """Read from the database or the system when somebody asks, the same from every machine."""


class Recorder(Protocol):
    """Keeps the values of this process."""

    def add(self, metric: "Metric", labels: Sequence[str], amount: float) -> None:
        """Add to a counter."""

    def set(self, metric: "Metric", labels: Sequence[str], value: float) -> None:
        """Set a gauge."""

    def observe(self, metric: "Metric", labels: Sequence[str], value: float) -> None:
        """Count a value in a histogram."""

    def soon(self, count: Callable[[], None]) -> None:
        """Call `count` within half a second."""


_recorder: Recorder | None = None


def record_with(recorder: Recorder | None) -> None:
    """Say where this process' values go from now on; None: nowhere."""
    global _recorder  # noqa: PLW0603 - as logging has it: one for a process, and asked for at a hundred places
    _recorder = recorder


def count_soon(count: Callable[[], None]) -> None:
    """Have something counted within half a second, with others of its kind: for what happens with each request.

    That takes a third of the time. A process that is killed takes with it what it has not counted.
    """
    if _recorder is not None:
        _recorder.soon(count)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: without `PREFIX`; a counter's ends in `_total`, and a unit (seconds, bytes) stands last before that.
        kind: what can be done with its values.
        help: what a value says.
        labels: what its values are told apart by.
        buckets: of a histogram, their upper ends.
        source: where its values come from.
        known: values of its labels that are there from the start, with 0: a rate needs a value before the first event.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    source: ValueSource = ValueSource.PROCESS
    known: tuple[tuple[str, ...], ...] = ()

    @property
    def full_name(self) -> str:
        """Its name as Prometheus has it."""
        return PREFIX + self.name

    @property
    def unit(self) -> str:
        """`seconds`, `bytes`, or nothing for what is counted."""
        last = self.name.removesuffix("_total").rpartition("_")[2]
        return last if last in {"seconds", "bytes"} else ""

    def add(self, *labels: str, by: float = 1) -> None:
        """Add to a counter."""
        if _recorder is not None:
            _recorder.add(self, labels, by)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Count one more of a gauge while the body runs."""
        self.add(by=1)
        try:
            yield
        finally:
            self.add(by=-1)

    def set(self, value: float, *labels: str) -> None:
        """Set a gauge of this process."""
        if _recorder is not None:
            _recorder.set(self, labels, value)

    def observe(self, value: float, *labels: str) -> None:
        """Count a value in a histogram."""
        if _recorder is not None:
            _recorder.observe(self, labels, value)
