"""A module that a fork server may not serve: it starts a thread when it is loaded. Run by `test_isolation.py`."""

import os
import threading
import time

from app.core.child_limits import begin, leave, say


def preload() -> None:
    """Start a thread that goes on."""
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()


def main() -> None:
    """Say whose child this is."""
    begin()
    say(result=os.getppid())


if __name__ == "__main__":
    main()
    leave()
