"""Work on untrusted bytes in a child process of its own, with limits on memory, processor and wall time.

One request goes in on standard input; progress, and then one result or error, come out on standard output, as lines of
JSON. `ask` is the server's end of it; `app/core/child_limits.py` and `app/core/isolation.py` are the child's.
"""

import asyncio
import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict
from enum import Enum, auto
from typing import Any

import structlog

from app.core import metrics, tracing
from app.core.child_limits import MIB, STOP_SIGNALS, ProcessLimits
from app.core.child_start import Child, Program, start

log = structlog.get_logger(__name__)


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
    what: Program | Sequence[str],
    request: Any,  # noqa: ANN401 - any JSON
    limits: ProcessLimits,
    *,
    on_progress: Callable[[Any], None] | None = None,
    max_line_bytes: int = MIB,
    files: Sequence[int] = (),
) -> Any:  # noqa: ANN401 - any JSON
    """Have a child do some work and return its result, unchecked; it is killed if the caller is cancelled.

    Args:
        what: what it runs, or a command to start by itself; that calls `begin` and `say`.
        request: what `begin` returns in the child.
        limits: what the child may use.
        on_progress: called with each report of the child, unchecked.
        max_line_bytes: longest line that the child may write.
        files: descriptors that it is given.

    Raises:
        ChildRefusedError: it said why it did not do it.
        ChildEndedError: it did not, and said nothing that can be read.
        OSError: no process can be started.
    """
    job = {"request": request, "limits": asdict(limits)}
    # The child itself can reach nobody.
    with tracing.span(f"child {' '.join(what.arguments)}" if isinstance(what, Program) else "child"):
        child = await start(what, job, files=files, max_line_bytes=max_line_bytes)
        try:
            async with asyncio.timeout(limits.wall_seconds):
                return await _answer(child, on_progress)
        except TimeoutError:
            raise ChildEndedError(Ending.TOOK_TOO_LONG) from None
        finally:
            await child.end()


async def _answer(child: Child, on_progress: Callable[[Any], None] | None) -> Any:  # noqa: ANN401 - any JSON
    """Read the child's answer until it ends: return its result, or raise its error."""
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
            tracing.annotate("process.memory.peak", peak)


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


def _ending(status: int) -> Ending:
    if status == -signal.SIGXCPU:
        return Ending.TOOK_TOO_LONG
    if status in {-number for number in STOP_SIGNALS}:
        return Ending.INTERRUPTED
    # Native code that is refused memory aborts; the system's own remedy for a lack of it is to kill.
    if status in {-signal.SIGKILL, -signal.SIGABRT}:
        return Ending.OUT_OF_MEMORY
    return Ending.UNEXPECTED
