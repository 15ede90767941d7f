"""What differs between the systems that the service runs on: Linux and macOS."""

import fcntl
import os
import resource
from contextlib import suppress

MACOS_OPEN_FILES = 10_240
"""Most that macOS grants (OPEN_MAX), though it names no hard limit at all."""


def usable_processors() -> int:
    """Return how many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def write_through(file: int) -> None:
    """Return once the file's bytes will outlive a loss of power.

    macOS leaves them in the drive's cache at `fsync`, and has a request of its own that not every file system takes.
    """
    full_flush = getattr(fcntl, "F_FULLFSYNC", None)
    if full_flush is not None:
        with suppress(OSError):
            fcntl.fcntl(file, full_flush)
            return
    if hasattr(os, "fdatasync"):
        os.fdatasync(file)
    else:
        os.fsync(file)


def allow_many_files() -> None:
    """Raise the limit of open files and connections: 1 024 (256 on macOS) is less than one process serves."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (most, max(soft, MACOS_OPEN_FILES)):
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
            return
