"""Python's garbage collector, which is disabled while modules are imported (`app/cli.py`, `app/main.py`)."""

import gc


def start_collecting() -> None:
    """Enable garbage collection; objects that exist by now are exempt (`gc.freeze`), also at exit."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
