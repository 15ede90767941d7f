"""The form of a benchmark's result: what was measured, beside its rival in the same run, and the aim.

A module of this folder that measures has

    def lines(*, short: bool) -> Iterator[Line]

and is named in `benchmarks/__main__.py`. `short` asks for a form of at most a minute or so, whose ratios are kept.
"""

from typing import NamedTuple


class Aim(NamedTuple):
    """A bound on the ratio to the rival, or on what was measured itself.

    Attributes:
        bound: in the line's unit if it is on what was measured.
        at_least: it is a lower bound, since more is better.
        of_value: it is a bound on what was measured, and the ratio only shows regressions.
    """

    bound: float
    at_least: bool = False
    of_value: bool = False


class Line(NamedTuple):
    """One measured line.

    Attributes:
        name: what was measured, the same each time: ratios are compared by it.
        value: what it took.
        unit: of `value` and `rival`, such as `s CPU` or `MB/s`.
        rival: what the rival took in the same run.
        beside: who the rival is.
        aim: None where nothing was promised.
    """

    name: str
    value: float
    unit: str
    rival: float
    beside: str
    aim: Aim | None = None

    @property
    def ratio(self) -> float:
        """What was measured by what the rival took."""
        return self.value / self.rival

    @property
    def is_met(self) -> bool:
        """Whether the aim is met; there may be none."""
        if self.aim is None:
            return True
        reached = self.value if self.aim.of_value else self.ratio
        return reached >= self.aim.bound if self.aim.at_least else reached <= self.aim.bound

    def worse_by(self, before: float) -> float:
        """Return by which share the ratio is worse than it was; less than nothing where it is better."""
        now = self.ratio
        if self.aim is not None and self.aim.at_least:
            return before / now - 1
        return now / before - 1

    def told_aim(self) -> str:
        """Return the aim for people."""
        if self.aim is None:
            return "-"
        sign = "≥" if self.aim.at_least else "≤"
        return f"{sign} {self.aim.bound:g}{f' {self.unit}' if self.aim.of_value else ''}"

    def __str__(self) -> str:
        """Return one line for a terminal."""
        verdict = "" if self.is_met else "   NOT MET"
        return (
            f"{self.name:52} {self.value:9.3f} {self.unit:8} {self.beside} {self.rival:.3f}   "
            f"ratio {self.ratio:.2f}   aim {self.told_aim()}{verdict}"
        )
