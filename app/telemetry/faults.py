"""Reports of errors by Sentry's protocol: exception type and place in the code; no data of the request's user."""

import asyncio
import logging
import platform
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import structlog
from sentry_sdk import Client
from sentry_sdk.utils import BadDsn, event_from_exception

from app import __version__
from app.core import tracing
from app.core.outgoing import OUR_NAME
from app.core.settings import Settings, SettingsError

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

END_SECONDS: Final = 2.0
"""How long a process that stops waits until what it told has gone out."""
OF_AN_EVENT: Final = frozenset(
    {
        "event_id",
        "timestamp",
        "level",
        "platform",
        "logger",
        "release",
        "environment",
        "server_name",
        "sdk",
        "tags",
    }
)
OF_A_FRAME: Final = frozenset({"filename", "function", "module", "lineno", "in_app"})
"""All that is told. What else an event may have (the request, local variables, messages of errors) may be a secret."""


class FaultHandler(logging.Handler):
    """Reports every error that is logged with its exception."""

    def __init__(self, client: "Client") -> None:
        super().__init__(logging.ERROR)
        self._client = client

    def emit(self, record: logging.LogRecord) -> None:
        """Report the record, if it has an exception."""
        error = _exception_of(record)
        if error is None:
            return
        event, _ = event_from_exception(error, client_options=self._client.options)
        self._client.capture_event({**event, "logger": record.name, "tags": _tags(record)})


def _exception_of(record: logging.LogRecord) -> BaseException | None:
    # structlog keeps it in the line until that is written.
    found = record.msg.get("exc_info") if isinstance(record.msg, dict) else record.exc_info
    if found is True:
        found = sys.exc_info()
    return found[1] if isinstance(found, tuple) else None


def _tags(record: logging.LogRecord) -> dict[str, str]:
    """Return tags that locate the error in the log: its message, request id and trace id."""
    found = {
        "event": record.msg.get("event") if isinstance(record.msg, dict) else None,
        "request_id": structlog.contextvars.get_contextvars().get("request_id"),
        "trace_id": tracing.trace_id(),
    }
    return {name: str(value) for name, value in found.items() if value}


def scrub(event: "Event", _hint: "Hint") -> "Event":
    """Return the event reduced to the fields that may be sent."""
    kept: Any = {name: value for name, value in event.items() if name in OF_AN_EVENT}
    errors = event.get("exception", {}).get("values", [])
    kept["exception"] = {"values": [_scrubbed(error) for error in errors]}
    return kept  # type: ignore[no-any-return]  # made of one


def _scrubbed(error: dict[str, Any]) -> dict[str, Any]:
    frames = (error.get("stacktrace") or {}).get("frames", [])
    told = [{name: value for name, value in frame.items() if name in OF_A_FRAME} for frame in frames]
    return {"type": error.get("type"), "module": error.get("module"), "stacktrace": {"frames": told}}


@asynccontextmanager
async def open_faults(settings: Settings) -> AsyncIterator[None]:
    """Report this process' errors while the body runs.

    Raises:
        SettingsError: `SENTRY_DSN` is none.
    """
    try:
        client = _client(settings)
    except BadDsn:
        raise SettingsError(
            "SENTRY_DSN is no DSN. Write what Sentry shows: https://key@host/number"
        ) from None
    handler = FaultHandler(client)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        await asyncio.to_thread(client.close, timeout=END_SECONDS)


def _client(settings: Settings) -> "Client":
    dsn = settings.sentry_dsn.get_secret_value()
    proxy = settings.way_out.proxy_to(dsn)
    return Client(
        dsn=dsn,
        release=f"{OUR_NAME}@{__version__}",
        environment=settings.environment,
        server_name=platform.node(),
        before_send=scrub,
        # It shall find nothing by itself, and say nothing of itself.
        default_integrations=False,
        auto_enabling_integrations=False,
        auto_session_tracking=False,
        send_client_reports=False,
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        # Not the environment's, unless the settings take them.
        http_proxy=proxy.url if proxy else "",
        https_proxy=proxy.url if proxy else "",
        ca_certs=settings.outgoing_ca_file or None,
    )
