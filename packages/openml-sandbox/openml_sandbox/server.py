"""How the sandbox is served: one configuration of uvicorn, whoever starts it."""

import socket
from typing import Any

import uvicorn

from openml_sandbox.framing import StrictHttpProtocol

GRACEFUL_SECONDS = 30
"""How long running requests may take to end when the server is told to stop."""


def configure(application: Any) -> uvicorn.Config:  # noqa: ANN401 - any ASGI application
    """Return the configuration of a server for an application."""
    return uvicorn.Config(
        application,
        http=StrictHttpProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )


def run(application: Any, listener: socket.socket) -> None:  # noqa: ANN401 - as above
    """Serve an application in this process until it is told to stop.

    Raises:
        KeyboardInterrupt: SIGINT stopped it.
        SystemExit: With 1: the application could not start; what it lacks stands in the log.
    """
    server = uvicorn.Server(configure(application))
    server.run([listener])
    if not server.started:
        raise SystemExit(1)
