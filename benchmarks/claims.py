"""What one MariaDB bears: claims a second of many workers, and what an upload costs each part.

    .venv/bin/python -m benchmarks.claims [--workers 1,8,64] [--seconds 10] [--backlog 1000]
    .venv/bin/python -m benchmarks.claims --uploads 200 [--rows 100,20000] [--workers 1,2] [--senders 32]

The first claims and gives back uploads as fast as it can, in processes with one connection each, chosen as workers choose
(`FairScheduler`); the backlog is of 100 users and does not end. All share the processors, so the rate says little: MariaDB's processor time
for a claim does, and a processor divided by it is what a server bears. `waits` are waits for row locks.

The second publishes tables of so many rows from so many connections on the service with MariaDB and so many workers, and prints
the processor time of each part for one upload, and what the machine's processors would make of it if they were never idle. Few
connections leave them idle: without Redis, web process and worker hear of each other once a second.
"""

import argparse
import asyncio
import gc
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import NamedTuple

import httpx
import sqlalchemy as sa

from app.core.settings import Settings
from app.db import upload_queues
from app.db.engine import Database
from app.db.migrations import migrate
from app.db.upload_tables import uploads
from app.worker.scheduling import FairScheduler
from benchmarks.lines import Line
from benchmarks.processes import cpu_seconds, family, spent_by, started
from benchmarks.small import upload
from benchmarks.upload import SECRET
from benchmarks.upload import prepare as add_account
from tests.conftest import find_free_port
from tests.hot_statements import fill
from tests.mariadb_server import OwnMariaDB, own_mariadb

LEASE = timedelta(minutes=10)
SENDERS = 32
QUEUE = upload_queues.TO_PUBLISH


async def prepare(settings: Settings, backlog: int) -> None:
    """Make uploads that wait to be published."""
    database = Database(settings)
    await migrate(database.engine)
    await fill(database, backlog)
    async with database.session() as session:
        await session.execute(sa.update(uploads).values(state="received", publish_requested=True))
    await database.close()


async def claim(settings: Settings, name: str, seconds: float) -> int:
    """Claim and give back; return how often."""
    database, scheduler, done = Database(settings), FairScheduler(per_user=2), 0
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        now = database.now()
        found = await upload_queues.claim_upload_fairly(
            database, QUEUE, scheduler.choose, lease_owner=name, now=now, lease=LEASE
        )
        if found is not None:
            scheduler.served(found.user_id)
            async with database.session() as session:
                await QUEUE.give_back(session, found.id, lease_owner=name, at=now)
            done += 1
    await database.close()
    return done


def counters(server: OwnMariaDB) -> dict[str, float]:
    """Return what the server has counted so far."""
    found = dict(server.ask("SHOW GLOBAL STATUS"))
    counted = {name: float(found[name]) for name in ("Questions", "Innodb_row_lock_waits")}
    return {"cpu": cpu_seconds(server.pid), **counted}


class Claimed(NamedTuple):
    """Claims a second, and of each claim MariaDB's processor milliseconds, statements, and waits for row locks."""

    rate: float
    cpu: float
    statements: float
    waits: float


def measure_claims(
    server: OwnMariaDB, folder: Path, workers: int, *, seconds: float, backlog: int
) -> Claimed:
    """Let so many processes claim."""
    settings = Settings(_env_file=None, data_dir=folder, database_uri=server.address, database_pool_size=1)
    asyncio.run(prepare(settings, backlog))
    context = multiprocessing.get_context("fork")
    counts = context.Queue()

    def work(number: int) -> None:
        counts.put(asyncio.run(claim(settings, f"worker{number}", seconds)))

    gc.freeze()
    before, began = counters(server), time.monotonic()
    processes: list[ForkProcess] = [context.Process(target=work, args=(number,)) for number in range(workers)]
    for process in processes:
        process.start()
    done = sum(counts.get() for _ in processes)
    elapsed, after = time.monotonic() - began, counters(server)
    for process in processes:
        process.join()
    cpu, statements, waits = ((after[name] - before[name]) / done for name in after)
    return Claimed(done / elapsed, cpu * 1000, statements, waits)


class Published(NamedTuple):
    """Seconds for each upload, each part's processor milliseconds for it, and statements on MariaDB."""

    seconds: float
    parts: dict[str, float]
    statements: float

    @property
    def least_seconds(self) -> float:
        """Return what each would take if no processor were ever idle."""
        return sum(self.parts.values()) / 1000 / (os.cpu_count() or 1)


def measure_uploads(
    server: OwnMariaDB, folder: Path, workers: int, *, rows: int, count: int, senders: int = SENDERS
) -> Published:
    """Publish tables with so many workers."""
    port, sandbox_port = find_free_port(), find_free_port()
    url, sandbox_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}/"
    environment = {
        "DATA_DIR": f"{folder}/var", "JWT_SECRET_KEY": SECRET, "PORT": str(port), "SANDBOX_PORT": str(sandbox_port),
        "OPENML_SERVER": sandbox_url, "LOG_LEVEL": "WARNING", "EMBEDDED_WORKER": "false", "DATABASE_URI": server.address,
        "UPLOAD_USER_BYTES": "100000000000",
    }  # fmt: skip
    settings = Settings(_env_file=None, data_dir=Path(folder, "var"), database_uri=server.address)
    token = asyncio.run(add_account(settings))
    program, live = ["-m", "app.cli"], f"{url}/health/live"
    with ExitStack() as stack:
        sandbox = stack.enter_context(started([*program, "sandbox"], environment, sandbox_url))
        web = stack.enter_context(started([*program, "serve"], environment, live))
        working = [
            stack.enter_context(started([*program, "worker"], environment, live)) for _ in range(workers)
        ]
        pool = stack.enter_context(ThreadPoolExecutor(senders))
        headers = {"Authorization": f"Bearer {token}"}
        client = stack.enter_context(httpx.Client(base_url=url, headers=headers, timeout=300))

        def spent() -> list[float]:
            parts = [spent_by(web.pid, worker.pid) for worker in working]
            ours = [parts[0].web, sum(part.worker for part in parts), sum(part.children for part in parts)]
            others = [cpu_seconds(server.pid), sum(map(cpu_seconds, family(sandbox.pid)))]
            return [*ours, *others, time.process_time()]

        def send(numbers: range) -> None:
            list(pool.map(lambda number: upload(client, rows, number), numbers))

        send(range(senders))
        before, asked, began = spent(), server.questions(), time.monotonic()
        send(range(senders, senders + count))
        elapsed = time.monotonic() - began
        each = [(now - then) / count * 1000 for now, then in zip(spent(), before, strict=True)]
        statements = (server.questions() - asked) / count
    names = ("web", "worker", "child", "MariaDB", "sandbox", "client")
    return Published(elapsed / count, dict(zip(names, each, strict=True)), statements)


@contextmanager
def fresh() -> Iterator[tuple[OwnMariaDB, Path]]:
    """Yield a MariaDB and a folder."""
    with (
        tempfile.TemporaryDirectory() as folder,
        own_mariadb(Path(folder), "--max-connections=500") as server,
    ):
        yield server, Path(folder)


def lines(*, short: bool) -> Iterator[Line]:
    """Measure claims of eight workers beside those of one, and uploads beside what their processor time allows."""
    found = []
    for workers in (1, 8):
        with fresh() as (server, folder):
            found.append(measure_claims(server, folder, workers, seconds=3 if short else 10, backlog=200))
    yield Line("a claim of 8 workers: MariaDB", found[1].cpu, "ms CPU", found[0].cpu, "1 worker")
    for workers in (1, 2):
        with fresh() as (server, folder):
            done = measure_uploads(server, folder, workers, rows=100, count=100 if short else 400)
        beside = "processor time of all parts / processors"
        name = f"100 rows on MariaDB, {workers} worker(s), {SENDERS} at once"
        yield Line(name, done.seconds, "s", done.least_seconds, beside)


def tell_claims(workers: int, options: argparse.Namespace) -> None:
    with fresh() as (server, folder):
        done = measure_claims(server, folder, workers, seconds=options.seconds, backlog=options.backlog)
    print(
        f"{workers:3} worker(s)   {done.rate:6.0f} claims/s   MariaDB {done.cpu:.2f} ms CPU a claim: "
        f"{1000 / done.cpu:5.0f} /s with one processor   statements {done.statements:.1f}   waits {done.waits:.2f}",
        flush=True,
    )


def tell_uploads(workers: int, rows: int, options: argparse.Namespace) -> None:
    with fresh() as (server, folder):
        done = measure_uploads(
            server, folder, workers, rows=rows, count=options.uploads, senders=options.senders
        )
    told = "   ".join(f"{name} {cost:.1f}" for name, cost in done.parts.items())
    print(
        f"{workers} worker(s), {rows} rows   {1 / done.seconds:5.2f} uploads/s of {1 / done.least_seconds:.2f}   "
        f"ms CPU each: {told}   all {sum(done.parts.values()):.1f}   statements {done.statements:.0f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", default="1,8,64")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--backlog", type=int, default=1000)
    parser.add_argument("--uploads", type=int, default=0)
    parser.add_argument("--rows", default="100,20000")
    parser.add_argument("--senders", type=int, default=SENDERS)
    options = parser.parse_args()
    for workers in map(int, options.workers.split(",")):
        if not options.uploads:
            tell_claims(workers, options)
            continue
        for rows in map(int, options.rows.split(",")):
            tell_uploads(workers, rows, options)


if __name__ == "__main__":
    main()
