"""A process that stands still: it keeps its port and its connections, and answers nobody."""

import os
import signal
import subprocess
from typing import Any


def freeze(process: "subprocess.Popen[Any]") -> None:
    """Stop a child, and return once all of its threads stand: until then it may answer what it is asked."""
    process.send_signal(signal.SIGSTOP)
    # Whether it ended instead is its owner's to find.
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
