"""Little charts of columns, as figures that a template draws as SVG without style or script, and tells in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.web.catalogue.texts import one_line

BAR, TALL = 8, 40
"""Width of a bar of a histogram, and height of the tallest, in the units of its picture."""
LABELS: Final = 3
LABEL_CHARACTERS: Final = 40
COMMON: Final = 0.02
"""Of the rows; texts of which none is as common as this are no labels, and are not drawn as such."""
GROUPED: Final = 10_000
"""Numbers from here on have their thousands apart; years have not."""
_SIX_DIGITS: Final = 1e15


@dataclass(frozen=True, slots=True)
class Bar:
    """How often a value stands in a column: in which share of the rows, in per cent."""

    label: str
    share: float


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn of a column, and said beside it.

    Attributes:
        path: of a histogram's bars; empty where there is none.
        width: of its picture.
        words: the same, read out.
        ends: the least and the greatest number, as text.
        bars: the commonest values, of texts that repeat themselves.
        note: one more line of figures.
        missing: cells that are not stated, and their share in per cent.
        distinct: different values, as text; at least so many where it ends in `+`.
    """

    path: str
    width: int
    words: str
    ends: tuple[str, str]
    bars: list[Bar]
    note: str
    missing: int
    missing_share: float
    distinct: str


def chart_of(figures: Mapping[str, Any], table: Mapping[str, Any]) -> Chart:
    """Return the chart of a column by its statistics and those of its table (docs/api.md)."""
    histogram = figures.get("histogram")
    is_number = "quantiles" in figures
    edges, counts = (histogram["edges"], histogram["counts"]) if histogram else ([], [])
    return Chart(
        path=_path(counts),
        width=len(counts) * BAR,
        words=_words(edges, counts),
        ends=(number(figures["min"]), number(figures["max"])) if is_number else ("", ""),
        bars=[] if is_number else _bars(figures, table),
        note=_note(figures),
        missing=figures["missing"],
        missing_share=100 * figures["missing"] / max(table["rows"], 1),
        distinct=f"{figures['distinct']:,}{'' if figures['distinct_is_exact'] else '+'}",
    )


def number(value: float) -> str:
    """Return a number as people read it: six digits, thousands apart but in years, no fraction of noise."""
    if float(value).is_integer() and abs(value) < _SIX_DIGITS:
        return f"{value:,.0f}" if abs(value) >= GROUPED else f"{value:.0f}"
    return f"{value:.6g}"


def in_bytes(size: int) -> str:
    """Return a size as people read it: three digits, in decimal units."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size} bytes"


def _path(counts: Sequence[int]) -> str:
    most = max(counts, default=0)
    heights = [max(count * TALL / most, 1) if count else 0 for count in counts]
    bars = (
        f"M{at * BAR} {TALL}v-{height:.3g}h{BAR - 1}V{TALL}z" for at, height in enumerate(heights) if height
    )
    return "".join(bars)


def _words(edges: Sequence[float], counts: Sequence[int]) -> str:
    if not counts:
        return ""
    most = max(counts)
    top = counts.index(most)
    if len(counts) == 1:
        return f"All {most:,} are {number(edges[0])}."
    return (
        f"Histogram of {len(counts)} bars from {number(edges[0])} to {number(edges[-1])}. "
        f"The tallest is {most:,}, from {number(edges[top])} to {number(edges[top + 1])}."
    )


def _bars(figures: Mapping[str, Any], table: Mapping[str, Any]) -> list[Bar]:
    """Return the commonest values; none where no value is common."""
    found = figures["commonest"][:LABELS]
    counted = table["rows"] if figures["commonest_is_exact"] else table["sample_rows"]
    most = found[0]["count"] if found else 0
    if figures["kind"] != "nominal" and (most < 2 or most < COMMON * counted):  # noqa: PLR2004 - once is not common
        return []
    return [
        Bar(
            label=one_line(each["value"], limit=LABEL_CHARACTERS) or "(empty)",
            share=100 * each["count"] / max(counted, 1),
        )
        for each in found
    ]


def _note(figures: Mapping[str, Any]) -> str:
    if not figures["count"]:
        return "every cell is missing"
    if figures.get("mean") is not None:
        deviation = figures["standard_deviation"]
        return f"mean {figures['mean']:.4g}" + (f" ± {deviation:.4g}" if deviation is not None else "")
    if "first" in figures:
        return f"from {one_line(figures['first'], limit=40)} to {one_line(figures['last'], limit=40)}"
    if figures["kind"] == "nominal":
        more = figures["distinct"] - LABELS
        return f"and {more:,} other{'s' if more > 1 else ''}" if more > 0 else ""
    return _lengths(**figures["lengths"]) if "lengths" in figures else ""


def _lengths(*, min: int, max: int, mean: float) -> str:  # noqa: A002 - names of the figures
    if min == max:
        return f"{max:,} characters each"
    return f"{min:,} to {max:,} characters, {mean:.4g} on average"
