"""Server CPU of `GET /profile` on SQLite and on MariaDB, beside a bare FastAPI route, in one run.

    .venv/bin/python -m benchmarks.profile [--seconds 5]

Each server is a process of its own (one worker, uvloop, httptools) and they take turns; the load comes from this process
over 8 kept connections. CPU is the server's user and system time, from /proc, divided by the requests it answered. Ours
is `openml-web serve`, which logs a line for each request. MariaDB is started for it.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from app.core.clock import utc_now
from app.core.settings import Settings
from app.core.tokens import TokenSigner
from app.db import users
from app.db.engine import Database
from app.db.migrations import migrate
from benchmarks.lines import Aim, Line
from benchmarks.processes import cpu_seconds, memory_mb, started
from tests.conftest import find_free_port
from tests.mariadb_server import own_mariadb

CONNECTIONS = 8
ROUNDS = 5
SECRET = "a secret of thirty-two bytes or more"
BARE = """
from fastapi import FastAPI
app = FastAPI()
@app.get("/profile")
async def profile() -> dict[str, str | int]:
    return {"username": "ada", "bio": "", "first_name": "Ada", "last_name": "L", "email": "a@b.org", "image": "", "id": 1}
"""


class Measured(NamedTuple):
    """Requests a second, milliseconds of the server's processor for each, and the 99th percentile in milliseconds."""

    rate: float
    cpu: float
    p99: float


class Side(NamedTuple):
    """A server, and the request that it is asked."""

    port: int
    pid: int
    request: bytes

    def measure(self, seconds: float) -> Measured:
        """Ask for so long."""
        before = cpu_seconds(self.pid)
        latencies = sorted(asyncio.run(load(self.port, self.request, seconds)))
        cpu = (cpu_seconds(self.pid) - before) / len(latencies) * 1000
        return Measured(len(latencies) / seconds, cpu, latencies[int(len(latencies) * 0.99)])


async def load(port: int, request: bytes, seconds: float) -> list[float]:
    """Return how long each request took, in milliseconds."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def one_connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = next(
                int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
            )
            await reader.readexactly(length)
            latencies.append((time.perf_counter() - began) * 1000)
        writer.close()

    await asyncio.gather(*(one_connection() for _ in range(CONNECTIONS)))
    return latencies


async def prepare(settings: Settings) -> str:
    database = Database(settings)
    await migrate(database.engine)
    async with database.session() as session:
        user_id = await users.add_user(
            session, username="bench", email=f"{utc_now().timestamp()}@example.org", password_hash="x", first_name="Ada",
            last_name="L", api_key=f"{time.time_ns():032x}", ip_address="", active=True, now=utc_now(),
        )  # fmt: skip
    await database.close()
    return TokenSigner(SECRET, lifetime=utc_now() - utc_now().replace(year=2020)).issue(user_id)[0]


@contextmanager
def serving(command: list[str], environment: dict[str, str], token: str) -> Iterator[Side]:
    """Start a server whose port is `UVICORN_PORT` or `PORT`."""
    port = find_free_port()
    request = f"GET /profile HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    url = f"http://127.0.0.1:{port}/profile"
    with started([*command], {**environment, "PORT": str(port), "UVICORN_PORT": str(port)}, url) as process:
        yield Side(port, process.pid, request)


@contextmanager
def bare(folder: Path) -> Iterator[Side]:
    (folder / "bare.py").write_text(BARE)
    command = ["-m", "uvicorn", "bare:app", f"--app-dir={folder}", "--no-access-log"]
    with serving(command, {}, "x") as side:
        yield side


@contextmanager
def ours(folder: Path, database: str) -> Iterator[Side]:
    folder.mkdir()
    token = asyncio.run(prepare(Settings(_env_file=None, data_dir=folder, database_uri=database)))
    environment = {"DATA_DIR": str(folder), "DATABASE_URI": database, "JWT_SECRET_KEY": SECRET}
    with serving(["-m", "app.cli", "serve"], {**environment, "LOG_LEVEL": "INFO"}, token) as side:
        yield side


@contextmanager
def sides(folder: Path) -> Iterator[dict[str, Side]]:
    with ExitStack() as stack:
        mariadb = stack.enter_context(own_mariadb(folder))
        yield {
            "bare route": stack.enter_context(bare(folder)),
            "SQLite": stack.enter_context(ours(folder / "on-sqlite", "")),
            "MariaDB": stack.enter_context(ours(folder / "on-mariadb", mariadb.address)),
        }


def measure(found: dict[str, Side], seconds: float) -> dict[str, Measured]:
    """Return medians of rounds that take turns."""
    for side in found.values():
        side.measure(1)
    rounds = [{name: side.measure(seconds) for name, side in found.items()} for _ in range(ROUNDS)]
    return {
        name: Measured(*map(statistics.median, zip(*(each[name] for each in rounds), strict=True)))
        for name in found
    }


def lines(*, short: bool) -> Iterator[Line]:
    """Measure both databases."""
    with tempfile.TemporaryDirectory() as folder, sides(Path(folder)) as found:
        costs = measure(found, 1.5 if short else 5)
    base = costs["bare route"].cpu
    for name, most in (("SQLite", 2.0), ("MariaDB", 2.6)):
        yield Line(f"GET /profile, {name}", costs[name].cpu, "ms CPU", base, "bare route", Aim(most))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sides(Path(folder)) as found:
        idle = {name: memory_mb(side.pid) for name, side in found.items()}
        for name, cost in (costs := measure(found, options.seconds)).items():
            print(
                f"{name:12} {cost.rate:7.0f} requests/s   {cost.cpu:.3f} ms CPU   p99 {cost.p99:.1f} ms"
                f"   idle {idle[name]:.0f} MB   ratio {cost.cpu / costs['bare route'].cpu:.2f}"
            )


if __name__ == "__main__":
    main()
