"""What other people notice of a large upload, and the memory it takes, from the request to the dataset on OpenML.

    .venv/bin/python -m benchmarks.upload [--megabytes 1000] [--folder /tmp]

The service (one web process with its worker) and the sandbox run as processes of their own. `GET /profile` is asked
every ten milliseconds, first with nothing else to do, then while a CSV file is received, converted and sent. Memory is
the resident memory of the web process and of its conversion together, sampled ten times a second; the sandbox is not ours.
"""

import argparse
import asyncio
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Self

import httpx

from app.core.clock import utc_now
from app.core.settings import Settings
from app.core.tokens import TokenSigner
from app.db import users
from app.db.engine import Database
from app.db.migrations import migrate
from benchmarks.convert import mixed
from benchmarks.lines import Aim, Line
from benchmarks.processes import cpu_seconds, family, memory_mb, spent_by, started
from tests.conftest import find_free_port

SECRET = "a secret of thirty-two bytes or more"
PATIENCE_SECONDS = 7200


async def prepare(settings: Settings) -> str:
    database = Database(settings)
    await migrate(database.engine)
    async with database.session() as session:
        user_id = await users.add_user(
            session, username="bench", email="bench@example.org", password_hash="x", first_name="Ada", last_name="L",
            api_key=f"{time.time_ns():032x}", ip_address="", active=True, now=utc_now(),
        )  # fmt: skip
        await users.add_to_members(session, user_id)
    await database.close()
    return TokenSigner(SECRET, lifetime=utc_now() - utc_now().replace(year=2020)).issue(user_id)[0]


class Probe:
    """Asks for the profile and looks at the memory until it is stopped."""

    def __init__(self, url: str, token: str, process: "subprocess.Popen[bytes]") -> None:
        self.latencies: list[float] = []
        self.peak_mb = 0.0
        self._process = process
        self._url, self._headers = url, {"Authorization": f"Bearer {token}"}
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=target) for target in (self._ask, self._weigh)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with httpx.Client(headers=self._headers, timeout=60) as client:
            while not self._ends.wait(0.01):
                began = time.perf_counter()
                client.get(f"{self._url}/profile").raise_for_status()
                self.latencies.append((time.perf_counter() - began) * 1000)

    def _weigh(self) -> None:
        while not self._ends.wait(0.1):
            self.peak_mb = max(self.peak_mb, sum(map(memory_mb, family(self._process.pid))))

    def quantile(self, share: float) -> float:
        """Return how long that share of the answers took at most, in milliseconds."""
        return sorted(self.latencies)[int(len(self.latencies) * share)]


def measure(url: str, token: str, table: Sequence[bytes]) -> None:
    """Send a table as a form, from memory: so the disk has room for the others' copies."""
    metadata = '{"dataset_name": "bench", "description": "d", "def_tar_att": "class"}'
    part = '--table\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n'
    before = f"{part % ('metadata', '')}{metadata}\r\n{part % ('dataset', '; filename=table.csv')}".encode()
    after = b"\r\n--table--\r\n"
    size = len(before) + sum(map(len, table)) + len(after)
    answer = httpx.post(
        f"{url}/data-upload",
        headers={
            "Authorization": f"Bearer {token}",
            "Content-Type": "multipart/form-data; boundary=table",
            "Content-Length": str(size),
        },
        content=iter([before, *table, after]),
        timeout=PATIENCE_SECONDS,
    )
    answer.raise_for_status()


class Observed(NamedTuple):
    """What became of a table, and what others noticed.

    Attributes:
        stored: seconds until OpenML had it.
        active: seconds until it was active.
        idle: what was noticed before.
        busy: what was noticed until it was stored.
        parts: seconds of the processor that each part took.
    """

    stored: float
    active: float
    idle: Probe
    busy: Probe
    parts: dict[str, float]


def wait_until_active(url: str, token: str) -> None:
    """Wait until the last upload is."""
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        while (
            state := client.get("/uploads", params={"limit": 1}).json()["uploads"][0]["state"]
        ) != "active":
            if state not in {"published", "processing"}:
                raise SystemExit(f"the upload is {state}")
            time.sleep(0.5)


def observe(megabytes: int, root: str | None, idle_seconds: float) -> Observed:
    """Return how long a table took, and what was noticed before it and meanwhile."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=root))
        port, sandbox_port = find_free_port(), find_free_port()
        url, sandbox_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}/"
        environment = {
            "DATA_DIR": f"{folder}/var", "JWT_SECRET_KEY": SECRET, "PORT": str(port), "SANDBOX_PORT": str(sandbox_port),
            "OPENML_SERVER": sandbox_url, "LOG_LEVEL": "WARNING", "TIMINGS": f'{{"upload_wait_seconds": {PATIENCE_SECONDS}}}',
        }  # fmt: skip
        token = asyncio.run(prepare(Settings(_env_file=None, data_dir=Path(folder, "var"))))
        openml = [f"--port={sandbox_port}", f"--data-dir={folder}/openml", "--upload-max-bytes=100000000000"]
        sandbox = stack.enter_context(started(["-m", "openml_sandbox", *openml], {}, sandbox_url))
        service = stack.enter_context(started(["-m", "app.cli", "serve"], environment, f"{url}/health/live"))

        def spent() -> dict[str, float]:
            ours = spent_by(service.pid, service.pid)
            return {
                "service": ours.web,
                "children": ours.children,
                "sandbox": sum(map(cpu_seconds, family(sandbox.pid))),
            }

        measure(url, token, mixed(10))  # warm
        wait_until_active(url, token)
        # Made before, for what this process computes keeps its questions waiting.
        table = mixed(megabytes)
        with Probe(url, token, service) as idle:
            time.sleep(idle_seconds)
        before, began = spent(), time.perf_counter()
        with Probe(url, token, service) as busy:
            measure(url, token, table)
            stored = time.perf_counter() - began
        wait_until_active(url, token)
        active = time.perf_counter() - began
        return Observed(
            stored, active, idle, busy, {part: now - before[part] for part, now in spent().items()}
        )


def lines(*, short: bool) -> Iterator[Line]:
    """Measure what others notice of a table."""
    found = observe(200 if short else 1000, None, 10)
    p99 = found.busy.quantile(0.99), found.idle.quantile(0.99)
    yield Line("GET /profile, p99 while a large table is published", p99[0], "ms", p99[1], "idle", Aim(3))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--folder", default=None, help="where there is room for three times the table")
    options = parser.parse_args()
    found = observe(options.megabytes, options.folder, 10)
    print(
        f"{options.megabytes} MB of CSV, received, converted, sent and stored: {found.stored:.0f} s; "
        f"active after {found.active:.0f} s"
    )
    told = "   ".join(f"{part} {seconds:.1f}" for part, seconds in found.parts.items())
    print(f"of the processor, seconds: {told}")
    for name, probe in (("idle", found.idle), ("meanwhile", found.busy)):
        print(
            f"GET /profile, {name:10} p50 {probe.quantile(0.5):.1f} ms   p99 {probe.quantile(0.99):.1f} ms   "
            f"worst {max(probe.latencies):.0f} ms   memory at most {probe.peak_mb:.0f} MB"
        )
    print(f"ratio of p99: {found.busy.quantile(0.99) / found.idle.quantile(0.99):.1f}")


if __name__ == "__main__":
    main()
