"""Logins: throughput beside bare argon2, what they do to the event loop, and whether their time tells who exists.

    .venv/bin/python -m benchmarks.login [--database mysql://root@127.0.0.1/bench] [--users 20000] [--tries 1000]

The server is a process of its own that watches its event loop: a task wakes every millisecond and notes how late it
was. Bare argon2 verifies the same hash in as many threads as there are processors, in the same run.
"""

import argparse
import asyncio
import json
import os
import random
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import argon2
import httpx
import sqlalchemy as sa
from scipy.stats import mannwhitneyu

from app.core.limits import LIMITS
from app.core.settings import Settings
from app.db import tables
from app.db.engine import Database
from app.db.migrations import migrate
from tests.conftest import find_free_port

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


def bare_argon2(stored: str, seconds: float) -> float:
    """Return verifications per second with one thread a processor."""
    threads = os.cpu_count() or 1
    end = time.perf_counter() + seconds

    def verify(_: int) -> int:
        done = 0
        while time.perf_counter() < end:
            HASHER.verify(stored, PASSWORD)
            done += 1
        return done

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(verify, range(threads)))
    return done / (time.perf_counter() - began)


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


async def rush(port: int, users: int, seconds: float) -> tuple[float, list[float]]:
    """Return logins per second with 200 at once, and how long /health/live took meanwhile, in milliseconds."""
    latencies: list[float] = []
    watching = asyncio.create_task(probe(port, latencies))
    began = time.perf_counter()

    async def one(number: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        done = 0
        while time.perf_counter() - began < seconds:
            login = f"user{(number + done * CONCURRENT) % users}@example.org"
            await ask(reader, writer, login_request(login))
            done += 1
        writer.close()
        return done

    done = sum(await asyncio.gather(*(one(number) for number in range(CONCURRENT))))
    elapsed = time.perf_counter() - began
    watching.cancel()
    return done / elapsed, latencies


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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", default="")
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--tries", type=int, default=1000)
    options = parser.parse_args()
    stored = HASHER.hash(PASSWORD)
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "DATA_DIR": folder,
            "DATABASE_URI": options.database or f"sqlite:///{folder}/bench.db",
            "OPENML_SERVER": "http://127.0.0.1:9/",
            "EMBEDDED_WORKER": "false",
            "RATE_LIMITS": ",".join(f"{name}=100000000/hour" for name in LIMITS),
        }
        settings = Settings(_env_file=None, data_dir=Path(folder), database_uri=environment["DATABASE_URI"])
        asyncio.run(prepare(settings, options.users, stored))
        port = find_free_port()
        server = subprocess.Popen(
            [sys.executable, "-c", WATCHED_SERVER, str(port)],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until_up(url)
            report(server, port, options, stored)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


def wait_until_up(url: str) -> None:
    while True:
        try:
            httpx.get(f"{url}/health/live")
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return


def worst_stall(server: "subprocess.Popen[str]") -> float:
    """Return the event loop's worst stall since the last time this was asked, in milliseconds."""
    assert server.stdin
    assert server.stdout
    server.stdin.write("\n")
    server.stdin.flush()
    return float(server.stdout.readline())


def report(server: "subprocess.Popen[str]", port: int, options: argparse.Namespace, stored: str) -> None:
    asyncio.run(rush(port, options.users, 1))  # warm
    ceilings = [bare_argon2(stored, options.seconds / 2)]
    worst_stall(server)
    time.sleep(2)
    idle = worst_stall(server)
    rate, latencies = asyncio.run(rush(port, options.users, options.seconds))
    busy = worst_stall(server)
    ceilings.append(bare_argon2(stored, options.seconds / 2))
    ceiling = statistics.mean(ceilings)
    latencies.sort()
    kind = "MariaDB" if options.database else "SQLite"
    print(f"{kind}, {options.users} accounts, {os.cpu_count()} processors")
    print(
        f"bare argon2                 {ceiling:6.1f} /s  ({ceilings[0]:.1f} before, {ceilings[1]:.1f} after)"
    )
    print(f"logins, {CONCURRENT} at once        {rate:6.1f} /s   ratio {rate / ceiling:.2f}")
    print(f"worst stall of the loop     {busy:6.1f} ms  (idle {idle:.1f} ms)")
    p50, p99 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
    print(f"/health/live meanwhile      p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {latencies[-1]:.1f} ms")
    known, unknown = asyncio.run(timing(f"http://127.0.0.1:{port}", options.users, options.tries))
    p_value = mannwhitneyu(known, unknown).pvalue
    print(
        f"wrong password, {options.tries} each   known {statistics.median(known):.2f} ms, unknown "
        f"{statistics.median(unknown):.2f} ms (medians), p = {p_value:.2f} that the two are one"
    )


if __name__ == "__main__":
    main()
