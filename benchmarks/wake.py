"""What a broker brings: how soon work begins, how fast it is claimed, and what idle workers ask the database.

    .venv/bin/python -m benchmarks.wake [--workers 1,8,64] [--rows 1000] [--redis redis://127.0.0.1:6379/13]
        [--rabbitmq amqp://guest:guest@127.0.0.1/]

For SQLite (one worker) and a MariaDB that is started for it, and for each way of telling workers: that many processes,
forked from this one, each with resources of its own (`open_resources`), the lookout, the sign of life, the broker's
connections and the loop of the mails as `openml-web worker` has them; a mail is claimed, and not sent. Printed are

    idle      statements a second on the database in all, while nothing is to be done
    begin     milliseconds from the return of a commit in this process to the return of the claim in a worker: p50, p95
    per row   statements on the database for each of those rows, insertion (5) and claim included, idle ones taken off
    claims    rows claimed a second when `--rows` are committed in ten transactions, from the first commit on

Statements are counted by the server (`Questions`); SQLite has no such counter.
"""

import argparse
import asyncio
import gc
import multiprocessing
import random
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.context import ForkProcess
from pathlib import Path
from urllib.parse import urlsplit

import aio_pika
import redis

from app.core.settings import Settings
from app.db import outbox
from app.db.engine import Database, notify_after_commit
from app.db.migrations import migrate
from app.events.notifications import OUTBOX
from app.jobs import QUEUES
from app.resources import Resources, open_resources
from app.worker.heartbeat import new_worker_name
from app.worker.lookout import Lookout
from app.worker.run import look_out, run_side_by_side, run_worker_process, work_off_queue
from tests.mariadb_server import OwnMariaDB, own_mariadb

IDLE_SECONDS = 10
ROUNDS = 40
TRANSACTIONS = 10
LEASE = timedelta(minutes=10)
PATIENCE_SECONDS = 120


async def work(settings: Settings, log: Path) -> None:
    """Claim mails for ever, and write down which and when."""
    lease_owner = new_worker_name()

    async def run(resources: Resources) -> None:
        notifications, broker = resources.notifications, resources.broker

        async def step() -> bool:
            now = resources.database.now()
            mail = await outbox.claim_mail(resources.database, lease_owner=lease_owner, now=now, lease=LEASE)
            if mail is not None:
                lines.write(f"{mail.recipient} {time.monotonic()}\n")
            return mail is not None

        lines.write("ready 0\n")
        await run_side_by_side(
            [
                look_out(Lookout(resources.database, notifications, broker, QUEUES), notifications),
                work_off_queue(notifications, OUTBOX, step),
                *([broker.hand_out(topic) for topic in broker.topics] if broker else []),
            ]
        )

    with log.open("a", buffering=1) as lines:
        async with open_resources(settings) as resources:
            await run_worker_process(resources.database, resources.notifications, lambda: run(resources))


@contextmanager
def working(settings: Settings, folder: Path, count: int) -> Iterator[list[Path]]:
    """Start the workers one after another; yield what they write."""
    logs = [folder / f"worker-{secrets.token_hex(4)}" for _ in range(count)]
    processes: list[ForkProcess] = []
    gc.freeze()
    try:
        for log in logs:
            log.touch()
            process = multiprocessing.get_context("fork").Process(
                target=lambda log=log: asyncio.run(work(settings, log)), daemon=True
            )
            process.start()
            processes.append(process)
            time.sleep(0.2)
        until(lambda: all(log.read_text().startswith("ready") for log in logs))
        yield logs
    finally:
        for process in processes:
            process.kill()
            process.join()
        gc.unfreeze()


def until(condition: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > ends_at:
            raise TimeoutError
        time.sleep(0.05)


def claimed(logs: list[Path], prefix: str) -> dict[str, float]:
    """Return when each mail whose recipient begins so was claimed; none may be twice."""
    found = [line.split() for log in logs for line in log.read_text().splitlines() if line.startswith(prefix)]
    assert len({name for name, _ in found}) == len(found), "claimed twice"
    return {name: float(at) for name, at in found}


async def commit(resources: Resources, *recipients: str) -> float:
    """Queue mails in one transaction, and return when it was committed."""
    async with resources.database.session() as session:
        for recipient in recipients:
            await outbox.add_mail(
                session,
                kind="bench",
                recipient=recipient,
                parameters={},
                now=resources.database.now() - timedelta(milliseconds=1),
            )
            notify_after_commit(session, OUTBOX)
    return time.monotonic()


async def send(settings: Settings, server: OwnMariaDB | None, logs: list[Path], rows: int) -> str:
    """Measure with the workers that write these logs."""
    async with open_resources(settings) as resources:
        await asyncio.sleep(6)  # What began with the start is over, and connections are made.
        idle = await questions(server, IDLE_SECONDS)

        began, before, sent = time.monotonic(), asked(server), {}
        for number in range(ROUNDS):
            await asyncio.sleep(random.uniform(0.1, 0.6))
            sent[f"one{number}@b.org"] = await commit(resources, f"one{number}@b.org")
        await asyncio.to_thread(until, lambda: len(claimed(logs, "one")) == ROUNDS)
        await asyncio.sleep(0.5)
        per_row = (asked(server) - before - idle * (time.monotonic() - began)) / ROUNDS
        waits = sorted((at - sent[name]) * 1000 for name, at in claimed(logs, "one").items())

        began = time.monotonic()
        for number in range(TRANSACTIONS):
            part = rows // TRANSACTIONS
            await commit(resources, *(f"many{number}-{each}@b.org" for each in range(part)))
        await asyncio.to_thread(until, lambda: len(claimed(logs, "many")) == rows)
        ended = max(claimed(logs, "many").values())
    rate = rows / (ended - began)
    counted = f"idle {idle:6.1f} /s   per row {per_row:6.1f}   " if server else ""
    return (
        f"{counted}begin p50 {waits[ROUNDS // 2]:7.1f} ms  p95 {waits[int(ROUNDS * 0.95)]:7.1f} ms   "
        f"claims {rate:6.0f} /s"
    )


def asked(server: OwnMariaDB | None) -> int:
    return server.questions() if server else 0


async def questions(server: OwnMariaDB | None, seconds: float) -> float:
    """Return the statements a second, without those that ask for their number."""
    own = asked(server)
    own = asked(server) - own
    before, began = asked(server), time.monotonic()
    await asyncio.sleep(seconds)
    return max(0.0, (asked(server) - before - own) / (time.monotonic() - began))


async def prepare(settings: Settings) -> None:
    database = Database(settings)
    await migrate(database.engine)
    await database.close()


async def forget(url: str, prefix: str) -> None:
    """Remove what was made at the broker."""
    if urlsplit(url).scheme.startswith("redis"):
        with redis.Redis.from_url(url) as client:
            for key in client.scan_iter(f"{prefix}*"):
                client.delete(key)
    elif url:
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            for name in ("outbox", "uploads"):
                await channel.queue_delete(f"{prefix}.queue.{name}")
            await channel.exchange_delete(f"{prefix}.queue")


def measure(name: str, server: OwnMariaDB | None, counts: list[int], options: argparse.Namespace) -> None:
    ways = {
        "nothing": {}, "Redis channel": {"redis_url": options.redis},
        "Redis queue": {"broker_url": options.redis}, "RabbitMQ": {"broker_url": options.rabbitmq},
    }  # fmt: skip
    for workers in counts:
        for way, urls in ways.items():
            if not all(urls.values()) or (options.ways and way not in options.ways.split(",")):
                continue
            prefix = f"openml-web-bench-{secrets.token_hex(4)}"
            with tempfile.TemporaryDirectory() as folder:
                if server:
                    server.ask("DROP DATABASE openml")
                    server.ask("CREATE DATABASE openml CHARACTER SET latin1", database="")
                settings = Settings(
                    _env_file=None,
                    data_dir=Path(folder),
                    database_uri=server.address if server else "",
                    broker_prefix=prefix,
                    embedded_worker=False,
                    **urls,
                )
                asyncio.run(prepare(settings))
                with working(settings, Path(folder), workers) as logs:
                    line = asyncio.run(send(settings, server, logs, options.rows))
                print(f"{name:8}{workers:3} worker(s)  {way:14} {line}", flush=True)
            asyncio.run(forget("".join(urls.values()), prefix))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", default="1,8,64")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--ways", default="", help="e.g. RabbitMQ,nothing; all by default")
    parser.add_argument("--redis", default="")
    parser.add_argument("--rabbitmq", default="")
    options = parser.parse_args()
    counts = [int(each) for each in options.workers.split(",")]
    if 1 in counts:
        measure("SQLite", None, [1], options)
    with (
        tempfile.TemporaryDirectory() as folder,
        own_mariadb(Path(folder), "--max-connections=500") as server,
    ):
        measure("MariaDB", server, counts, options)


if __name__ == "__main__":
    main()
