"""The child process: converts or profiles what it is asked to, within its limits (app/core/child_limits.py)."""

import errno
import sys
from dataclasses import asdict
from typing import Any

from app.core.child_limits import begin, leave, say, say_memory
from app.tabular.disk import is_of_disk
from app.tabular.failures import no_room, out_of_memory, storage_failed
from app.tabular.types import ConversionRequest, Progress, TabularError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def main() -> None:
    """Run the task named on the command line (`convert` or `profile`) on the request read from standard input."""
    request = begin()
    try:
        say(result=_do(sys.argv[1], ConversionRequest.from_json(request)))
    except TabularError as error:
        say(error=error.to_json())
    except MemoryError:
        say(error=out_of_memory().to_json())
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        if not is_of_disk(error):
            raise
        say(error=_storage_error(error, request).to_json())
    say_memory(sys.argv[1])


def _storage_error(error: OSError, request: str) -> TabularError:
    """Return the error to answer; its `fault`, for the server's log, names the errno and the file."""
    name = errno.errorcode.get(error.errno or 0, str(error.errno))
    # What cannot be written names no file.
    path = error.filename or ConversionRequest.from_json(request).target
    fault = f"{name} {error.strerror}: {path}"
    return no_room(fault) if error.errno in _FULL else storage_failed(fault)


def _do(task: str, request: ConversionRequest) -> dict[str, Any]:
    # Not before the limits: they must hold for pyarrow's own memory and threads as well.
    # Where numpy is installed, pyarrow would load it, for a third of the time that all takes to start; nothing uses it.
    sys.modules.setdefault("numpy", None)  # type: ignore[arg-type] # so says Python's documentation
    if task == "profile":
        from app.tabular.profile.run import profile  # noqa: PLC0415 - after the limits are set

        return asdict(profile(request, on_progress=_report))
    from app.tabular.convert import convert  # noqa: PLC0415 - after the limits are set

    return convert(request, on_progress=_report).to_json()


def _report(progress: Progress) -> None:
    say(progress=asdict(progress))


if __name__ == "__main__":
    main()
    leave()
