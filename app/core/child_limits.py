"""The child process' side of `child.ask`: sets its limits, reads the job, and reports the result.

Imports little, for a child may have to be started anew: asyncio alone would take a third of the time.
"""

import json
import os
import resource
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

MIB = 1024 * 1024
# What the children do gives way to whatever answers people.
_NICENESS = 10
# Between the signal that says "no more processor time" and the one that cannot be caught.
_GRACE_SECONDS = 5
_LOOK_SECONDS = 0.1
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What a whole group of processes gets when the service is stopped; it says nothing about the work."""


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What one child may use.

    Attributes:
        memory_bytes: private memory of the child process.
        cpu_seconds: processor time, of all its threads together.
        wall_seconds: time until it is killed.
        open_files: file descriptors.
        file_bytes: what any file that it writes may have; None is no limit.
    """

    memory_bytes: int = 1024 * MIB
    cpu_seconds: int = 600
    wall_seconds: float = 900.0
    open_files: int = 64
    file_bytes: int | None = None


class ChildJob(NamedTuple):
    """What a child is asked to do.

    Attributes:
        request: what was asked, as JSON values.
        files: the descriptors that it was given for it.
    """

    request: Any
    files: list[int]


def begin() -> ChildJob:
    """Set the limits of this process, and return its job.

    Called by a child before it reads an untrusted byte; what is imported before counts towards its memory. If
    whoever started it is gone, the next thing it says finds a broken pipe.
    """
    for number in STOP_SIGNALS:
        # Whoever asked decides when the work ends, and kills.
        signal.signal(number, signal.SIG_IGN)
    job = json.loads(sys.stdin.buffer.readline())
    _bound(ProcessLimits(**job["limits"]))
    return ChildJob(job["request"], job["files"])


def say(**message: Any) -> None:  # noqa: ANN401 - any JSON
    """Send `progress=…`, `result=…` or `error=…` to whoever asked."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def say_memory(task: str) -> None:
    """Report the peak memory of this process, in bytes."""
    try:
        # What `getrusage` says is also of the process that started this one, where it was not forked (Linux).
        status = Path("/proc/self/status").read_text(encoding="ascii")
        peak = int(status.partition("VmHWM:")[2].split(maxsplit=1)[0]) * 1024
    except (OSError, ValueError, IndexError):
        peak = _maxrss_bytes()
    say(peak_bytes={"task": task, "bytes": peak})


def leave() -> NoReturn:
    """Exit this process after its last message.

    Not as Python would: on the way out libraries take down their threads and memory, which costs time; and if that
    failed, work that is done would pass for work that was not.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def watch_memory(limit_bytes: int) -> None:
    """Kill this process when its memory exceeds the limit (bytes), where the system does not enforce one."""

    def look() -> None:
        while _maxrss_bytes() <= limit_bytes:
            time.sleep(_LOOK_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=look, daemon=True).start()


def _maxrss_bytes() -> int:
    # Linux counts in kibibytes, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1024 if sys.platform == "linux" else 1)


def _bound(limits: ProcessLimits) -> None:
    os.nice(_NICENESS)
    if sys.platform != "linux":
        # There RLIMIT_DATA is taken and not heeded.
        watch_memory(limits.memory_bytes)
    seconds = limits.cpu_seconds
    file_bytes = resource.RLIM_INFINITY if limits.file_bytes is None else limits.file_bytes
    for kind, soft, hard in (
        # Not RLIMIT_AS: it would count address space that libraries reserve and never use.
        (resource.RLIMIT_DATA, limits.memory_bytes, limits.memory_bytes),
        (resource.RLIMIT_CPU, seconds, seconds + _GRACE_SECONDS),
        (resource.RLIMIT_NOFILE, limits.open_files, limits.open_files),
        # What is written beyond is refused as on a full disk: Python ignores the signal.
        (resource.RLIMIT_FSIZE, file_bytes, file_bytes),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(kind, (soft, hard))
