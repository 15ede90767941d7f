"""The child process: redraws the picture in the open file it is given, within its limits (app/core/child_limits.py)."""

import base64
import os

from app.core.child_limits import begin, leave, say, say_memory
from app.core.isolation import isolate


def preload() -> None:
    """Import what pictures need, for a process that children are forked from."""
    import app.imaging.redraw  # noqa: F401, PLC0415 - a process of its own does so within its limits


def main() -> None:
    """Redraw the picture that standard input asks for."""
    job = begin()
    isolate()
    # Not before the limits: they must hold for Pillow's own memory as well.
    from app.imaging.redraw import Refusal, RefusedPictureError, redraw  # noqa: PLC0415 - after the limits are set

    try:
        with os.fdopen(job.files[0], "rb") as source:
            source.seek(0)
            drawing = redraw(source, max_pixels=job.request["max_pixels"])
        say(result={"suffix": drawing.suffix, "content": base64.b64encode(drawing.content).decode()})
    except RefusedPictureError as error:
        say(error=error.refusal)
    except MemoryError:
        say(error=Refusal.TOO_LARGE)
    say_memory("redraw")


if __name__ == "__main__":
    main()
    leave()
