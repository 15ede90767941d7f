"""What traces add to `GET /profile`: processor time with and without them, in turns, in one process.

    .venv/bin/python -m benchmarks.traces

As `benchmarks.metrics`. What sends the spans away counts; the collector, a process of its own, does not.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.types import Scope

from app.core.settings import Settings
from app.core.tracing import trace_with
from app.main import create_app
from app.telemetry.traces import open_traces
from benchmarks.lines import Aim, Line
from benchmarks.metrics import ask
from benchmarks.profile import SECRET, prepare

REQUESTS_IN_TURN = 600
"""More than the spans that are sent at once, so that sending them is a part of a turn."""
DEFAULT: float = Settings.model_fields["otel_traces_sampler_arg"].default
COLLECTOR = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@contextmanager
def collecting() -> Iterator[str]:
    """Yield the address of a collector that forgets what it is sent."""
    with subprocess.Popen([sys.executable, "-c", COLLECTOR], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


async def measure(folder: Path, collector: str, share: float, turns: int) -> tuple[float, float]:
    """Return microseconds of the processor for a request, without traces and with that share of them kept."""
    settings = Settings(
        _env_file=None,
        data_dir=folder,
        app_secret_key=SECRET,
        embedded_worker=False,
        otel_exporter_otlp_endpoint=collector,
        otel_traces_sampler_arg=share,
    )
    token = await prepare(settings)
    application = create_app(settings.model_copy(update={"otel_exporter_otlp_endpoint": ""}))
    costs: list[list[float]] = [[], []]
    async with application.router.lifespan_context(application) as state, open_traces(settings) as traces:
        scope: Scope = {
            "type": "http", "method": "GET", "path": "/profile", "raw_path": b"/profile", "query_string": b"",
            "headers": [(b"host", b"x"), (b"authorization", f"Bearer {token}".encode())], "root_path": "",
            "client": ("127.0.0.1", 1), "server": ("x", 80), "scheme": "http", "http_version": "1.1", "state": state,
        }  # fmt: skip
        for turn in range(2 * turns):
            trace_with(traces if turn % 2 else None)
            began = time.process_time()
            for _ in range(REQUESTS_IN_TURN):
                await ask(application, scope)
            costs[turn % 2].append((time.process_time() - began) / REQUESTS_IN_TURN * 1e6)
    before = statistics.median(costs[0])
    return before, before + statistics.median(b - a for a, b in zip(*costs, strict=True))


def lines(*, short: bool) -> Iterator[Line]:
    """Measure it."""
    for share in (1.0, 0.1, DEFAULT):
        with tempfile.TemporaryDirectory() as folder, collecting() as collector:
            before, traced = asyncio.run(measure(Path(folder), collector, share, 20 if short else 60))
        aim = Aim(1.05) if share == DEFAULT else None
        yield Line(f"GET /profile, {share:g} of traces kept", traced, "µs CPU", before, "without", aim)


if __name__ == "__main__":
    print(*lines(short=False), sep="\n")
