"""Server CPU and requests per second of `GET /profile`, beside a bare FastAPI route, in one run.

    .venv/bin/python -m benchmarks.profile [--database mysql://root@127.0.0.1/test_bench] [--seconds 5]

Both servers run as their own process (one worker, uvloop, httptools); the load comes from this process over 8
kept connections. CPU is the server's user and system time, from /proc, divided by the requests it answered.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from app.core.clock import utc_now
from app.core.settings import Settings
from app.core.tokens import TokenSigner
from app.db import users
from app.db.engine import Database
from app.db.migrations import migrate
from tests.conftest import find_free_port

CONNECTIONS = 8
SECRET = "a secret of thirty-two bytes or more"
BARE = """
from fastapi import FastAPI
app = FastAPI()
@app.get("/profile")
async def profile() -> dict[str, str | int]:
    return {"username": "ada", "bio": "", "first_name": "Ada", "last_name": "L", "email": "a@b.org", "image": "", "id": 1}
"""


def cpu_seconds(process: "subprocess.Popen[bytes]") -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(process: "subprocess.Popen[bytes]") -> float:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def start(
    arguments: list[str], environment: dict[str, str], port: int
) -> "tuple[subprocess.Popen[bytes], float]":
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", *arguments, "--port", str(port), "--no-access-log"],
        env={**os.environ, **environment},
        stderr=subprocess.DEVNULL,
    )
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/profile", timeout=1)
        except httpx.HTTPError:
            time.sleep(0.005)
        else:
            return process, time.perf_counter() - began


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


def measure(
    name: str, process: "subprocess.Popen[bytes]", port: int, token: str, seconds: float, started: float
) -> float:
    request = f"GET /profile HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    idle = memory_mb(process)
    asyncio.run(load(port, request, 1))
    costs, rates, p99 = [], [], []
    for _ in range(3):
        before = cpu_seconds(process)
        latencies = sorted(asyncio.run(load(port, request, seconds)))
        costs.append((cpu_seconds(process) - before) / len(latencies) * 1000)
        rates.append(len(latencies) / seconds)
        p99.append(latencies[int(len(latencies) * 0.99)])
    cost = statistics.median(costs)
    print(
        f"{name:24} {statistics.median(rates):7.0f} requests/s   {cost:.3f} ms CPU   p99 {statistics.median(p99):.1f} ms"
        f"   idle {idle:.0f} MB   first answer after {started:.2f} s"
    )
    return cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", default="", help="empty: SQLite")
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "bare.py").write_text(BARE)
        port = find_free_port()
        bare, started = start(["bare:app", "--app-dir", folder], {}, port)
        base = measure("bare FastAPI route", bare, port, "x", options.seconds, started)
        bare.kill()
        settings = Settings(_env_file=None, data_dir=Path(folder), database_uri=options.database)
        token = asyncio.run(prepare(settings))
        environment = {
            "DATA_DIR": folder,
            "DATABASE_URI": options.database,
            "JWT_SECRET_KEY": SECRET,
            "LOG_LEVEL": os.environ.get("LOG_LEVEL", "INFO"),
        }
        port = find_free_port()
        ours, started = start(["--factory", "app.main:create_app"], environment, port)
        cost = measure(
            "GET /profile, " + ("MariaDB" if options.database else "SQLite"),
            ours,
            port,
            token,
            options.seconds,
            started,
        )
        ours.kill()
        print(f"ratio of CPU: {cost / base:.1f}")


if __name__ == "__main__":
    main()
