"""The server's end of a child process that answers a question about a published file."""

import asyncio
from typing import Any

from app.core import child
from app.core.child import ChildEndedError, ChildRefusedError, Ending
from app.core.child_limits import MIB, ProcessLimits
from app.core.child_start import Program
from app.tabular.failures import failed, from_child, took_too_long
from app.tabular.statistics.requests import FileRequest
from app.tabular.types import TabularError

_MAX_LINE_BYTES = 64 * MIB


async def ask_of_file(request: FileRequest, limits: ProcessLimits) -> dict[str, Any]:
    """Have a child answer a question; it is killed if the caller is cancelled.

    Raises:
        TabularError: the file or the question is not one that can be answered, or the child did not finish. What it
            wrote is gone then.
    """
    program = Program("app.tabular.__main__", (request.task,))
    is_whole = False
    try:
        found: dict[str, Any] = await child.ask(
            program, request.to_json(), limits, max_line_bytes=_MAX_LINE_BYTES
        )
        is_whole = True
    except ChildRefusedError as refusal:
        raise from_child(refusal.error) from None
    except ChildEndedError as error:
        raise _ended(error.ending) from None
    finally:
        if not is_whole:
            await asyncio.to_thread(_tidy_up, request)
    return found


def _tidy_up(request: FileRequest) -> None:
    if request.target:
        request.target.unlink(missing_ok=True)
    if request.task == "statistics":
        request.copy.unlink(missing_ok=True)


def _ended(ending: Ending) -> TabularError:
    if ending is Ending.TOOK_TOO_LONG:
        return took_too_long()
    if ending is Ending.OUT_OF_MEMORY:
        return TabularError("out-of-memory", "The table needed more memory than may be used for it.")
    return failed()
