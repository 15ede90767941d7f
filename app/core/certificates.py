"""The certificates that servers we call are checked against."""

import ssl
from functools import cache


@cache
def trusted_certificates() -> ssl.SSLContext:
    """Return the system's, read once a process: reading them takes longer than all the rest of a start."""
    return ssl.create_default_context()
