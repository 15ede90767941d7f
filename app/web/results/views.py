"""What the pages of results show, made of what OpenML's server told. Pure; texts of strangers are made plain here."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.openml.reading import PAGE
from app.openml.runs import Evaluation, Run, RunMeasure
from app.web.catalogue.texts import one_line
from app.web.results.drawing import Axis, Strip, Timeline, axis, number, scale_of, strip, timeline
from app.web.results.measures import is_better_lower, label_of
from app.web.results.summaries import (
    Group,
    best_first,
    grouped,
    median,
    over_time,
    tabulated,
    thinned,
)

Context = dict[str, object]
Names = Mapping[int, str]
STRIPS: Final = 20
PEOPLE: Final = 20
LINES: Final = 100
MOMENTS: Final = 400
TABLE_ROWS, TABLE_COLUMNS = 50, 8
CLASSES: Final = 20
"""Of a table of confusions; a larger one is no picture any more."""
SHADES: Final = 9
LONGEST_TABLE: Final = 10_000
"""Characters of a table of confusions that are looked at."""
LARGEST: Final = 1.7e308


@dataclass(frozen=True, slots=True)
class Line:
    """A result in a list."""

    rank: int
    run_id: int
    flow_id: int | None
    flow: str
    task_id: int | None
    dataset: str
    by: str
    uploader: int | None
    at: str
    value: str


@dataclass(frozen=True, slots=True)
class StripLine:
    """A strip with what it is of."""

    id: int
    name: str
    count: int
    best: str
    median: str
    drawn: Strip


@dataclass(frozen=True, slots=True)
class Strips:
    """Strips over one axis, and how many there are besides."""

    lines: Sequence[StripLine]
    axis: Axis
    left_out: int


@dataclass(frozen=True, slots=True)
class Leader:
    """Who has the best results."""

    rank: int
    name: str
    uploader: int
    count: int
    best: str
    run_id: int
    at: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A value with a shade of 0 to `SHADES`."""

    text: str
    shade: int
    run_id: int | None = None


def short(text: str, limit: int = 90) -> str:
    """Return a name of bounded length, its end kept: of a pipeline's name that tells most."""
    shown = one_line(text, limit=1200)
    if len(shown) <= limit:
        return shown
    begin = limit // 3
    return f"{shown[:begin]}…{shown[begin + 1 - limit :]}"


def leaders(results: Sequence[Evaluation], measure: str) -> list[int]:
    """Return the numbers of those people whose names the page shows."""
    ordered = best_first(results, lower=is_better_lower(measure))
    return [group.id for group in grouped(ordered, lambda each: each.uploader)[:PEOPLE]]


def of_task(results: Sequence[Evaluation], measure: str, people: Names, page: int) -> Context:
    """Return what the page of a task shows: its leaderboards of flows and people, and the best over time."""
    lower = is_better_lower(measure)
    ordered = best_first(results, lower=lower)
    return {
        "strips": _strips(grouped(ordered, _flow), lambda best: best.flow_name),
        "timeline": _timeline(results, lower=lower),
        "people": _leaders(grouped(ordered, lambda each: each.uploader)[:PEOPLE], people),
        "lines": _lines(ordered, people, page),
        "table": None,
    }


def of_flow(results: Sequence[Evaluation], measure: str, people: Names, page: int) -> Context:
    """Return what the page of a flow shows: its results on each task."""
    lower = is_better_lower(measure)
    ordered = best_first(results, lower=lower)
    by_size = sorted(grouped(ordered, lambda each: each.task_id), key=lambda group: -len(group.results))
    return {
        "strips": _strips(by_size, lambda best: f"Task {best.task_id}: {best.data_name or 'a dataset'}"),
        "timeline": _timeline(results, lower=lower),
        "people": [],
        "lines": _lines(ordered, people, page),
        "table": None,
    }


def of_study(results: Sequence[Evaluation], measure: str, people: Names, page: int) -> Context:
    """Return what the page of a collection shows: its flows compared, on each task."""
    lower = is_better_lower(measure)
    ordered = best_first(results, lower=lower)
    table = tabulated(ordered, most_rows=TABLE_ROWS, most_columns=TABLE_COLUMNS)
    rows = [
        (task.id, f"{short(task.best.data_name, 40) or 'Task'} ({task.id})", _shaded(cells, lower=lower))
        for task, cells in table.rows
    ]
    columns = [(flow.id, short(flow.best.flow_name, 36)) for flow in table.flows]
    return {
        "strips": _strips(grouped(ordered, _flow), lambda best: best.flow_name),
        "timeline": None,
        "people": [],
        "lines": _lines(ordered, people, page),
        "table": {"columns": columns, "rows": rows} if rows and columns else None,
    }


def _flow(each: Evaluation) -> int | None:
    return each.flow_id


def _strips(groups: Sequence[Group], name: Callable[[Evaluation], str]) -> Strips | None:
    if not groups:
        return None
    shown = groups[:STRIPS]
    scale = scale_of([value for group in shown for value in group.values])
    lines = [
        StripLine(
            id=group.id,
            name=short(name(group.best)) or str(group.id),
            count=len(group.results),
            best=number(group.best.value),
            median=number(median(group.values)),
            drawn=strip(group.values, scale, best=group.best.value),
        )
        for group in shown
    ]
    return Strips(lines, axis(scale), len(groups) - len(shown))


def _timeline(results: Sequence[Evaluation], *, lower: bool) -> Timeline | None:
    return timeline(thinned(over_time(results, lower=lower), MOMENTS))


def _leaders(groups: Sequence[Group], people: Names) -> list[Leader]:
    return [
        Leader(
            rank=rank,
            name=people.get(group.id) or f"User {group.id}",
            uploader=group.id,
            count=len(group.results),
            best=number(group.best.value),
            run_id=group.best.run_id,
            at=one_line(group.best.at, limit=30)[:10],
        )
        for rank, group in enumerate(groups, start=1)
    ]


def _lines(ordered: Sequence[Evaluation], people: Names, page: int) -> list[Line]:
    return [
        Line(
            rank=(page - 1) * PAGE + rank,
            run_id=each.run_id,
            flow_id=each.flow_id,
            flow=short(each.flow_name, 45),
            task_id=each.task_id,
            dataset=short(each.data_name, 60),
            by="" if each.uploader is None else people.get(each.uploader) or f"User {each.uploader}",
            uploader=each.uploader,
            at=one_line(each.at, limit=30)[:10],
            value=number(each.value),
        )
        for rank, each in enumerate(ordered[:LINES], start=1)
    ]


def _shaded(cells: Sequence[Evaluation | None], *, lower: bool) -> list[Cell | None]:
    """Return the cells of a row; the best is the darkest."""
    values = [each.value for each in cells if each is not None]
    if not values:
        return [None for _ in cells]
    scale = scale_of(values)

    def shade(value: float) -> int:
        share = scale.at(value) / 100
        return round((1 - share if lower else share) * SHADES) if len(values) > 1 else 0

    return [
        None if each is None else Cell(number(each.value), shade(each.value), each.run_id) for each in cells
    ]


@dataclass(frozen=True, slots=True)
class MeasureLine:
    """A measure of a run, with its folds."""

    name: str
    value: str
    mean: str
    deviation: str
    folds: int
    drawn: Strip | None


def of_run(run: Run) -> Context:
    """Return what the page of a run shows: its measures, fold by fold, and its table of confusions."""
    shares = [each for each in run.measures if each.folds and all(0 <= value <= 1 for value in each.folds)]
    scale = scale_of([value for each in shares for value in each.folds]) if shares else None
    lines = []
    for each in run.measures:
        if each.value is None and not each.folds:
            continue
        drawn = strip(each.folds, scale, best=_mean(each.folds)) if scale and each in shares else None
        lines.append(_measure_line(each, drawn))
    return {
        "measures": lines,
        "axis": axis(scale) if scale else None,
        "confusions": _confusions(run.measures),
        "settings": [(one_line(name), one_line(value)) for name, value in run.settings[:LINES]],
        "settings_left_out": max(0, len(run.settings) - LINES),
        "flow": short(run.flow_name, 200),
        "dataset": short(run.data_name, 120),
        "task_type": one_line(run.task_type),
        "by": one_line(run.uploader_name) or ("" if run.uploader is None else f"User {run.uploader}"),
        "error": one_line(run.error),
        "run": run,
    }


def _measure_line(measure: RunMeasure, drawn: Strip | None) -> MeasureLine:
    mean = _mean(measure.folds) if measure.folds else None
    return MeasureLine(
        name=one_line(label_of(measure.name), limit=64),
        value="" if measure.value is None else number(measure.value),
        mean="" if mean is None else number(mean),
        deviation="" if mean is None or len(measure.folds) < 2 else number(_deviation(measure.folds, mean)),  # noqa: PLR2004 - one fold deviates from nothing
        folds=len(measure.folds),
        drawn=drawn,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(value / len(values) for value in values)


def _deviation(values: Sequence[float], mean: float) -> float:
    """Return the standard deviation; in units of the largest difference, whose square may be beyond all numbers."""
    largest = max(abs(value / 2 - mean / 2) for value in values)
    if not largest:
        return 0.0
    squares = sum(((value / 2 - mean / 2) / largest) ** 2 for value in values) / len(values)
    return min(2 * largest * math.sqrt(squares), LARGEST)


def _confusions(measures: Sequence[RunMeasure]) -> list[list[Cell]] | None:
    """Return the table of confusions, shaded by the shares of its rows; None where there is none of a usable size."""
    array = next((each.array for each in measures if each.name == "confusion_matrix"), "")
    try:
        table = json.loads(array) if len(array) < LONGEST_TABLE else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(table, list) or not 2 <= len(table) <= CLASSES:  # noqa: PLR2004 - of two classes at least
        return None
    if not all(isinstance(row, list) and len(row) == len(table) and all(map(_counts, row)) for row in table):
        return None
    return [[Cell(f"{count:,}", round(count / max(1, sum(row)) * SHADES)) for count in row] for row in table]


def _counts(cell: object) -> bool:
    return isinstance(cell, int) and not isinstance(cell, bool) and 0 <= cell < 10**15
