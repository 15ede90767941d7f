"""Where the marks of charts stand, in percent of what is drawn: they need no script and no style, and stay round."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from app.web.results.summaries import Moment, quantile, steps

EDGE: Final = 1.5
"""Percent left free at the ends, so that marks are not cut."""
TICKS: Final = 6
NICE: Final = (1, 2, 2.5, 5, 10)
DOTS: Final = 400
"""Places of a strip: marks that would lie on each other are drawn once."""
BOXED: Final = 5
"""From so many values on a box says where the middle half of them lies."""


def number(value: float) -> str:
    """Return a value as pages show it: four digits behind the point where it has the size of most measures."""
    size = abs(value)
    if value == 0 or 0.001 <= size < 1000:  # noqa: PLR2004 - where that is enough
        return f"{value:.4f}"
    return f"{value:.5g}"


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to percent; both ends are finite, and differ."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Return where a value lies, in halves, for the difference of the ends may be beyond all numbers."""
        share = (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return round(EDGE + share * (100 - 2 * EDGE), 2)

    def ticks(self) -> list[float]:
        """Return round values between the ends, or the ends."""
        span = self.high - self.low
        if not math.isfinite(span) or span <= 0:
            return [self.low, self.high]
        power = 10.0 ** math.floor(math.log10(span / TICKS))
        step = next((nice * power for nice in NICE if span / (nice * power) <= TICKS), span)
        first = math.ceil(self.low / step)
        found = [(first + index) * step for index in range(TICKS + 2) if (first + index) * step <= self.high]
        return found if step and len(found) > 1 else [self.low, self.high]


def scale_of(values: Sequence[float]) -> Scale:
    """Return a scale that holds the values, of which there is at least one."""
    low, high = min(values), max(values)
    if low < high and math.isfinite(1 / (high / 2 - low / 2)):
        return Scale(low, high)
    # All are the same, or so near to it that their distance is lost.
    room = abs(low) / 10 or 1.0
    return Scale(low - room, high + room) if math.isfinite(high + room) else Scale(low / 2, high)


@dataclass(frozen=True, slots=True)
class Strip:
    """Values along a line: where each lies, which is the best, and where the middle half and the median are."""

    dots: Sequence[float]
    best: float
    box: tuple[float, float, float] | None
    words: str


def strip(values: Sequence[float], scale: Scale, *, best: float) -> Strip:
    """Return the marks of some values, of which there is at least one."""
    ordered = sorted(values)
    places = {round(scale.at(value) * DOTS / 100) * 100 / DOTS for value in ordered}
    middle = quantile(ordered, 0.5)
    box = None
    if len(ordered) >= BOXED:
        first, third = scale.at(quantile(ordered, 0.25)), scale.at(quantile(ordered, 0.75))
        box = (first, round(third - first, 2), scale.at(middle))
    if len(ordered) == 1:
        words = f"One result: {number(middle)}."
    else:
        ends = f"from {number(ordered[0])} to {number(ordered[-1])}"
        words = f"{len(ordered):,} results {ends}; the median is {number(middle)}."
    return Strip(sorted(places), scale.at(best), box, words)


@dataclass(frozen=True, slots=True)
class Axis:
    """The places and texts of an axis."""

    marks: Sequence[tuple[float, str]]


def axis(scale: Scale) -> Axis:
    """Return the ticks of a scale."""
    return Axis([(scale.at(tick), f"{tick:.6g}") for tick in scale.ticks()])


@dataclass(frozen=True, slots=True)
class Timeline:
    """Results over time: dots, those that were the best so far, and the steps between these."""

    dots: Sequence[tuple[float, float]]
    records: Sequence[tuple[float, float]]
    lines: Sequence[tuple[float, float, float, float]]
    ticks: Sequence[tuple[float, str]]
    first: str
    last: str
    words: str


def timeline(moments: Sequence[Moment]) -> Timeline | None:
    """Return the chart of results in the order of their times; None where there are fewer than two times."""
    if len({each.at for each in moments}) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    across, up = scale_of([each.at for each in moments]), scale_of([each.value for each in moments])

    def place(each: Moment) -> tuple[float, float]:
        return across.at(each.at), round(100 - up.at(each.value), 2)

    lines = []
    for before, after in steps(moments):
        (x1, y1), (x2, y2) = place(before), place(after)
        lines += [(x1, y1, x2, y1), (x2, y1, x2, y2)]
    records = [each for each in moments if each.is_record]
    first, last = _day(moments[0].at), _day(moments[-1].at)
    return Timeline(
        dots=[place(each) for each in moments if not each.is_record],
        records=[place(each) for each in records],
        lines=lines,
        ticks=[(round(100 - place_up, 2), text) for place_up, text in axis(up).marks],
        first=first,
        last=last,
        words=f"Results from {first} to {last}: {_progress(records)}.",
    )


def _progress(records: Sequence[Moment]) -> str:
    if len(records) == 1:
        return f"the first, {number(records[0].value)}, is the best"
    begin, end = number(records[0].value), number(records[-1].value)
    return f"the best went from {begin} to {end}, in {len(records) - 1:,} steps"


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
