"""Processes that are measured: what they took of the processor, and what they hold."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import httpx

from tests.children import children_of, is_fork_server

TICKS = os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """Seconds by the clock, seconds of the processor, and mebibytes at the peak."""

    wall: float
    cpu: float
    peak: float


def run(program: str, *arguments: str, **environment: str) -> Cost:
    """Run a Python program as a process of its own, and return its cost and that of its children.

    Nothing of this process's environment but the search path reaches it.
    """
    given = {"PATH": os.environ["PATH"], "MIMALLOC_ARENA_EAGER_COMMIT": "0", **environment}
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", program, *arguments], env=given)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise SystemExit(f"failed: {' '.join(arguments)}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def in_turns(*sides: Callable[[], Cost], rounds: int = 3) -> list[Cost]:
    """Run the sides in turns, so that a busy machine is busy for all; return of each the least it took."""
    costs = [[side() for side in sides] for _ in range(rounds)]
    return [Cost(*map(min, zip(*of_one, strict=True))) for of_one in zip(*costs, strict=True)]


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found += family(int(path.parent.name))
    return found


def cpu_seconds(pid: int, *, with_ended_children: bool = False) -> float:
    """Return what one process took of the processor so far, and its children that have ended if asked."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    counted = fields[11:15] if with_ended_children else fields[11:13]
    return sum(map(int, counted)) / TICKS


def memory_mb(pid: int) -> float:
    """Return the resident memory of one process in mebibytes; nothing where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0) / 1024


@contextmanager
def started(
    command: list[str], environment: dict[str, str], url: str, *, talks: bool = False
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a Python program that serves, wait until it answers there, whatever it answers, and end it.

    One that `talks` is spoken to over its standard input and output.
    """
    with subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE if talks else None,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            while True:
                try:
                    httpx.get(url, timeout=1)
                    break
                except httpx.HTTPError:
                    if process.poll() is not None:
                        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}") from None
                    time.sleep(0.02)
            yield process
        finally:
            process.terminate()


@dataclass(frozen=True)
class Spent:
    """Processor time in seconds."""

    web: float
    worker: float
    children: float

    @property
    def total(self) -> float:
        """Return all of it."""
        return self.web + self.worker + self.children

    def per_upload(self, before: "Spent", uploads: int) -> "Spent":
        """Return what one upload took since then."""
        return Spent(
            (self.web - before.web) / uploads,
            (self.worker - before.worker) / uploads,
            (self.children - before.children) / uploads,
        )


def spent_by(web: int, worker: int) -> Spent:
    """Return what the processes have spent so far; a fork server itself counts as children."""
    servers = [pid for pid in children_of(worker) if is_fork_server(pid)]
    own, waited_for = zip(*map(_seconds, servers), strict=True) if servers else ((), ())
    worker_itself, spawned = _seconds(worker)
    return Spent(_seconds(web)[0], worker_itself, sum(own) + sum(waited_for) + spawned)


def _seconds(pid: int) -> tuple[float, float]:
    """Return the processor time of a process, and of its children that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system, children_user, children_system = map(int, fields[11:15])
    return (user + system) / TICKS, (children_user + children_system) / TICKS
