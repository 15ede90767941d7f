"""Python's collector of garbage, which rests while modules are imported (`app/cli.py`, `app/main.py`)."""

import gc


def start_collecting() -> None:
    """Let garbage be collected from here on, and never look at what is there by now, not even at the end."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
