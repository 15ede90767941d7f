"""How cost grows: with the table of uploads, with bytes, columns and labels of a file, and with clients.

    .venv/bin/python -m benchmarks.growth uploads [--sizes 1000,10000,100000,1000000] [--plans]
    .venv/bin/python -m benchmarks.growth megabytes|columns|labels|clients [--sizes …] [--folder /tmp]

`uploads`: the statements that are asked all the time, those of `tests/db/test_query_plans.py`, on SQLite and on a MariaDB
that is started for it. Half of the rows are one user's, and all are published, but for five in each state of a queue. Every
figure is the least of ten, in milliseconds: statement, its answer and the rollback of its session. `--plans` prints the plans.

`megabytes`, `columns` and `labels`: processor time and peak memory of conversion and preview, each a process of its own.
Columns and labels grow in files of about the same bytes. `clients`: as `benchmarks/clients.py`, uploads of 100 kB.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from app.core.settings import Settings
from app.db.engine import Database
from app.db.migrations import migrate
from benchmarks import clients
from benchmarks.convert import OURS, PREVIEW, write_mixed
from benchmarks.lines import Aim, Line
from benchmarks.processes import run
from tests.hot_statements import ASKS, analyze, ask, fill, get_plan
from tests.mariadb_server import own_mariadb

TIMES = 10
CELLS = 2_500_000
ROWS = 1_000_000


async def measure(settings: Settings, sizes: Sequence[int], *, plans: bool) -> list[dict[str, float]]:
    """Return the milliseconds of each statement for each number of rows, which only grow."""
    database = Database(settings)
    await migrate(database.engine)
    found = []
    for before, size in zip((0, *sizes), sizes, strict=False):
        await fill(database, size, begin=before)
        await analyze(database)
        found.append({name: await least(database, name) for name in ASKS})
    if plans:
        for name in ASKS:
            for asked in await ask(database, name):
                print(f"  {name}: {' | '.join(await get_plan(database, asked))}", flush=True)
    await database.close()
    return found


async def least(database: Database, name: str) -> float:
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        await ask(database, name)
        taken.append((time.perf_counter() - began) * 1000)
    return min(taken)


def measured(sizes: Sequence[int], *, plans: bool = False) -> Iterator[tuple[str, list[dict[str, float]]]]:
    """Measure both databases."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        on_sqlite = Settings(_env_file=None, data_dir=folder / "sqlite")
        yield "SQLite", asyncio.run(measure(on_sqlite, sizes, plans=plans))
        with own_mariadb(folder) as mariadb:
            settings = Settings(_env_file=None, data_dir=folder / "mariadb", database_uri=mariadb.address)
            yield "MariaDB", asyncio.run(measure(settings, sizes, plans=plans))


def lines(*, short: bool) -> Iterator[Line]:
    """Measure all of the statements together, in a long table and in a short one."""
    sizes = (1000, 20_000 if short else 1_000_000)
    for name, (few, many) in measured(sizes):
        total = sum(many.values()), sum(few.values())
        yield Line(
            f"hot statements, {name}, {sizes[1]} uploads", total[0], "ms", total[1], "1000 uploads", Aim(2)
        )


def tell_uploads(sizes: Sequence[int], *, plans: bool) -> None:
    for name, found in measured(sizes, plans=plans):
        print(f"{name:26}{''.join(f'{size:>10}' for size in sizes)} uploads")
        for statement in ASKS:
            print(f"  {statement:24}{''.join(f'{each[statement]:10.2f}' for each in found)} ms", flush=True)


def write_megabytes(path: Path, megabytes: int) -> None:
    """Write the table of `benchmarks/convert.py`, of so many bytes to the line."""
    write_mixed(path, megabytes)
    with path.open("r+b") as file:
        file.seek(megabytes * 1_000_000)
        file.readline()
        file.truncate()


def write_columns(path: Path, columns: int) -> None:
    """Write `CELLS` whole numbers of six digits or fewer in so many columns."""
    chance = random.Random(2)
    with path.open("w") as file:
        file.write(",".join(f"c{n}" for n in range(columns)) + "\n")
        for _ in range(CELLS // columns):
            file.write(",".join(str(chance.randrange(10**6)) for _ in range(columns)) + "\n")


def write_labels(path: Path, labels: int) -> None:
    """Write `ROWS` rows with so many different labels."""
    with path.open("w") as file:
        file.write("x,class\n")
        file.writelines(f"{row},label{row % labels:07}\n" for row in range(ROWS))


def tell_files(what: str, write: Callable[[Path, int], None], sizes: Sequence[int], folder: Path) -> None:
    """Convert and preview a file of each size."""
    targets = [] if what == "columns" else ["class"]
    for size in sizes:
        path = folder / "table.csv"
        write(path, size)
        megabytes = path.stat().st_size / 1e6
        for name, program in (("conversion", OURS), ("preview", PREVIEW)):
            cost = run(program, str(path), *targets)
            print(
                f"{size:>9} {what:9} {name:10} {megabytes:8.1f} MB   {cost.wall:7.1f} s {cost.cpu:7.2f} s CPU "
                f"{cost.cpu / megabytes:7.4f} s/MB   {cost.peak:5.0f} MB of memory",
                flush=True,
            )
        path.unlink()


def tell_clients(sizes: Sequence[int]) -> None:
    """Let so many clients send at once."""
    for size in sizes:
        found = clients.run(argparse.Namespace(clients=size, kilobytes=100, seconds=20, patience=900))
        print(
            f"{size:>9} clients   sent in {found.receiving:5.0f} s, active after {found.everything:5.0f} s   "
            f"web process: idle {found.seen.idle_mb:.0f} MB, at most {found.seen.peak_mb:.0f} MB   "
            f"GET /health/live p99 {found.busy[int(len(found.busy) * 0.99)]:.0f} ms   "
            f"{dict(found.failures)} {dict(found.states)}",
            flush=True,
        )


SIZES = {
    "uploads": "1000,10000,100000,1000000",
    "megabytes": "1,10,100,1000,5000",
    "columns": "10,100,1000,10000,50000",
    "labels": "10,1000,100000,1000000",
    "clients": "1,10,100,1000,2000",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=SIZES)
    parser.add_argument("--sizes", help="; ".join(f"{what}: {sizes}" for what, sizes in SIZES.items()))
    parser.add_argument("--plans", action="store_true")
    parser.add_argument("--folder", type=Path, help="where files are made, and removed")
    options = parser.parse_args()
    sizes = [int(size) for size in (options.sizes or SIZES[options.what]).split(",")]
    if options.what == "uploads":
        tell_uploads(sizes, plans=options.plans)
    elif options.what == "clients":
        tell_clients(sizes)
    else:
        write = {"megabytes": write_megabytes, "columns": write_columns, "labels": write_labels}[options.what]
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            tell_files(options.what, write, sizes, Path(folder))


if __name__ == "__main__":
    main()
