"""How long starts take, beside a bare FastAPI application and an earlier commit, and what idle processes hold.

    .venv/bin/python -m benchmarks.start [--before CHECKOUT] [--starts 9]

Every figure is the median of starts that take turns, so that a busy machine is busy for all of them. CHECKOUT is another
checkout of this project with its own `.venv`. What counts is an environment of `requirements.txt` alone, as production
has it: libraries of the tests (rich among them) are imported by others where they are found.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.conftest import find_free_port

COMMANDS = Path(sys.executable).parent
BARE = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/health/live")
async def live() -> dict[str, str]:
    return {"status": "ok"}
"""
SETTLE_SECONDS = 5.0
"""In which an idle process has done what it does once."""


class Cost(NamedTuple):
    """Seconds by the clock, which other processes lengthen, and seconds of the processor."""

    clock: float
    processor: float


def start(command: list[str], folder: str, **settings: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        env={
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "",
            "DATA_DIR": folder,
            "LOG_FORMAT": "json",
            **settings,
        },
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def to_first_answer(command: list[str], folder: str, port: int) -> Cost:
    """Return what a server takes from its start to its first answer."""
    began = time.perf_counter()
    with start(command, folder, PORT=str(port)) as process:
        while True:
            if process.poll() is not None:
                raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=5):
                    cost = Cost(time.perf_counter() - began, processor_seconds(process.pid))
            except (urllib.error.URLError, OSError):
                time.sleep(0.002)
                continue
            process.terminate()
            return cost


def processor_seconds(pid: int) -> float:
    """Return what a process took of the processor so far, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bare(folder: str) -> Cost:
    Path(folder, "bare.py").write_text(BARE)
    port = find_free_port()
    command = [sys.executable, "-m", "uvicorn", "bare:app", f"--port={port}", "--log-level=warning"]
    return to_first_answer(command, folder, port)


def serve(commands: Path) -> Callable[[str], Cost]:
    return lambda folder: to_first_answer([str(commands / "openml-web"), "serve"], folder, find_free_port())


def version(commands: Path) -> Callable[[str], Cost]:
    def measure(folder: str) -> Cost:
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        with start([str(commands / "openml-web"), "--version"], folder) as process:
            process.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Cost(time.perf_counter() - began, used)

    return measure


def migrate(commands: Path, folder: str) -> None:
    subprocess.run(
        [str(commands / "openml-web"), "migrate"],
        env={**os.environ, "DATA_DIR": folder},
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def worker_memory(commands: Path, folder: str) -> float:
    """Return the megabytes of an idle worker."""
    with start([str(commands / "openml-web"), "worker"], folder) as process:
        time.sleep(SETTLE_SECONDS)
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        process.terminate()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--before", type=Path, help="another checkout, with its own .venv")
    arguments.add_argument("--starts", type=int, default=9)
    chosen = arguments.parse_args()
    sides = {"": COMMANDS}
    if chosen.before:
        sides[", before"] = (chosen.before / ".venv/bin").resolve()
    with tempfile.TemporaryDirectory() as root:
        folders = {side: tempfile.mkdtemp(dir=root) for side in sides}
        measures: dict[str, Callable[[], Cost]] = {"bare FastAPI, first answer": partial(bare, root)}
        for side, commands in sides.items():
            # Each has a database of its own: an earlier commit refuses that of a later one.
            migrate(commands, folders[side])
            measures[f"openml-web serve, first answer{side}"] = partial(serve(commands), folders[side])
            measures[f"openml-web --version{side}"] = partial(version(commands), folders[side])
        found: dict[str, list[Cost]] = {name: [] for name in measures}
        for measure in measures.values():
            measure()  # compiles what is not compiled, and reads it into the page cache
        for _ in range(chosen.starts):
            for name, measure in measures.items():
                found[name].append(measure())
        print(f"{'medians':45}  clock  processor")
        for name, costs in found.items():
            clock, processor = (statistics.median(column) for column in zip(*costs, strict=True))
            print(f"{name:45} {clock:6.3f} {processor:6.3f} s")
        for side, commands in sides.items():
            print(f"{f'idle worker{side}':45} {worker_memory(commands, folders[side]):6.0f} MB")


if __name__ == "__main__":
    main()
