"""How many files and connections a process may have open."""

import resource
from contextlib import suppress


def allow_many() -> None:
    """Raise the limit as far as the system lets us: 1 024 is less than the clients that one process serves."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
