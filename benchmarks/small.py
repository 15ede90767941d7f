"""What a small table costs, from `/data-upload` until it is published: web process, worker, and child process.

    .venv/bin/python -m benchmarks.small [--uploads 100] [--rows 100]

Web process, worker and sandbox run as processes of their own. Their processor time is read before and after the uploads,
which come one after another. That of children is what the worker or its fork servers have waited for. Beside it stands a Python that starts and loads pyarrow, which is what each file cost before.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from app.core.settings import Settings
from benchmarks.lines import Aim, Line
from benchmarks.processes import Spent, run, spent_by, started
from benchmarks.upload import SECRET, prepare
from tests.conftest import find_free_port

WARM = 3
"""Uploads that are not counted."""


def table(rows: int, number: int) -> bytes:
    """Return a table that no other upload has."""
    lines = (f"{row},{row / 7 + number:.6f},word {row},{'abc'[row % 3]}\n" for row in range(rows))
    return b"id,x,word,kind\n" + "".join(lines).encode()


def upload(client: httpx.Client, rows: int, number: int) -> None:
    """Send a table, and wait until it is published."""
    metadata = f'{{"dataset_name": "small{number}", "description": "d", "def_tar_att": "kind"}}'
    file = (f"small{number}.csv", table(rows, number), "text/csv")
    sent = client.post("/data-upload", files={"dataset": file}, data={"metadata": metadata})
    sent.raise_for_status()


def measure(uploads: int, rows: int) -> Spent:
    """Return what each of these uploads takes."""
    with tempfile.TemporaryDirectory() as folder:
        port, sandbox_port = find_free_port(), find_free_port()
        url = f"http://127.0.0.1:{port}"
        environment = {
            "DATA_DIR": f"{folder}/var", "JWT_SECRET_KEY": SECRET, "PORT": str(port), "SANDBOX_PORT": str(sandbox_port),
            "OPENML_SERVER": f"http://127.0.0.1:{sandbox_port}/", "LOG_LEVEL": "WARNING", "EMBEDDED_WORKER": "false",
            "UPLOAD_USER_BYTES": "100000000000",
        }  # fmt: skip
        token = asyncio.run(prepare(Settings(_env_file=None, data_dir=Path(folder, "var"))))
        live = f"{url}/health/live"
        with (
            started(["-m", "app.cli", "sandbox"], environment, f"http://127.0.0.1:{sandbox_port}/"),
            started(["-m", "app.cli", "serve"], environment, live) as web,
            started(["-m", "app.cli", "worker"], environment, live) as worker,
            httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=120) as client,
        ):
            for number in range(WARM):
                upload(client, rows, number)
            before = spent_by(web.pid, worker.pid)
            for number in range(WARM, WARM + uploads):
                upload(client, rows, number)
            return spent_by(web.pid, worker.pid).per_upload(before, uploads)


def lines(*, short: bool) -> Iterator[Line]:
    """Measure a table of 100 rows beside the start of a process that loads pyarrow."""
    uploads = 30 if short else 200
    rival = run("import pyarrow, pyarrow.csv, pyarrow.compute").cpu
    spent = measure(uploads, 100)
    beside = "Python that loads pyarrow"
    yield Line("100 rows until published", spent.total, "s CPU", rival, beside, Aim(0.08, of_value=True))
    yield Line("100 rows, the child alone", spent.children, "s CPU", rival, beside, Aim(0.02, of_value=True))


def main() -> None:
    """Print what each part takes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--uploads", type=int, default=100)
    parser.add_argument("--rows", type=int, default=100)
    options = parser.parse_args()
    began = time.perf_counter()
    spent = measure(options.uploads, options.rows)
    print(
        f"{options.uploads} uploads of {options.rows} rows, one after another: {time.perf_counter() - began:.0f} s"
    )
    print(
        f"web {spent.web:.4f}   worker {spent.worker:.4f}   child {spent.children:.4f}   all {spent.total:.4f} s CPU each"
    )


if __name__ == "__main__":
    main()
