"""Conversion in a child process of its own, with limits on memory and time, so that no table can harm the server."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.tabular.types import MIB, Conversion, ConversionRequest, Progress, ProgressSink, TabularError

_CHECKOUT = Path(__file__).parents[2]
# The longest line is the result, which lists all columns with their labels.
_MAX_LINE_BYTES = 64 * MIB


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What one conversion may use.

    Attributes:
        memory_bytes: private memory of the child process.
        cpu_seconds: processor time, of all its threads together.
        wall_seconds: time until it is killed.
        open_files: file descriptors.
    """

    memory_bytes: int = 1024 * MIB
    cpu_seconds: int = 600
    wall_seconds: float = 900.0
    open_files: int = 64


async def convert_in_process(
    request: ConversionRequest, limits: ProcessLimits | None = None, on_progress: ProgressSink | None = None
) -> Conversion:
    """Convert a file in a child process; it is killed if the caller is cancelled.

    Args:
        request: what to convert.
        limits: what the child may use.
        on_progress: called with each report of the child.

    Raises:
        TabularError: the table cannot be published, or the child did not finish (`out-of-memory`, `took-too-long`,
            `storage-failed`, `conversion-failed`). Nothing is left at the target.
    """
    command = (sys.executable, "-m", "app.tabular")
    return await ask_child(command, request, limits or ProcessLimits(), on_progress)


async def ask_child(
    command: Sequence[str],
    request: ConversionRequest,
    limits: ProcessLimits,
    on_progress: ProgressSink | None = None,
) -> Conversion:
    """Have a command convert a file, and believe nothing that it says unchecked.

    Raises:
        TabularError: as `convert_in_process`.
    """
    # The child's standard error stays the server's: a traceback belongs into the log, not into an answer.
    child = await asyncio.create_subprocess_exec(
        *command,
        stdin=PIPE,
        stdout=PIPE,
        limit=_MAX_LINE_BYTES,
        cwd=_CHECKOUT,
        # Where numpy is installed, pyarrow loads it, and its linear algebra would start threads.
        env={"LANG": "C.UTF-8", "PYTHONUTF8": "1", "OPENBLAS_NUM_THREADS": "1"},
        start_new_session=True,
    )
    conversion = None
    try:
        async with asyncio.timeout(limits.wall_seconds):
            await _ask(child, request, limits)
            conversion = await _answer(child, on_progress)
            return conversion
    except TimeoutError:
        raise took_too_long() from None
    finally:
        await _end(child)
        if conversion is None:
            await asyncio.to_thread(request.target.unlink, missing_ok=True)


async def _ask(child: Process, request: ConversionRequest, limits: ProcessLimits) -> None:
    assert child.stdin is not None  # noqa: S101 - it was made a pipe
    job = {"request": request.to_json(), "limits": asdict(limits)}
    # A child that is gone already has said why by the way it ended.
    with suppress(BrokenPipeError, ConnectionResetError):
        child.stdin.write(json.dumps(job).encode() + b"\n")
        await child.stdin.drain()
    child.stdin.close()


async def _answer(child: Process, on_progress: ProgressSink | None) -> Conversion:
    """Read what the child says until it ends, and make one of two things of it: a conversion or an error."""
    assert child.stdout is not None  # noqa: S101 - it was made a pipe
    result: Mapping[str, Any] | None = None
    try:
        while line := await child.stdout.readline():
            message = json.loads(line)
            if "error" in message:
                raise TabularError.from_json(message["error"])
            if "result" in message:
                result = message["result"]
            elif on_progress:
                on_progress(Progress(**message["progress"]))
        status = await child.wait()
        if status == 0 and result is not None:
            return Conversion.from_json(result)
    except (ValueError, TypeError, KeyError):
        raise _failed() from None
    raise _ending(status)


async def _end(child: Process) -> None:
    """Make sure that the child and whatever it started are gone."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    await child.wait()


def _ending(status: int) -> TabularError:
    if status == -signal.SIGXCPU:
        return took_too_long()
    # Native code that is refused memory aborts; the system's own remedy for a lack of it is to kill.
    if status in {-signal.SIGKILL, -signal.SIGABRT}:
        return out_of_memory()
    return _failed()


def out_of_memory() -> TabularError:
    """Return the error for a conversion that needed more memory than it may use."""
    return TabularError(
        "out-of-memory",
        "The conversion needed more memory than it may use.",
        hint="Very long rows or cells are the usual cause.",
    )


def took_too_long() -> TabularError:
    """Return the error for a conversion that needed more time than it may use."""
    return TabularError(
        "took-too-long",
        "The conversion took longer than it may.",
        hint="Try again later, or publish the table in smaller parts.",
    )


def storage_failed() -> TabularError:
    """Return the error for a conversion that could not read or write its files."""
    return TabularError(
        "storage-failed", "The server could not read or write the file.", hint="Try again later."
    )


def _failed() -> TabularError:
    return TabularError(
        "conversion-failed",
        "The conversion ended unexpectedly.",
        hint="Save the table anew as UTF-8 text; if that does not help, report it.",
    )
