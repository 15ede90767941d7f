"""What the statements that are asked all the time cost as `uploads` grows, on SQLite and MariaDB.

    .venv/bin/python -m benchmarks.growth [--rows 1000,10000,100000]

The rows are uploads of 100 users that are published, but for five in each state of a queue. Every figure is the least of
ten, in milliseconds: statement, its answer and the rollback of its session. The same statements are those of
`tests/db/test_query_plans.py`, which looks at their plans. MariaDB is started for it.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.core.settings import Settings
from app.db.engine import Database
from app.db.migrations import migrate
from benchmarks.lines import Aim, Line
from tests.hot_statements import ASKS, analyze, ask, fill
from tests.mariadb_server import own_mariadb

TIMES = 10


async def measure(settings: Settings, sizes: Sequence[int]) -> list[dict[str, float]]:
    """Return the milliseconds of each statement for each number of rows, which only grow."""
    database = Database(settings)
    await migrate(database.engine)
    found = []
    for before, size in zip((0, *sizes), sizes, strict=False):
        await fill(database, size, begin=before)
        await analyze(database)
        found.append({name: await least(database, name) for name in ASKS})
    await database.close()
    return found


async def least(database: Database, name: str) -> float:
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        await ask(database, name)
        taken.append((time.perf_counter() - began) * 1000)
    return min(taken)


def measured(sizes: Sequence[int]) -> Iterator[tuple[str, list[dict[str, float]]]]:
    """Measure both databases."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield "SQLite", asyncio.run(measure(Settings(_env_file=None, data_dir=folder / "sqlite"), sizes))
        with own_mariadb(folder) as mariadb:
            settings = Settings(_env_file=None, data_dir=folder / "mariadb", database_uri=mariadb.address)
            yield "MariaDB", asyncio.run(measure(settings, sizes))


def lines(*, short: bool) -> Iterator[Line]:
    """Measure all of the statements together, in a long table and in a short one."""
    sizes = (1000, 20_000 if short else 100_000)
    for name, (few, many) in measured(sizes):
        total = sum(many.values()), sum(few.values())
        yield Line(
            f"hot statements, {name}, {sizes[1]} uploads", total[0], "ms", total[1], "1000 uploads", Aim(2)
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="1000,10000,100000")
    sizes = [int(size) for size in parser.parse_args().rows.split(",")]
    for name, found in measured(sizes):
        print(f"{name:26}{''.join(f'{size:>10}' for size in sizes)} uploads")
        for statement in ASKS:
            print(f"  {statement:24}{''.join(f'{each[statement]:10.2f}' for each in found)} ms", flush=True)


if __name__ == "__main__":
    main()
