"""The HTTP endpoint for Prometheus: one process of the machine serves it; another takes over when that one ends.

It is served by a thread with an event loop of its own: a process that is busy with requests is still measured.
"""

import asyncio
import threading
from typing import Final

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from app.core.serving import BackgroundServer, listening
from app.core.setting_checks import read_listen_address
from app.core.settings import SettingsError
from app.metrics.shared import SharedFolder

log = structlog.get_logger(__name__)

TRY_SECONDS: Final = 1.0
"""How often a process asks whether the one that answers has ended."""
PATH: Final = "/metrics"


class Exposition:
    """An ASGI application that answers with everything in a registry, as OpenMetrics if that is asked for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._one = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope, receive)
        if request.url.path != PATH:
            await PlainTextResponse(f"Metrics are at {PATH}\n", 404)(scope, receive, send)
            return
        if request.method not in {"GET", "HEAD"}:
            await PlainTextResponse("GET\n", 405, {"Allow": "GET, HEAD"})(scope, receive, send)
            return
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        async with self._one:
            content = await asyncio.to_thread(encode, self._registry)
        await Response(content, headers={"Content-Type": media_type})(scope, receive, send)


class MetricsServer:
    """Serves the endpoint while this process holds the lock for it."""

    def __init__(self, address: str, folder: SharedFolder, registry: CollectorRegistry) -> None:
        self._host, self._port = read_listen_address(address)
        self._folder = folder
        self._registry = registry
        self._stop = threading.Event()
        self._server: BackgroundServer | None = None
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving, and let another process take over."""
        self._stop.set()
        if self._server is not None:
            self._server.stop()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._folder.become_server():
            if self._stop.wait(TRY_SECONDS):
                return
        was_said = False
        while not self._stop.is_set():
            try:
                with listening(self._host, self._port, port_setting="METRICS_LISTEN") as listener:
                    self._server = BackgroundServer(Exposition(self._registry))
                    if not self._stop.is_set():
                        log.info("metrics are answered", host=self._host, port=self._port)
                        self._server.serve(listener)
            except SettingsError as error:
                if not was_said:
                    log.error(  # noqa: TRY400 - the reason says all
                        "metrics cannot be answered", reason=str(error)
                    )
                was_said = True
                self._stop.wait(TRY_SECONDS)
