"""The child process: one request in on standard input, progress and one result or error out, as lines of JSON.

It bounds itself before it reads a byte of the file, so that a hostile table costs this process and nothing else. If
whoever started it is gone, the next line of progress finds a broken pipe, and the process ends.
"""

import json
import os
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from app.tabular.process import ProcessLimits, out_of_memory, storage_failed
from app.tabular.types import ConversionRequest, Progress, TabularError

# Conversion gives way to whatever answers people.
_NICENESS = 10
# Between the signal that says "no more processor time" and the one that cannot be caught.
_GRACE_SECONDS = 5


def main() -> None:
    """Convert what standard input asks for."""
    job = json.loads(sys.stdin.buffer.readline())
    _bound(ProcessLimits(**job["limits"]))
    try:
        # Not before the limits: they must hold for pyarrow's own memory and threads as well.
        from app.tabular.convert import convert  # noqa: PLC0415

        conversion = convert(ConversionRequest.from_json(job["request"]), on_progress=_report)
        _say(result=conversion.to_json())
    except TabularError as error:
        _say(error=error.to_json())
    except MemoryError:
        _say(error=out_of_memory().to_json())
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        sys.stderr.write(f"conversion: {error}\n")
        _say(error=storage_failed().to_json())


def _bound(limits: ProcessLimits) -> None:
    os.nice(_NICENESS)
    seconds = limits.cpu_seconds
    for kind, soft, hard in (
        # Not RLIMIT_AS: it would count address space that libraries reserve and never use.
        (resource.RLIMIT_DATA, limits.memory_bytes, limits.memory_bytes),
        (resource.RLIMIT_CPU, seconds, seconds + _GRACE_SECONDS),
        (resource.RLIMIT_NOFILE, limits.open_files, limits.open_files),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(kind, (soft, hard))


def _report(progress: Progress) -> None:
    _say(progress=asdict(progress))


def _say(**message: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
