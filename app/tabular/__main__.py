"""The child process: converts what it is asked to, within the limits it is given (app/core/child.py)."""

import sys
from dataclasses import asdict

from app.core.child import begin, say
from app.tabular.process import out_of_memory, storage_failed
from app.tabular.types import ConversionRequest, Progress, TabularError


def main() -> None:
    """Convert what standard input asks for."""
    request = begin()
    try:
        # Not before the limits: they must hold for pyarrow's own memory and threads as well.
        from app.tabular.convert import convert  # noqa: PLC0415

        conversion = convert(ConversionRequest.from_json(request), on_progress=_report)
        say(result=conversion.to_json())
    except TabularError as error:
        say(error=error.to_json())
    except MemoryError:
        say(error=out_of_memory().to_json())
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        sys.stderr.write(f"conversion: {error}\n")
        say(error=storage_failed().to_json())


def _report(progress: Progress) -> None:
    say(progress=asdict(progress))


if __name__ == "__main__":
    main()
