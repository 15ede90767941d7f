"""Values of this process in files that all processes of the machine can read (prometheus_client's), and their sums."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app.core.measuring import Kind, Metric, ValueSource
from app.core.metrics import METRICS
from app.metrics.shared import SharedFolder

MOST_SERIES: Final = 3000
"""Series of one metric in a process; what comes beyond counts as `other`. No label of ours has so many values."""
MOST_WAITING: Final = 200
"""Requests that are counted at once, which takes half a millisecond."""
_MODES: Final[Mapping[ValueSource, Literal["livesum", "livemax"]]] = {
    ValueSource.PROCESS: "livesum",
    ValueSource.MAXIMUM: "livemax",
}


class FileRecorder:
    """Stores the values of this process."""

    def __init__(self, folder: SharedFolder) -> None:
        # The library reads it whenever it opens a file.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder.path)  # noqa: TID251 - its only way to be told
        values.ValueClass = values.MultiProcessValue(lambda: folder.number)  # type: ignore[no-untyped-call]  # the library has no types for it
        self._families: dict[str, Any] = {
            metric.name: _family(metric) for metric in METRICS if metric.source is not ValueSource.SCRAPE
        }
        self._waiting: list[Callable[[], None]] = []
        self._children: dict[str, dict[tuple[str, ...], Any]] = {name: {} for name in self._families}
        for metric in METRICS:
            for labels in metric.known if metric.labels else ():
                self._child(metric, labels)

    def add(self, metric: Metric, labels: Sequence[str], amount: float) -> None:
        """Add to a counter."""
        self._child(metric, labels).inc(amount)

    def set(self, metric: Metric, labels: Sequence[str], value: float) -> None:
        """Set a gauge."""
        self._child(metric, labels).set(value)

    def observe(self, metric: Metric, labels: Sequence[str], value: float) -> None:
        """Count a value in a histogram."""
        self._child(metric, labels).observe(value)

    def soon(self, count: Callable[[], None]) -> None:
        """Call `count` at the next `flush`, or when many wait."""
        self._waiting.append(count)
        if len(self._waiting) >= MOST_WAITING:
            self.flush()

    def flush(self) -> None:
        """Run the queued calls."""
        waiting, self._waiting = self._waiting, []
        for count in waiting:
            count()

    def _child(self, metric: Metric, labels: Sequence[str]) -> Any:  # noqa: ANN401 - a counter, gauge or histogram
        children = self._children[metric.name]
        key = tuple(labels)
        child = children.get(key)
        if child is None:
            if len(children) >= MOST_SERIES:
                key = ("other",) * len(key)
            family = self._families[metric.name]
            child = children[key] = family.labels(*key) if key else family
        return child


class SummedCollector(Collector):
    """The values of all processes of the machine, added up, as the list of metrics describes them."""

    def __init__(self, folder: SharedFolder) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Family]:
        """Yield every metric that has a value, in the order of the list."""
        self._folder.forget_the_dead()
        found: Iterable[Family] = MultiProcessCollector(None, str(self._folder.path)).collect()  # type: ignore[no-untyped-call]  # the library has no types for it
        by_name = {family.name: family for family in found}
        for metric in METRICS:
            family = by_name.get(metric.full_name.removesuffix("_total"))
            if family is not None:
                family.documentation = metric.help
                yield family


def _family(metric: Metric) -> Any:  # noqa: ANN401 - a counter, gauge or histogram
    # Not registered: what is answered are the sums. The text is part of each key in the files, and is added later.
    registry = CollectorRegistry()
    name, labels = metric.full_name, metric.labels
    if metric.kind is Kind.COUNTER:
        return Counter(name, "-", labels, registry=registry)
    if metric.kind is Kind.HISTOGRAM:
        return Histogram(name, "-", labels, buckets=metric.buckets, registry=registry)
    return Gauge(name, "-", labels, registry=registry, multiprocess_mode=_MODES[metric.source])
