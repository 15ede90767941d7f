"""Conversion and profiling in a child process with limits on memory and time, so that no table exhausts the server."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from app.core import child
from app.core.child import ChildEndedError, ChildRefusedError, Ending
from app.core.child_limits import ProcessLimits
from app.core.child_start import Program
from app.tabular.disk import remove_workspace
from app.tabular.failures import failed, from_child, out_of_memory, took_too_long
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

CONVERT = Program("app.tabular.__main__", ("convert",))
PROFILE = Program("app.tabular.__main__", ("profile",))

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
    return await ask_child(CONVERT, request, limits or ProcessLimits(), on_progress)


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

    return await _ask(PROFILE, request, limits or ProcessLimits(), on_progress, read)


async def ask_child(
    what: Program | Sequence[str],
    request: ConversionRequest,
    limits: ProcessLimits,
    on_progress: ProgressSink | None = None,
) -> Conversion:
    """Have a child convert a file, and validate its answer.

    Raises:
        TabularError: as `convert_in_process`.
    """
    return await _ask(what, request, limits, on_progress, Conversion.from_json)


async def _ask(
    what: Program | Sequence[str],
    request: ConversionRequest,
    limits: ProcessLimits,
    on_progress: ProgressSink | None,
    read: Callable[[Any], _Answer],
) -> _Answer:
    """Send a request to a child process, and return its answer as parsed by `read`.

    Raises:
        TabularError: as `convert_in_process`.
    """

    def report(progress: Any) -> None:  # noqa: ANN401 - any JSON
        if on_progress:
            on_progress(Progress(**progress))

    answer = None
    try:
        answer = read(await _ask_twice(what, request, limits, report))
    except ChildRefusedError as refusal:
        raise from_child(refusal.error) from None
    except ChildEndedError as error:
        raise _ended(error.ending) from None
    except (ValueError, TypeError, KeyError):
        raise failed() from None
    finally:
        # The child may not remove files beside those that it was given, and one that was killed could not.
        await asyncio.to_thread(_tidy_up, request, keep_target=answer is not None)
    return answer


async def _ask_twice(
    what: Program | Sequence[str],
    request: ConversionRequest,
    limits: ProcessLimits,
    report: Callable[[Any], None],
) -> Any:  # noqa: ANN401 - any JSON
    """Run the request in a child; retry once if it was killed, since other processes' memory use may have caused it."""
    ask = partial(
        child.ask, what, request.to_json(), limits, on_progress=report, max_line_bytes=_MAX_LINE_BYTES
    )
    # A process that was killed before left it.
    await asyncio.to_thread(remove_workspace, request)
    try:
        return await ask()
    except ChildEndedError as error:
        if error.ending not in {Ending.OUT_OF_MEMORY, Ending.UNEXPECTED}:
            raise
    await asyncio.to_thread(remove_workspace, request)
    return await ask()


def _tidy_up(request: ConversionRequest, *, keep_target: bool) -> None:
    remove_workspace(request)
    if not keep_target:
        request.target.unlink(missing_ok=True)


def _ended(ending: Ending) -> TabularError:
    if ending is Ending.TOOK_TOO_LONG:
        return took_too_long()
    if ending is Ending.INTERRUPTED:
        return TabularError("interrupted", "The conversion was interrupted.", hint="Try again.")
    return out_of_memory() if ending is Ending.OUT_OF_MEMORY else failed()
