"""What a conversion to ARFF costs, beside the Flask backend's way and polars, in one run.

    make .venv/.bench
    .venv/bin/python -m benchmarks.convert [--megabytes 100] [--large-megabytes 2000] [--folder /tmp]

Every line is a process of its own: time, processor time and peak memory are what the system counted for it. `read`
and `write` of polars are given for comparison only: what it writes is CSV. Peak memory above idle is above that of a
process which has loaded the same modules and converted nothing. The Flask backend's way is pandas.read_csv and
openml-python's create_dataset, which writes with liac-arff and reads what it wrote once more.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.lines import Aim, Line
from benchmarks.processes import Cost, in_turns, run

# pyarrow loads pandas and numpy if they are there, for a quarter of a second; where the service runs they are not.
OURS = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {"pandas", "numpy"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
from pathlib import Path
from app.tabular.convert import convert
from app.tabular.readers.formats import format_of
from app.tabular.types import UPLOAD_LIMITS, ConversionRequest, Limits
limits = Limits(max_labels=5_000_000, max_unpacked_bytes=UPLOAD_LIMITS.max_unpacked_bytes)
if sys.argv[1:]:
    source, targets = Path(sys.argv[1]), tuple(sys.argv[2:])
    target, kind = source.with_suffix(".made"), format_of(source.name)
    asked = ConversionRequest(source, target, kind.format, "t", targets, compression=kind.compression, limits=limits)
    convert(asked)
    target.unlink()
"""
PREVIEW = (
    OURS.replace("app.tabular.convert import convert", "app.tabular.profile.run import profile")
    .replace("    convert(asked", "    profile(asked")
    .replace("limits =", "from app.tabular.__main__ import collect_rarely\ncollect_rarely()\nlimits =", 1)
)
DUCKDB = """
import sys, duckdb
duckdb.sql("SET enable_progress_bar = false")
duckdb.sql(f"SUMMARIZE SELECT * FROM read_csv('{sys.argv[1]}', sample_size=-1)").fetchall()
"""
ORIGINAL = """
import sys, pandas as pd
from openml.datasets.functions import create_dataset
others = ("creator", "contributor", "collection_date", "language", "licence", "ignore_attribute", "citation")
create_dataset(name="t", description="d", attributes="auto", data=pd.read_csv(sys.argv[1]),
               default_target_attribute="class", **dict.fromkeys(others))
"""
POLARS = """
import sys, polars
path = sys.argv[1]
read = {"parquet": polars.read_parquet, "jsonl": polars.read_ndjson}.get(path.rpartition(".")[2], polars.read_csv)
table = read(path, **{} if path.endswith("parquet") else {"infer_schema_length": None})
table.write_csv(path + ".out")
"""


def tell(name: str, cost: Cost) -> None:
    print(f"{name:44}{cost.wall:7.2f} s {cost.cpu:7.2f} s CPU {cost.peak:7.0f} MB", flush=True)


def mixed_rows(count: int, chance: random.Random) -> str:
    """Return rows of numbers with six digits, whole numbers with gaps, texts, a boolean and a class."""
    cities = ("Delft", "New York", "Den Haag", "Paris", "Köln")
    rows = []
    for row in range(count):
        numbers = ",".join(f"{chance.gauss(0, 100):.6f}" for _ in range(8))
        gap = chance.randrange(10**6) if row % 10 else ""
        flag = "true" if row % 3 else "false"
        rows.append(
            f'{row},{numbers},{gap},{chance.choice(cities)},"some, text {row % 1000}",{flag},c{row % 7}'
        )
    return "\n".join(rows) + "\n"


def mixed(megabytes: int) -> list[bytes]:
    """Return a table of at least so many bytes: its header, and the same 50 000 rows over and over."""
    header = ",".join(("id", *(f"x{n}" for n in range(8)), "gap", "city", "text", "flag", "class")) + "\n"
    rows = mixed_rows(50_000, random.Random(1)).encode()
    return [header.encode(), *[rows] * -(-megabytes * 1_000_000 // len(rows))]


def write_mixed(path: Path, megabytes: int) -> None:
    with path.open("wb") as file:
        file.writelines(mixed(megabytes))


def write_wide(path: Path, rows: int) -> None:
    chance = random.Random(2)
    with path.open("w") as file:
        file.write(",".join(f"c{n}" for n in range(20_000)) + "\n")
        for _ in range(rows):
            file.write(",".join(str(chance.randrange(10**6)) for _ in range(20_000)) + "\n")


def write_narrow(path: Path, size: int) -> None:
    """Write a table of the same numbers in 14 columns, and of about so many bytes."""
    chance = random.Random(2)
    with path.open("w") as file:
        file.write(",".join(f"c{n}" for n in range(14)) + "\n")
        while file.tell() < size:
            file.writelines(
                ",".join(str(chance.randrange(10**6)) for _ in range(14)) + "\n" for _ in range(1000)
            )


def write_labels(path: Path, rows: int) -> None:
    with path.open("w") as file:
        file.write("x,label\n")
        file.writelines(f"{row},label{row}\n" for row in range(rows))


def as_parquet(path: Path) -> Path:
    target = path.with_suffix(".parquet")
    program = "import sys, pandas; pandas.read_csv(sys.argv[1]).to_parquet(sys.argv[2])"
    subprocess.run([sys.executable, "-c", program, str(path), str(target)], check=True)
    return target


def as_json_lines(path: Path, megabytes: int) -> Path:
    target = path.with_suffix(".jsonl")
    with path.open() as rows, target.open("w") as lines:
        names = next(rows).strip().split(",")
        for row in rows:
            cells = row.strip().split(",")
            lines.write(
                json.dumps(dict(zip(names, map(float, cells[:9]), strict=False)) | {"class": cells[-1]})
                + "\n"
            )
            if lines.tell() > megabytes * 1_000_000:
                break
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--large-megabytes", type=int, default=2000)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        report(Path(name), options.megabytes, options.large_megabytes)


def report(folder: Path, megabytes: int, large: int) -> None:
    idle = run(OURS)
    tell("idle", idle)
    for line in beside_polars(folder, megabytes, rounds=1):
        print(line, flush=True)
    table = folder / "table.csv"
    ours, original = run(OURS, str(table), "class"), run(ORIGINAL, str(table), HOME=str(folder))
    tell("pandas and openml-python", original)
    print(f"ratio of CPU to pandas and openml-python: {ours.cpu / original.cpu:.3f}")
    for size in (megabytes // 4, megabytes):
        print(json_lines(table, size, rounds=1), flush=True)
    for rows in (250, 500):
        for line in many_columns(folder, rows, rounds=1):
            print(line, flush=True)
    for line in previews(table, rounds=1):
        print(line, flush=True)
    for rows in (500_000, 1_000_000):
        print(labels(folder, rows, rounds=1), flush=True)
    write_mixed(table, large)
    largest = run(OURS, str(table), "class")
    tell(f"CSV, {large} MB", largest)
    print(f"peak above idle: {ours.peak - idle.peak:.0f} MB and {largest.peak - idle.peak:.0f} MB")


def beside_polars(folder: Path, megabytes: int, *, rounds: int) -> Iterator[Line]:
    """Measure CSV and the same table as Parquet."""
    table = folder / "table.csv"
    write_mixed(table, megabytes)
    for name, path, most in (("CSV", table, 0.5), ("Parquet", as_parquet(table), 1.1)):
        ours, polars = in_turns(
            lambda path=path: run(OURS, str(path), "class"),  # type: ignore[misc]  # mypy infers no lambda with defaults
            lambda path=path: run(POLARS, str(path)),  # type: ignore[misc]  # mypy infers no lambda with defaults
            rounds=rounds,
        )
        yield Line(f"{name} → ARFF, CPU", ours.cpu, "s CPU", polars.cpu, "polars", Aim(most))
        if name == "CSV":
            yield Line("CSV → ARFF, time", ours.wall, "s", polars.wall, "polars", Aim(0.6))


def many_columns(folder: Path, rows: int, *, rounds: int) -> Iterator[Line]:
    """Measure 20 000 columns beside 14 of the same numbers, for each megabyte."""
    wide, narrow = folder / "wide.csv", folder / "narrow.csv"
    write_wide(wide, rows)
    write_narrow(narrow, wide.stat().st_size)
    for program, what, most in ((OURS, "→ ARFF", 300), (PREVIEW, "preview", 300)):
        costs = in_turns(
            lambda program=program: run(program, str(wide)),  # type: ignore[misc]  # mypy infers no lambda with defaults
            lambda program=program: run(program, str(narrow)),  # type: ignore[misc]  # mypy infers no lambda with defaults
            rounds=rounds,
        )
        sizes = [path.stat().st_size / 1e6 for path in (wide, narrow)]
        cpu = [cost.cpu / size for cost, size in zip(costs, sizes, strict=True)]
        name = f"20 000 columns, {rows} rows, {what}"
        yield Line(f"{name}, CPU", cpu[0], "s/MB", cpu[1], "14 columns", Aim(2))
        aim = Aim(most, of_value=True)
        yield Line(f"{name}, memory", costs[0].peak, "MB", costs[1].peak, "14 columns", aim)


def previews(table: Path, *, rounds: int) -> Iterator[Line]:
    """Measure the preview of a table beside duckdb's summary of all rows, and beside its conversion."""
    for rival, beside, most in (
        ((DUCKDB, str(table)), "duckdb", 0.6),
        ((OURS, str(table), "class"), "conversion", 1.3),
    ):
        ours, theirs = in_turns(
            lambda: run(PREVIEW, str(table), "class"),
            lambda rival=rival: run(*rival),  # type: ignore[misc]  # mypy infers no lambda with defaults
            rounds=rounds,
        )
        megabytes = round(table.stat().st_size / 1e6)
        yield Line(
            f"preview of {megabytes} MB beside {beside}, CPU",
            ours.cpu,
            "s CPU",
            theirs.cpu,
            beside,
            Aim(most),
        )


def json_lines(table: Path, megabytes: int, *, rounds: int) -> Line:
    """Measure so much of a table as lines of JSON, in megabytes for each second of the processor."""
    path = as_json_lines(table, megabytes)
    costs = in_turns(lambda: run(OURS, str(path), "class"), lambda: run(POLARS, str(path)), rounds=rounds)
    ours, polars = (path.stat().st_size / 1e6 / cost.cpu for cost in costs)
    aim = Aim(60, at_least=True, of_value=True)
    return Line(f"JSON lines → ARFF, {megabytes} MB", ours, "MB/s CPU", polars, "polars", aim)


def labels(folder: Path, rows: int, *, rounds: int) -> Line:
    """Measure a target of which each row has a label of its own."""
    path = folder / "labels.csv"
    write_labels(path, rows)
    ours, polars = in_turns(
        lambda: run(OURS, str(path), "label"), lambda: run(POLARS, str(path)), rounds=rounds
    )
    aim = Aim(2 * rows / 1e6, of_value=True)
    return Line(f"{rows} labels → ARFF", ours.cpu, "s CPU", polars.cpu, "polars", aim)


def lines(*, short: bool) -> Iterator[Line]:
    """Measure the conversion of a table, as CSV, as Parquet and as lines of JSON, and of many labels, beside polars."""
    with tempfile.TemporaryDirectory() as name:
        yield from beside_polars(Path(name), 50 if short else 200, rounds=3)
        yield from previews(Path(name) / "table.csv", rounds=1 if short else 3)
        yield from many_columns(Path(name), 250 if short else 500, rounds=1 if short else 3)
        yield json_lines(Path(name) / "table.csv", 50, rounds=3)
        yield labels(Path(name), 1_000_000, rounds=3)


if __name__ == "__main__":
    main()
