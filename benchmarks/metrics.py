"""What metrics add to `GET /profile`: processor time with and without them, in turns, in one process.

    .venv/bin/python -m benchmarks.metrics

The application is called as a server calls it, and logs a line for each request. The server's own share, which both have,
is left out, so that the ratio is larger than it is in production. Two servers side by side differ by more than metrics add.
"""

import asyncio
import io
import logging
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Scope

from app.core.logging import REQUESTS, RequestFormatter
from app.core.measuring import record_with
from app.core.settings import Settings
from app.main import create_app
from app.metrics.recorder import FileRecorder
from app.metrics.shared import SharedFolder
from benchmarks.lines import Aim, Line
from benchmarks.profile import SECRET, prepare

REQUESTS_IN_TURN = 400


async def ask(application: ASGIApp, scope: Scope) -> None:
    """Send one request, and take its answer."""

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        assert message.get("status", 200) == 200, message

    await application(
        {**scope, "headers": list(scope["headers"]), "state": dict(scope["state"])}, receive, send
    )


@asynccontextmanager
async def asked(folder: Path) -> AsyncIterator[tuple[FastAPI, Scope]]:
    """Return the application, which logs a line for each request, and a request for `GET /profile`."""
    settings = Settings(_env_file=None, data_dir=folder, app_secret_key=SECRET, embedded_worker=False)
    token = await prepare(settings)
    application = create_app(settings)
    logger, handler = logging.getLogger(REQUESTS), logging.StreamHandler(io.StringIO())
    handler.setFormatter(RequestFormatter({"host": "h", "process": 1, "worker": "web"}))
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
    async with application.router.lifespan_context(application) as state:
        yield application, {
            "type": "http", "method": "GET", "path": "/profile", "raw_path": b"/profile", "query_string": b"",
            "headers": [(b"host", b"x"), (b"authorization", f"Bearer {token}".encode())], "root_path": "",
            "client": ("127.0.0.1", 1), "server": ("x", 80), "scheme": "http", "http_version": "1.1", "state": state,
        }  # fmt: skip


async def measure(folder: Path, turns: int) -> tuple[float, float]:
    """Return microseconds of the processor for a request, without metrics and with them."""
    shared = SharedFolder(folder)
    recorder = FileRecorder(shared)
    async with asked(folder) as (application, scope):
        costs: dict[bool, list[float]] = {False: [], True: []}
        for turn in range(2 * turns):
            is_measured = turn % 2 == 1
            record_with(recorder if is_measured else None)
            began = time.process_time()
            for _ in range(REQUESTS_IN_TURN):
                await ask(application, scope)
            recorder.flush()
            costs[is_measured].append((time.process_time() - began) / REQUESTS_IN_TURN * 1e6)
    record_with(None)
    shared.leave()
    plain = statistics.median(costs[False])
    differences = (after - before for before, after in zip(costs[False], costs[True], strict=True))
    return plain, plain + statistics.median(differences)


def lines(*, short: bool) -> Iterator[Line]:
    """Measure it."""
    with tempfile.TemporaryDirectory() as folder:
        plain, measured = asyncio.run(measure(Path(folder), 20 if short else 60))
    yield Line("GET /profile, with metrics", measured, "µs CPU", plain, "without", Aim(1.05))


if __name__ == "__main__":
    print(*lines(short=False), sep="\n")
