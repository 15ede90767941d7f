"""What a page says of many results: the best of each flow, task or person, and when the best ones came. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from app.openml.runs import Evaluation


@dataclass(frozen=True, slots=True)
class Group:
    """The results that have something in common, the best first; never empty."""

    id: int
    results: Sequence[Evaluation]

    @property
    def best(self) -> Evaluation:
        """The best of them; the earliest, where several are."""
        return self.results[0]

    @property
    def values(self) -> list[float]:
        """What they came to."""
        return [each.value for each in self.results]


@dataclass(frozen=True, slots=True)
class Moment:
    """A result in time: seconds since 1970, and whether it was the best so far."""

    at: float
    value: float
    is_record: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """The best results of flows (columns) on tasks (rows); None where there is none."""

    flows: Sequence[Group]
    rows: Sequence[tuple[Group, Sequence[Evaluation | None]]]


def best_first(results: Sequence[Evaluation], *, lower: bool) -> list[Evaluation]:
    """Return the results, the best first, and of equal ones the earliest."""
    return sorted(results, key=lambda each: (each.value if lower else -each.value, each.at, each.run_id))


def grouped(ordered: Sequence[Evaluation], key: Callable[[Evaluation], int | None]) -> list[Group]:
    """Return groups of results that are ordered already, the group of the best first; what has no key is left out."""
    found: dict[int, list[Evaluation]] = {}
    for each in ordered:
        number = key(each)
        if number is not None:
            found.setdefault(number, []).append(each)
    return [Group(number, results) for number, results in found.items()]


def median(values: Sequence[float]) -> float:
    """Return the middle of some values; of huge ones as well."""
    return quantile(sorted(values), 0.5)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile of ordered values, between two of them by their distance."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    weight = place - low
    return ordered[low] * (1 - weight) + ordered[high] * weight


def seconds_of(at: str) -> float | None:
    """Return a time of OpenML's (`2014-04-06 23:30:40`, UTC) as seconds since 1970; None where it is none."""
    try:
        return datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def over_time(results: Sequence[Evaluation], *, lower: bool) -> list[Moment]:
    """Return the results in the order of their times, and which of them were the best so far."""
    timed = ((seconds_of(each.at), each.value, each.run_id) for each in results)
    found = []
    best: float | None = None
    for at, value, _ in sorted((at, value, run) for at, value, run in timed if at is not None):
        is_record = best is None or (value < best if lower else value > best)
        best = value if is_record else best
        found.append(Moment(at, value, is_record))
    return found


def tabulated(ordered: Sequence[Evaluation], *, most_rows: int, most_columns: int) -> Comparison:
    """Return the best of each flow on each task; the flows and tasks with most results are shown."""
    tasks = _largest(grouped(ordered, lambda each: each.task_id), most_rows)
    flows = _largest(grouped(ordered, lambda each: each.flow_id), most_columns)
    best: dict[tuple[int | None, int | None], Evaluation] = {}
    for each in ordered:
        best.setdefault((each.task_id, each.flow_id), each)
    rows = [
        (task, [best.get((task.id, flow.id)) for flow in flows])
        for task in sorted(tasks, key=lambda group: group.id)
    ]
    return Comparison(flows, rows)


def _largest(groups: Sequence[Group], most: int) -> list[Group]:
    """Return the groups with most results, in the order in which they were."""
    counts = sorted((len(group.results) for group in groups), reverse=True)
    least = counts[most - 1] if len(counts) > most else 0
    return [group for group in groups if len(group.results) >= least][:most]


def thinned(moments: Sequence[Moment], most: int) -> list[Moment]:
    """Return at most so many moments: the best so far, and of the others every so many."""
    if len(moments) <= most:
        return [*moments]
    records = [each for each in moments if each.is_record][-most // 2 :]
    others = [each for each in moments if not each.is_record]
    step = max(1, -(-len(others) // max(1, most - len(records))))
    return sorted([*records, *others[::step]], key=lambda each: each.at)


def steps(moments: Sequence[Moment]) -> list[tuple[Moment, Moment]]:
    """Return the moments at which a best one was followed by a better one."""
    return [*pairwise(each for each in moments if each.is_record)]
