"""Conversion and profiling in a child process with limits on memory and time, so that no table exhausts the server."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from app.core import child
from app.core.child import ChildEndedError, ChildRefusedError, Ending
from app.core.child_limits import ProcessLimits
from app.tabular.disk import remove_workspace
from app.tabular.failures import failed, out_of_memory, took_too_long
from app.tabular.types import (
    MIB,
    Conversion,
    ConversionRequest,
    Profile,
    Progress,
    ProgressSink,
    TabularError,
)

# The longest line is the result, which lists all columns with their labels.
_MAX_LINE_BYTES = 64 * MIB

_Answer = TypeVar("_Answer")


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
    return await ask_child(_command("convert"), request, limits or ProcessLimits(), on_progress)


async def profile_in_process(
    request: ConversionRequest, limits: ProcessLimits | None = None, on_progress: ProgressSink | None = None
) -> Profile:
    """Profile a file in a child process, which writes the profile to `request.target`, for `read_profile` to read.

    Args:
        request: what `convert_in_process` would be asked, but for the target.
        limits: what the child may use.
        on_progress: called with each report of the child.

    Raises:
        TabularError: the file cannot be read as a table, or as `convert_in_process`. Nothing is left at the target.
    """

    def read(result: Any) -> Profile:  # noqa: ANN401 - any JSON
        return Profile(**{name: int(result[name]) for name in Profile.__slots__})

    return await _ask(_command("profile"), request, limits or ProcessLimits(), on_progress, read)


def _command(task: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "app.tabular", task)


async def ask_child(
    command: Sequence[str],
    request: ConversionRequest,
    limits: ProcessLimits,
    on_progress: ProgressSink | None = None,
) -> Conversion:
    """Have a command convert a file, and validate its answer.

    Raises:
        TabularError: as `convert_in_process`.
    """
    return await _ask(command, request, limits, on_progress, Conversion.from_json)


async def _ask(
    command: Sequence[str],
    request: ConversionRequest,
    limits: ProcessLimits,
    on_progress: ProgressSink | None,
    read: Callable[[Any], _Answer],
) -> _Answer:
    """Send a request to a command, and parse its answer with `read`.

    Raises:
        TabularError: as `convert_in_process`.
    """

    def report(progress: Any) -> None:  # noqa: ANN401 - any JSON
        if on_progress:
            on_progress(Progress(**progress))

    answer = None
    try:
        answer = read(await _ask_twice(command, request, limits, report))
    except ChildRefusedError as refusal:
        raise _refused(refusal) from None
    except ChildEndedError as error:
        raise _ended(error.ending) from None
    except (ValueError, TypeError, KeyError):
        raise failed() from None
    finally:
        if answer is None:
            await asyncio.to_thread(request.target.unlink, missing_ok=True)
            # A child that was killed left it.
            await asyncio.to_thread(remove_workspace, request)
    return answer


async def _ask_twice(
    command: Sequence[str],
    request: ConversionRequest,
    limits: ProcessLimits,
    report: Callable[[Any], None],
) -> Any:  # noqa: ANN401 - any JSON
    """Ask, and retry once if the child died: memory that other processes use may be the cause the first time."""

    async def ask() -> Any:  # noqa: ANN401 - any JSON
        # One that was killed before left it.
        await asyncio.to_thread(remove_workspace, request)
        return await child.ask(
            command, request.to_json(), limits, on_progress=report, max_line_bytes=_MAX_LINE_BYTES
        )

    try:
        return await ask()
    except ChildEndedError as error:
        if error.ending not in {Ending.OUT_OF_MEMORY, Ending.UNEXPECTED}:
            raise
    return await ask()


def _refused(refusal: ChildRefusedError) -> TabularError:
    try:
        return TabularError.from_json(refusal.error)
    except (ValueError, TypeError, KeyError):
        return failed()


def _ended(ending: Ending) -> TabularError:
    if ending is Ending.TOOK_TOO_LONG:
        return took_too_long()
    if ending is Ending.INTERRUPTED:
        return TabularError("interrupted", "The conversion was interrupted.", hint="Try again.")
    return out_of_memory() if ending is Ending.OUT_OF_MEMORY else failed()
