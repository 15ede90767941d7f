"""What quality hints add to a preview: the same previews with them and without, in turns.

.venv/bin/python -m benchmarks.hints
"""

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.convert import PREVIEW, write_mixed, write_narrow
from benchmarks.lines import Aim, Line
from benchmarks.processes import in_turns, run

WITHOUT = """
from app.tabular.profile import base, sampling
base.hints_for = lambda evidence: []
sampling.RowSample.begin = sampling.RowSample.add = sampling.EqualColumns.update = lambda self, *given: None
"""
"""Takes out all that hints need: rows that are kept, columns that are compared, and the search for hints."""
PLAIN = PREVIEW.replace("limits =", f"{WITHOUT}limits =", 1)


def write_columns(path: Path, columns: int, rows: int) -> None:
    """Write a table of numbers with a class at its end."""
    chance = random.Random(3)
    with path.open("w") as file:
        file.write(",".join(f"c{number}" for number in range(columns - 1)) + ",class\n")
        for row in range(rows):
            file.write(",".join(f"{chance.gauss(0, 1):.4f}" for _ in range(columns - 1)) + f",k{row % 3}\n")


def lines(*, short: bool) -> Iterator[Line]:
    """Measure previews of tables of several shapes with hints, beside those without."""
    megabytes = 10 if short else 50
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_mixed(folder / "mixed.csv", megabytes)
        write_narrow(folder / "numbers.csv", megabytes * 1_000_000)
        write_columns(folder / "small.csv", 20, 2_000)
        write_columns(folder / "columns.csv", 2_000, 500 if short else 2_000)
        for what, target in (("mixed", "class"), ("numbers", "c0"), ("small", "class"), ("columns", "class")):
            path = str(folder / f"{what}.csv")
            with_hints, without = in_turns(
                lambda path=path, target=target: run(PREVIEW, path, target),  # type: ignore[misc]  # mypy infers no lambda with defaults
                lambda path=path, target=target: run(PLAIN, path, target),  # type: ignore[misc]  # mypy infers no lambda with defaults
                rounds=3 if short else 5,
            )
            name = f"hints of a preview, {what}"
            yield Line(name, with_hints.cpu, "s CPU", without.cpu, "without", Aim(1.05))


if __name__ == "__main__":
    for line in lines(short=False):
        print(line, flush=True)
