"""Logins: throughput beside bare argon2, what they do to the event loop, and whether their time tells who exists.

    .venv/bin/python -m benchmarks.login [--users 20000] [--tries 1000]

For SQLite and for a MariaDB that is started for it. The server is a process of its own that watches its event loop: a
task wakes every millisecond and notes how late it was. Bare argon2 verifies the same hash in as many threads as there are
processors, before and after. The client and MariaDB share the processors with the server, so the ratio is one of
processor time: of a bare verification to all that the server's process takes for a login. What the client and MariaDB
take for each stands beside it, and the ratio by the clock, which they lower.
"""

import argparse
import asyncio
import json
import os
import random
import secrets
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import argon2
import httpx
import sqlalchemy as sa
from scipy.stats import mannwhitneyu

from app.core.limits import LIMITS
from app.core.settings import Settings
from app.db import tables
from app.db.engine import Database
from app.db.migrations import migrate
from benchmarks.lines import Aim, Line
from benchmarks.processes import cpu_seconds, started
from tests.conftest import find_free_port
from tests.mariadb_server import own_mariadb

CONCURRENT = 200
PASSWORD = "seven rivers flow north"
HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
WATCHED_SERVER = """
import asyncio, sys, time
import uvicorn
from app.main import create_app

async def main(port):
    worst = 0.0
    async def watch():
        nonlocal worst
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            worst = max(worst, time.perf_counter() - began - 0.001)
    server = uvicorn.Server(uvicorn.Config(create_app(), port=port, log_config=None, access_log=False))
    watcher = None
    async def commands():
        nonlocal worst
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            print(worst * 1000, flush=True)
            worst = 0.0
        server.should_exit = True
    watcher, reader = asyncio.create_task(watch()), asyncio.create_task(commands())
    await server.serve()
    watcher.cancel()

import uvloop
uvloop.run(main(int(sys.argv[1])))
"""


async def prepare(settings: Settings, count: int, stored: str) -> None:
    """Make a fresh database with `count` accounts, all with the same password."""
    database = Database(settings)
    await migrate(database.engine)
    rows = [
        {
            "ip_address": "127.0.0.1",
            "username": f"user{number}@example.org",
            "email": f"user{number}@example.org",
            "password": stored,
            "created_on": 0,
            "active": 1,
            "first_name": "A",
            "last_name": "B",
            "company": "",
            "phone": "",
            "country": "",
            "image": "",
            "bio": "",
            "core": "false",
            "session_hash": secrets.token_hex(16),
        }
        for number in range(count)
    ]
    async with database.session() as session:
        await session.execute(sa.delete(tables.users))
        await session.execute(sa.insert(tables.users), rows)
    await database.close()


class Rate(NamedTuple):
    """How many a second, and the processor milliseconds for each."""

    per_second: float
    cpu: float


def bare_argon2(stored: str, seconds: float) -> Rate:
    """Verify with one thread a processor."""
    threads = os.cpu_count() or 1
    end = time.perf_counter() + seconds

    def verify(_: int) -> int:
        done = 0
        while time.perf_counter() < end:
            HASHER.verify(stored, PASSWORD)
            done += 1
        return done

    began, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(verify, range(threads)))
    return Rate(done / (time.perf_counter() - began), (time.process_time() - cpu) / done * 1000)


async def log_in(client: httpx.AsyncClient, login: str, password: str) -> float:
    began = time.perf_counter()
    answer = await client.post("/login", json={"email": login, "password": password})
    answer.raise_for_status()
    return time.perf_counter() - began


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    """Send a request over a kept connection and read the answer: the client must not take the server's processor."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    lines = head.lower().split(b"\r\n")
    await reader.readexactly(next(int(line[15:]) for line in lines if line.startswith(b"content-length")))


async def probe(port: int, latencies: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        began = time.perf_counter()
        await ask(reader, writer, b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        latencies.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.05)


def login_request(login: str) -> bytes:
    body = json.dumps({"email": login, "password": PASSWORD})
    head = f"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n{body}".encode()


async def rush(port: int, users: int, seconds: float) -> tuple[int, list[float]]:
    """Return how many logins there were with 200 at once, and how long /health/live took meanwhile, in milliseconds."""
    latencies: list[float] = []
    watching = asyncio.create_task(probe(port, latencies))
    end = time.perf_counter() + seconds

    async def one(number: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        done = 0
        while time.perf_counter() < end:
            login = f"user{(number + done * CONCURRENT) % users}@example.org"
            await ask(reader, writer, login_request(login))
            done += 1
        writer.close()
        return done

    done = sum(await asyncio.gather(*(one(number) for number in range(CONCURRENT))))
    watching.cancel()
    return done, latencies


async def timing(url: str, users: int, tries: int) -> tuple[list[float], list[float]]:
    """Return how long wrong logins take for known and for unknown names, in milliseconds, in random order."""
    known: list[float] = []
    unknown: list[float] = []
    async with httpx.AsyncClient(base_url=url) as client:
        for _ in range(tries):
            for is_known in random.sample([True, False], 2):
                number = random.randrange(users)
                login = f"user{number}@example.org" if is_known else f"none{number}@example.org"
                milliseconds = await log_in(client, login, "wrong") * 1000
                (known if is_known else unknown).append(milliseconds)
    return known, unknown


class Served(NamedTuple):
    """A server on a database with accounts."""

    name: str
    process: "subprocess.Popen[bytes]"
    port: int
    users: int
    database_pid: int | None

    def worst_stall(self) -> float:
        """Return the event loop's worst stall since the last time this was asked, in milliseconds."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


class Rush(NamedTuple):
    """What 200 logins at once took: of the server, the client and MariaDB processor milliseconds for each login."""

    per_second: float
    server: float
    client: float
    database: float
    stall: float
    health: list[float]


@contextmanager
def serving(name: str, users: int, stored: str) -> Iterator[Served]:
    with tempfile.TemporaryDirectory() as folder:
        if name == "SQLite":
            with serving_on("", None, Path(folder), users, stored) as served:
                yield served
        else:
            with (
                own_mariadb(Path(folder)) as mariadb,
                serving_on(mariadb.address, mariadb.pid, Path(folder), users, stored) as served,
            ):
                yield served


@contextmanager
def serving_on(
    database: str, database_pid: int | None, folder: Path, users: int, stored: str
) -> Iterator[Served]:
    environment = {
        "DATA_DIR": str(folder),
        "DATABASE_URI": database or f"sqlite:///{folder}/bench.db",
        "OPENML_SERVER": "http://127.0.0.1:9/",
        "EMBEDDED_WORKER": "false",
        "RATE_LIMITS": ",".join(f"{name}=100000000/hour" for name in LIMITS),
    }
    settings = Settings(_env_file=None, data_dir=folder, database_uri=environment["DATABASE_URI"])
    asyncio.run(prepare(settings, users, stored))
    port = find_free_port()
    url = f"http://127.0.0.1:{port}/health/live"
    with started(["-c", WATCHED_SERVER, str(port)], environment, url, talks=True) as process:
        served = Served("MariaDB" if database else "SQLite", process, port, users, database_pid)
        asyncio.run(rush(port, users, 1))  # warm
        yield served


def measure(served: Served, seconds: float) -> Rush:
    def spent() -> tuple[float, float, float]:
        database = cpu_seconds(served.database_pid) if served.database_pid else 0.0
        return cpu_seconds(served.process.pid), time.process_time(), database

    served.worst_stall()
    before, began = spent(), time.perf_counter()
    done, health = asyncio.run(rush(served.port, served.users, seconds))
    elapsed = time.perf_counter() - began
    server, client, database = (
        (after - earlier) / done * 1000 for after, earlier in zip(spent(), before, strict=True)
    )
    return Rush(done / elapsed, server, client, database, served.worst_stall(), sorted(health))


def lines(*, short: bool) -> Iterator[Line]:
    """Measure both databases; rounds of bare argon2 and of logins take turns."""
    seconds, rounds = (4, 2) if short else (10, 3)
    stored = HASHER.hash(PASSWORD)
    for name in ("SQLite", "MariaDB"):
        bare, logins = [bare_argon2(stored, seconds / 2)], []
        with serving(name, 2000 if short else 20_000, stored) as served:
            for _ in range(rounds):
                logins.append(measure(served, seconds))
                bare.append(bare_argon2(stored, seconds / 2))
        hash_cpu = statistics.mean(rate.cpu for rate in bare)
        server_cpu = statistics.mean(each.server for each in logins)
        yield Line(
            f"login, 200 at once, {name}",
            hash_cpu,
            "ms CPU",
            server_cpu,
            "server, all in all",
            Aim(0.92, at_least=True),
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--tries", type=int, default=1000)
    options = parser.parse_args()
    stored = HASHER.hash(PASSWORD)
    for name in ("SQLite", "MariaDB"):
        with serving(name, options.users, stored) as served:
            report(served, options, stored)


def report(served: Served, options: argparse.Namespace, stored: str) -> None:
    bare = [bare_argon2(stored, options.seconds / 2)]
    served.worst_stall()
    time.sleep(2)
    idle = served.worst_stall()
    busy = measure(served, options.seconds)
    bare.append(bare_argon2(stored, options.seconds / 2))
    rate, cpu = (statistics.mean(column) for column in zip(*bare, strict=True))
    print(f"{served.name}, {served.users} accounts, {os.cpu_count()} processors")
    print(
        f"bare argon2                 {rate:6.1f} /s  ({bare[0].per_second:.1f} before, {bare[1].per_second:.1f} after), {cpu:.2f} ms CPU each"
    )
    print(
        f"logins, {CONCURRENT} at once        {busy.per_second:6.1f} /s   ratio by the clock {busy.per_second / rate:.2f}"
    )
    print(
        f"CPU for each                server {busy.server:.2f} ms, client {busy.client:.2f} ms, MariaDB {busy.database:.2f} ms"
    )
    print(
        f"ratio of CPU                {cpu / busy.server:.2f}, with MariaDB's {cpu / (busy.server + busy.database):.2f}"
    )
    print(f"worst stall of the loop     {busy.stall:6.1f} ms  (idle {idle:.1f} ms)")
    p50, p99 = busy.health[len(busy.health) // 2], busy.health[int(len(busy.health) * 0.99)]
    print(f"/health/live meanwhile      p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {busy.health[-1]:.1f} ms")
    if options.tries:
        known, unknown = asyncio.run(timing(f"http://127.0.0.1:{served.port}", served.users, options.tries))
        p_value = mannwhitneyu(known, unknown).pvalue
        print(
            f"wrong password, {options.tries} each   known {statistics.median(known):.2f} ms, unknown "
            f"{statistics.median(unknown):.2f} ms (medians), p = {p_value:.2f} that the two are one"
        )


if __name__ == "__main__":
    main()
