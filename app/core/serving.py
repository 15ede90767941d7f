"""How every HTTP server of ours is started: one configuration of uvicorn, on a socket that is bound beforehand."""

import errno
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn

from app.core.settings import SettingsError
from app.core.tasks import in_background

GRACEFUL_SECONDS = 30
"""How long running requests may take to end when a server is told to stop."""
BACKLOG = 2048
"""Connections that wait while all processes are busy, or are starting."""
BACKGROUND_REQUESTS = 20
"""Connections of a `BackgroundServer`; more are answered 503."""
REASONS = {
    errno.EADDRINUSE: "another program listens there",
    errno.EACCES: "the system reserves the port for its administrator",
    errno.EADDRNOTAVAIL: "this machine does not have the address",
}


@contextmanager
def listening(host: str, port: int, *, port_setting: str) -> Iterator[socket.socket]:
    """Yield a listening socket, so that an address that cannot be had is known before anything is started.

    Who connects from here on waits until the server has started.

    Raises:
        SettingsError: nobody can listen there; its text names the address and what to set.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on: 40 ms for each answer of two parts.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            # Two that start at once can both bind, and only one of them listens.
            listener.listen(BACKLOG)
        except UnicodeError:
            raise SettingsError(f"HOST is no address and no name of this machine: {host}") from None
        except OSError as error:
            raise SettingsError(_sentence(host, port, port_setting, error)) from None
        listener.set_inheritable(True)
        yield listener


def _sentence(host: str, port: int, port_setting: str, error: OSError) -> str:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    reason = REASONS.get(error.errno or 0) or error.strerror or str(error)
    wrong = port_setting if error.errno in {errno.EADDRINUSE, errno.EACCES} else "HOST"
    return f"Cannot listen on {address}: {reason}. Set {wrong} to another."


def configure(application: Any, **choices: Any) -> uvicorn.Config:  # noqa: ANN401 - ASGI applications and uvicorn's choices
    """Return the configuration of a server for an application, or for the name of one."""
    return uvicorn.Config(
        application,
        # By its name: clients on systems without httptools never import it.
        http="app.core.http1:HttpProtocol",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        # Whose `X-Forwarded-For` counts is TRUSTED_PROXIES' to say.
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        **choices,
    )


Announce = Callable[[], Coroutine[Any, Any, None]]
"""Runs beside a server, from the moment that it takes requests."""


class _Server(uvicorn.Server):
    """Lets it be announced that it has started."""

    def __init__(self, config: uvicorn.Config, announce: Announce | None) -> None:
        super().__init__(config)
        self._announce = announce

    async def main_loop(self) -> None:
        """Serve until told to stop."""
        async with in_background(*([self._announce()] if self._announce else [])):
            await super().main_loop()


class BackgroundServer:
    """A server in a thread of its own, beside the one of the process, which signals are for."""

    def __init__(self, application: Any) -> None:  # noqa: ANN401 - any ASGI application
        self._server = uvicorn.Server(
            configure(application, lifespan="off", limit_concurrency=BACKGROUND_REQUESTS)
        )

    def serve(self, listener: socket.socket) -> None:
        """Serve until `stop` is called; never on the main thread."""
        self._server.run([listener])

    def stop(self) -> None:
        """Have `serve` return; from any thread."""
        self._server.should_exit = True


def run(
    application: Any,  # noqa: ANN401 - any ASGI application
    listener: socket.socket,
    *,
    announce: Announce | None = None,
    log_level: str | None = None,
) -> None:
    """Serve an application in this process until it is told to stop; exit with 1 if it cannot start.

    Args:
        application: what answers.
        listener: where.
        announce: what runs beside the server once it takes requests.
        log_level: least level of what uvicorn itself logs, in its spelling (`warning`); None leaves it as it is.
    """
    server = _Server(configure(application, log_level=log_level), announce)
    # uvicorn raises the signal again that stopped it.
    with suppress(KeyboardInterrupt):
        server.run([listener])
    if not server.started:
        raise SystemExit(1)
