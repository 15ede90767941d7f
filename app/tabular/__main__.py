"""The child process: converts or profiles what it is asked to, within its limits (app/core/child_limits.py)."""

import errno
import gc
import importlib
import json
import sys
from dataclasses import asdict
from typing import Any

from app.core.child_limits import begin, leave, say, say_memory
from app.core.isolation import isolate
from app.tabular.disk import is_of_disk
from app.tabular.failures import no_room, out_of_memory, storage_failed
from app.tabular.types import ConversionRequest, Progress, TabularError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_THREAD = "can't start new thread"
"""What Python says where there is no memory left for the stack of one."""
_COMMON = (
    "convert", "profile.run", "threads",
    "readers.opening_arff", "readers.opening_columnar", "readers.opening_csv", "readers.opening_json",
)  # fmt: skip
"""Modules of `app.tabular` that most tables need."""
_OF_PUBLISHED = ("statistics", "rows", "export")
"""Tasks on files that OpenML has; the others are `convert` and `profile`."""


def preload() -> None:
    """Import what most tables need, and use it, for a process that children are forked from."""
    _keep_numpy_out()
    for name in _COMMON:
        importlib.import_module(f"app.tabular.{name}")
    from app.tabular.sample import convert_sample  # noqa: PLC0415 - as above

    convert_sample()


def main(task: str) -> None:
    """Run a task on the request read from standard input."""
    request = begin().request
    try:
        say(result=_asked(request) if task in _OF_PUBLISHED else _do(task, _isolated(task, request)))
    except TabularError as error:
        say(error=error.to_json())
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and str(error) != _NO_THREAD:
            raise
        say(error=out_of_memory().to_json())
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        if not is_of_disk(error):
            raise
        say(error=_storage_error(error, request).to_json())
    say_memory(task)


def _isolated(task: str, line: str) -> ConversionRequest:
    """Return the request, with no file left to this process but the request's."""
    request = ConversionRequest.from_json(line)
    reads, writes = [request.source], [request.target]
    if request.plans:
        (writes if task == "profile" else reads).append(request.plans)
    for path in writes:
        path.touch()
    request.workspace.mkdir(exist_ok=True)
    isolate(reads=reads, writes=writes, folders=[request.workspace])
    return request


def _storage_error(error: OSError, request: str) -> TabularError:
    """Return the error to answer; its `fault`, for the server's log, names the errno and the file."""
    name = errno.errorcode.get(error.errno or 0, str(error.errno))
    # What cannot be written names no file.
    path = error.filename or json.loads(request)["target"]
    fault = f"{name} {error.strerror}: {path}"
    return no_room(fault) if error.errno in _FULL else storage_failed(fault)


def _asked(request: str) -> dict[str, Any]:
    _keep_numpy_out()
    from app.tabular.statistics.tasks import answer  # noqa: PLC0415 - after the limits are set

    return answer(request)


def _do(task: str, request: ConversionRequest) -> dict[str, Any]:
    # Not before the limits: they must hold for pyarrow's own memory and threads as well.
    _keep_numpy_out()
    from app.tabular.threads import start_threads  # noqa: PLC0415 - after the limits are set

    start_threads()
    if task == "profile":
        collect_rarely()
        from app.tabular.profile.run import profile  # noqa: PLC0415 - after the limits are set

        return asdict(profile(request, on_progress=_report))
    from app.tabular.convert import convert  # noqa: PLC0415 - after the limits are set

    return convert(request, on_progress=_report).to_json()


def collect_rarely() -> None:
    """Look for cycles of objects a thirtieth as often: profiles have few, and keep much of thousands of columns."""
    gc.set_threshold(20_000, 50, 50)


def _keep_numpy_out() -> None:
    # Where it is installed, pyarrow would load it, for a third of the time that all takes to start; nothing uses it.
    sys.modules.setdefault("numpy", None)  # type: ignore[arg-type] # so says Python's documentation


def _report(progress: Progress) -> None:
    say(progress=asdict(progress))


if __name__ == "__main__":
    main(*sys.argv[1:])
    leave()
