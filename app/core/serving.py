"""How every HTTP server of ours is started: one configuration of uvicorn, on a socket that is bound beforehand."""

import asyncio
import errno
import socket
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn

from app.core.leaving import STATE as LEAVING
from app.core.leaving import Leaving
from app.core.settings import SettingsError
from app.core.tasks import in_background

if TYPE_CHECKING:
    from app.core.framing import StrictHttpProtocol

log = structlog.get_logger(__name__)

GRACEFUL_SECONDS = 30
"""How long running requests may take to end when a server is told to stop."""
WRITING_SECONDS = 20
"""How long requests may append to an upload meanwhile; then they are told how many bytes of theirs count."""
RESTING_SECONDS = 1.0
"""How long connections are kept that have no request, in case that one is on its way."""
ANSWERING_SECONDS = 5.0
"""How long requests that are cut short may take to write down what became of them, and to answer."""
LOOK_SECONDS = 0.05
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


class GentleServer(uvicorn.Server):
    """A uvicorn server with a callback after start, and a graceful shutdown without errors for reverse proxies."""

    def __init__(self, config: uvicorn.Config, announce: Announce | None = None) -> None:
        super().__init__(config)
        self._announce = announce

    async def main_loop(self) -> None:
        """Serve until told to stop."""
        async with in_background(*([self._announce()] if self._announce else [])):
            await super().main_loop()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that this process is not ready, take no more connections, and let what runs come to an end.

        Not uvicorn's, which closes connections at once on which a proxy may send a request at that moment, and does not
        wait for the answers of requests that it cuts short.
        """
        leaving: Leaving | None = self.lifespan.state.get(LEAVING)
        if leaving is not None:
            leaving.begin()
            await self._wait(leaving.seconds, lambda: True)
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        await self._wait(RESTING_SECONDS, self._has_idle_connections)
        if leaving is not None:
            leaving.end_streams()
            asyncio.get_running_loop().call_later(WRITING_SECONDS, leaving.stop_writers)
        await self._wait(self.config.timeout_graceful_shutdown or 0, self._has_requests, closing=True)
        await self._cut_short()
        if not self.force_exit:
            await self.lifespan.shutdown()

    async def _wait(self, seconds: float, is_needed: Callable[[], bool], *, closing: bool = False) -> None:
        """Have each answer end its connection, for so long at most; `closing`: connections without a request end."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and is_needed() and not self.force_exit:
            for connection in self._connections():
                if closing:
                    connection.shutdown()
                else:
                    connection.finish()
            await asyncio.sleep(LOOK_SECONDS)

    async def _cut_short(self) -> None:
        """Cancel requests that take too long, and let them send their error response."""
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            log.warning("requests are cut short, because the process stops", requests=len(tasks))
            await asyncio.wait(tasks, timeout=ANSWERING_SECONDS)

    def _has_idle_connections(self) -> bool:
        return any(connection.is_idle for connection in self._connections())

    def _has_requests(self) -> bool:
        return bool(self.server_state.connections or self.server_state.tasks)

    def _connections(self) -> "list[StrictHttpProtocol]":
        connections: Iterable[Any] = self.server_state.connections
        return list(connections)


class BackgroundServer:
    """A server in a thread of its own; signals are handled by the process' main server."""

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
    server = GentleServer(configure(application, log_level=log_level), announce)
    # uvicorn raises the signal again that stopped it.
    with suppress(KeyboardInterrupt):
        server.run([listener])
    if not server.started:
        raise SystemExit(1)
