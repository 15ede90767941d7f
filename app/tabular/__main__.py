"""The child process: converts or profiles what it is asked to, within its limits (app/core/confined.py)."""

import sys
from dataclasses import asdict
from typing import Any

from app.core.confined import begin, leave, say
from app.tabular.failures import out_of_memory, storage_failed
from app.tabular.types import ConversionRequest, Progress, TabularError


def main() -> None:
    """Do with what standard input asks for what the command line says."""
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
        sys.stderr.write(f"conversion: {error}\n")
        say(error=storage_failed().to_json())


def _do(task: str, request: ConversionRequest) -> dict[str, Any]:
    # Not before the limits: they must hold for pyarrow's own memory and threads as well.
    # Where numpy is installed, pyarrow would load it, for a third of the time that all takes to start; nothing uses it.
    sys.modules.setdefault("numpy", None)  # type: ignore[arg-type] # so says Python's documentation
    if task == "profile":
        from app.tabular.profile import profile  # noqa: PLC0415

        return asdict(profile(request, on_progress=_report))
    from app.tabular.convert import convert  # noqa: PLC0415

    return convert(request, on_progress=_report).to_json()


def _report(progress: Progress) -> None:
    say(progress=asdict(progress))


if __name__ == "__main__":
    main()
    leave()
