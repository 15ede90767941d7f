"""How soon a worker begins, and how fast a queue is claimed.

    .venv/bin/python benchmarks/wake.py [--mariadb mysql://root@127.0.0.1/bench] [--redis redis://127.0.0.1:6379/13]
        [--rabbitmq amqp://guest:guest@127.0.0.1/]

The database's mails are deleted. Two parts: the time from a commit in one process to a worker's claim in another
(here: another set of resources with connections of its own, nothing shared but the servers), by each way of being told;
and rows claimed a second by four processes that do nothing else.
"""

import argparse
import asyncio
import multiprocessing
import random
import secrets
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import redis.asyncio
import sqlalchemy as sa

from app.core.clock import utc_now
from app.core.settings import Settings
from app.db import outbox
from app.db.engine import Database, notify_after_commit
from app.db.migrations import migrate
from app.db.tables import outbox as outbox_table
from app.events.channel import open_channel
from app.events.notifications import OUTBOX, Notifications
from app.events.queue import open_work_broker

ROUNDS = 30
ROWS = 1000
WORKERS = 4
LEASE = timedelta(minutes=10)


@asynccontextmanager
async def process(
    settings: Settings, way: str, url: str
) -> AsyncIterator[tuple[Database, Notifications, AsyncExitStack]]:
    async with AsyncExitStack() as stack:
        notifications = Notifications()
        database = Database(settings, notifications)
        stack.push_async_callback(database.close)
        if way == "channel":
            pool = redis.asyncio.BlockingConnectionPool.from_url(url, socket_timeout=5)
            stack.push_async_callback(pool.disconnect)
            await stack.enter_async_context(open_channel(pool, notifications, prefix=settings.broker_prefix))
        if way == "broker":
            broker = await stack.enter_async_context(
                open_work_broker(url, notifications, prefix=settings.broker_prefix)
            )
            task = asyncio.create_task(broker.hand_out(OUTBOX))
            stack.callback(task.cancel)
        yield database, notifications, stack


async def latencies(settings: Settings, way: str, url: str) -> list[float]:
    """Return the milliseconds from each commit to its claim."""
    taken: asyncio.Queue[float] = asyncio.Queue()

    async def work(database: Database, notifications: Notifications) -> None:
        with notifications.listen(OUTBOX) as listener:
            while True:
                mail = await outbox.claim_mail(database, owner="bench", now=utc_now(), lease=LEASE)
                if mail is None:
                    await listener.wait(seconds=5 if way == "broker" else 1)
                else:
                    await taken.put(time.perf_counter())

    found = []
    async with (
        process(settings, "channel" if way == "channel" else way, url) as (sender, _, _stack),
        process(settings, way, url) as (receiver, notifications, _other),
    ):
        worker = asyncio.create_task(work(receiver, notifications))
        await asyncio.sleep(1)
        for _ in range(ROUNDS):
            await asyncio.sleep(random.uniform(0, 1))
            async with sender.session() as session:
                await outbox.add_mail(
                    session, kind="bench", recipient="a@b.org", parameters={}, now=utc_now()
                )
                notify_after_commit(session, OUTBOX)
            began = time.perf_counter()
            async with asyncio.timeout(30):
                found.append((await taken.get() - began) * 1000)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    return found


async def fill(settings: Settings) -> None:
    database = Database(settings)
    for _ in range(ROWS // 100):
        async with database.session() as session:
            for _ in range(100):
                await outbox.add_mail(
                    session, kind="bench", recipient="a@b.org", parameters={}, now=utc_now()
                )
    await database.close()


async def _claim(settings: Settings, number: int) -> tuple[int, float, float]:
    database = Database(settings)
    count, began = 0, time.time()
    while await outbox.claim_mail(database, owner=f"bench/{number}", now=utc_now(), lease=LEASE):
        count += 1
    ended = time.time()
    await database.close()
    return count, began, ended


def claim(
    folder: str, uri: str, number: int, results: "multiprocessing.Queue[tuple[int, float, float]]"
) -> None:
    settings = Settings(_env_file=None, data_dir=Path(folder), database_uri=uri)
    results.put(asyncio.run(_claim(settings, number)))


def measure_claims(name: str, folder: str, uri: str) -> None:
    asyncio.run(fill(Settings(_env_file=None, data_dir=Path(folder), database_uri=uri)))
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[tuple[int, float, float]] = context.Queue()
    for workers in (1, WORKERS):
        if workers != 1:
            asyncio.run(fill(Settings(_env_file=None, data_dir=Path(folder), database_uri=uri)))
        processes = [context.Process(target=claim, args=(folder, uri, n, results)) for n in range(workers)]
        for each in processes:
            each.start()
        done = [results.get() for _ in processes]
        for each in processes:
            each.join()
        counts = sorted(count for count, _, _ in done)
        seconds = max(ended for _, _, ended in done) - min(began for _, began, _ in done)
        print(f"{name:8} claims, {workers} process(es): {sum(counts) / seconds:6.0f} /s   shares {counts}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mariadb", default="")
    parser.add_argument("--redis", default="")
    parser.add_argument("--rabbitmq", default="")
    options = parser.parse_args()
    prefix = f"openml-web-bench-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory() as folder:
        for name, uri in (("SQLite", ""), ("MariaDB", options.mariadb)):
            if name == "MariaDB" and not uri:
                continue
            settings = Settings(_env_file=None, data_dir=Path(folder), database_uri=uri, broker_prefix=prefix)

            async def prepare(settings: Settings = settings) -> None:
                database = Database(settings)
                await migrate(database.engine)
                async with database.session() as session:
                    await session.execute(sa.delete(outbox_table))
                await database.close()

            asyncio.run(prepare())
            ways = [
                ("polling", "", "polling"), ("Redis channel", options.redis, "channel"),
                ("Redis streams", options.redis, "broker"), ("RabbitMQ", options.rabbitmq, "broker"),
            ]  # fmt: skip
            for label, url, way in ways:
                if way != "polling" and not url:
                    continue
                found = sorted(asyncio.run(latencies(settings, way, url)))
                print(
                    f"{name:8} {label:14} commit to claim: p50 {statistics.median(found):6.1f} ms   "
                    f"p95 {found[int(len(found) * 0.95)]:6.1f} ms   worst {found[-1]:6.1f} ms"
                )
            measure_claims(name, folder, uri)


if __name__ == "__main__":
    main()
