"""Work on untrusted bytes in a child process of its own, with limits on memory, processor and wall time.

One request goes in on standard input; progress, and then one result or error, come out on standard output, as lines of
JSON. `ask` is the server's end of it; `app/core/child_limits.py` is the child's.
"""

import asyncio
import json
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from enum import Enum, auto
from pathlib import Path
from typing import Any

import structlog

from app.core import metrics
from app.core.child_limits import MIB, STOP_SIGNALS, ProcessLimits

log = structlog.get_logger(__name__)

_CHECKOUT = Path(__file__).parents[2]


class Ending(Enum):
    """How a child can end without an answer."""

    OUT_OF_MEMORY = auto()
    TOOK_TOO_LONG = auto()
    INTERRUPTED = auto()
    UNEXPECTED = auto()


class ChildEndedError(Exception):
    """The child ended without an answer."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.name)
        self.ending = ending


class ChildRefusedError(Exception):
    """The child answered with an error; `error` is what it said, unchecked."""

    def __init__(self, error: Any) -> None:  # noqa: ANN401 - any JSON
        super().__init__("the child refused")
        self.error = error


async def ask(
    command: Sequence[str],
    request: Any,  # noqa: ANN401 - any JSON
    limits: ProcessLimits,
    *,
    on_progress: Callable[[Any], None] | None = None,
    max_line_bytes: int = MIB,
    pass_fds: Sequence[int] = (),
) -> Any:  # noqa: ANN401 - any JSON
    """Have a command do some work and return its result, unchecked; it is killed if the caller is cancelled.

    Args:
        command: what to start; it calls `begin` and `say`.
        request: what `begin` returns in the child.
        limits: what the child may use.
        on_progress: called with each report of the child, unchecked.
        max_line_bytes: longest line that the child may write.
        pass_fds: file descriptors that it inherits.

    Raises:
        ChildRefusedError: it said why it did not do it.
        ChildEndedError: it did not, and said nothing that can be read.
    """
    # The child's standard error stays the server's: a traceback belongs into the log, not into an answer.
    child = await asyncio.create_subprocess_exec(
        *command,
        stdin=PIPE,
        stdout=PIPE,
        limit=max_line_bytes,
        cwd=_CHECKOUT,
        # Where numpy is installed, pyarrow loads it, and its linear algebra would start threads. pyarrow's allocator
        # would claim a gibibyte at once, all of which counts against the limit on memory.
        env={
            "LANG": "C.UTF-8",
            "PYTHONUTF8": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MIMALLOC_ARENA_EAGER_COMMIT": "0",
            "MALLOC_ARENA_MAX": "1",
        },
        start_new_session=True,
        pass_fds=pass_fds,
    )
    try:
        async with asyncio.timeout(limits.wall_seconds):
            await _send(child, {"request": request, "limits": asdict(limits)})
            return await _answer(child, on_progress)
    except TimeoutError:
        raise ChildEndedError(Ending.TOOK_TOO_LONG) from None
    finally:
        await _end(child)


async def _send(child: Process, job: dict[str, Any]) -> None:
    assert child.stdin is not None  # noqa: S101 - it was made a pipe
    # A child that is gone already has said why by the way it ended.
    with suppress(BrokenPipeError, ConnectionResetError):
        child.stdin.write(json.dumps(job).encode() + b"\n")
        await child.stdin.drain()
    child.stdin.close()


async def _answer(child: Process, on_progress: Callable[[Any], None] | None) -> Any:  # noqa: ANN401 - any JSON
    """Read the child's answer until it ends: return its result, or raise its error."""
    assert child.stdout is not None  # noqa: S101 - it was made a pipe
    results: list[Any] = []
    while message := await _message(child.stdout):
        if "error" in message:
            raise ChildRefusedError(message["error"])
        if "result" in message:
            results.append(message["result"])
        elif "progress" in message and on_progress:
            on_progress(message["progress"])
        elif "peak_bytes" in message:
            _note_memory(message["peak_bytes"])
    status = await child.wait()
    if status == 0 and results:
        return results[-1]
    log.warning("a child process ended without an answer", status=status)
    raise ChildEndedError(_ending(status))


def _note_memory(found: Any) -> None:  # noqa: ANN401 - any JSON
    """Note what a child says that it used, if it says so as ours do."""
    match found:
        case {"task": "convert" | "profile" | "redraw" as task, "bytes": int() as peak}:
            metrics.CHILD_MEMORY.observe(peak, task)


async def _message(stdout: asyncio.StreamReader) -> dict[str, Any] | None:
    try:
        line = await stdout.readline()
        message = json.loads(line) if line else None
    except ValueError:
        # No JSON, or a line over the limit.
        raise ChildEndedError(Ending.UNEXPECTED) from None
    if line and not (isinstance(message, dict) and message):
        raise ChildEndedError(Ending.UNEXPECTED)
    return message


async def _end(child: Process) -> None:
    """Kill the child and every process of its group, and wait for it."""
    # On macOS a group whose processes have all ended may not be signalled.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    await child.wait()


def _ending(status: int) -> Ending:
    if status == -signal.SIGXCPU:
        return Ending.TOOK_TOO_LONG
    if status in {-number for number in STOP_SIGNALS}:
        return Ending.INTERRUPTED
    # Native code that is refused memory aborts; the system's own remedy for a lack of it is to kill.
    if status in {-signal.SIGKILL, -signal.SIGABRT}:
        return Ending.OUT_OF_MEMORY
    return Ending.UNEXPECTED
