"""Log lines: one event each, JSON for machines or text for a terminal, and never a secret."""

import logging
import os
import socket
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

import structlog
from pydantic_core import to_json

from app.core import tracing
from app.core.rotated_file import RotatedFile
from app.core.settings import Settings, SettingsError

REQUESTS = "app.requests"
REFUSALS = ("SettingsError", "BuildError", "MigrationError")
"""Errors whose text says what to set or to run."""
_requests = logging.getLogger(REQUESTS)
SECRET_NAMES = ("password", "token", "secret", "api_key", "apikey", "authorization", "cookie", "smtp_pass")


Role = Literal["web", "worker", "service"]
"""What a process does; `service` starts those that answer requests, and looks after them."""
Origin = Mapping[str, str | int]
"""Which process wrote a line: its `host`, its number (`process`), and its role (`worker`)."""


def configure_logging(settings: Settings, role: Role) -> None:
    """Send structlog's and the standard library's records to standard error, and to `LOG_FILE`.

    Raises:
        SettingsError: the file cannot be written.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_trace,
        hide_secrets,
    ]
    origin: Origin = {"host": socket.gethostname(), "process": os.getpid(), "worker": role}
    text, lines = _text_formatter(shared), _json_formatter(shared, origin)
    root, requests = logging.getLogger(), logging.getLogger(REQUESTS)
    root.handlers = _handlers(settings, text, lines)
    requests.handlers = _handlers(settings, text, RequestFormatter(origin))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    root.setLevel(settings.log_level)
    # No formatter writes what records would look up of threads and processes.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    requests.propagate = False
    _quieten_libraries()


def _handlers(settings: Settings, text: logging.Formatter, lines: logging.Formatter) -> list[logging.Handler]:
    """Return where records go: a terminal gets text unless JSON is asked for, everything else JSON unless text is."""
    stream: logging.Handler = logging.StreamHandler(sys.stderr)
    as_text = settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())
    stream.setFormatter(text if as_text else lines)
    if not settings.log_file:
        return [stream]
    try:
        file = RotatedFile(
            Path(settings.log_file), most_bytes=settings.log_file_bytes, files=settings.log_files
        )
    except OSError as error:
        raise SettingsError(f"LOG_FILE cannot be written: {error.strerror} ({settings.log_file}).") from None
    file.setFormatter(text if settings.log_format == "text" else lines)
    return [stream, file]


def _text_formatter(shared: Sequence[structlog.typing.Processor]) -> logging.Formatter:
    # Plain: a traceback with the values of local variables would print passwords.
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


def _json_formatter(shared: Sequence[structlog.typing.Processor], origin: Origin) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            lambda _logger, _method, event: {**event, **origin},
            structlog.processors.format_exc_info,
            # As lines of requests are, so that one pattern of grep finds both.
            structlog.processors.JSONRenderer(separators=(",", ":")),
        ],
    )


class RequestFormatter(logging.Formatter):
    """Writes the one line of a request, a fixed dictionary of ours, at a tenth of what the processors cost."""

    def __init__(self, origin: Origin) -> None:
        """Take what every line of this process says."""
        super().__init__()
        self._same = {"event": "request", "level": "info", "logger": REQUESTS, **origin}

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat()
        fields = record.args if isinstance(record.args, dict) else {}
        # An eighth of what `json.dumps` takes.
        return to_json({**self._same, "timestamp": moment, **fields}).decode()


def logs_requests() -> bool:
    """Return whether lines of requests are written."""
    return _requests.isEnabledFor(logging.INFO)


def log_request(**fields: str | float | None) -> None:
    """Log that a request was answered; for who has asked `logs_requests`."""
    # Not `info`, which looks through the stack for its caller: that takes longer than all the rest.
    text = "%(method)s %(path)s %(status)s %(milliseconds)s ms"
    _requests.handle(logging.LogRecord(REQUESTS, logging.INFO, "", 0, text, (fields,), None))


def add_trace(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say which trace a line belongs to, where traces are made."""
    if trace_id := tracing.trace_id():
        event["trace_id"] = trace_id
    return event


def hide_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank every value whose name says that it is a secret."""
    for name in event:
        if _is_secret(name):
            event[name] = "[hidden]"
    return event


@cache
def _is_secret(name: str) -> bool:
    """Return whether a field's name says that it is a secret; cached, for there are a few dozen names."""
    return any(secret in name.lower() for secret in SECRET_NAMES)


def keep_the_sentence(record: logging.LogRecord) -> bool:
    """Cut uvicorn's traceback of a refused start down to what the operator has to do."""
    last_line = str(record.msg).rstrip().rpartition("\n")[2]
    if str(record.msg).startswith("Traceback") and last_line.partition(": ")[0].endswith(REFUSALS):
        record.msg = last_line.partition(": ")[2]
    return True


def _quieten_libraries() -> None:
    # uvicorn's own access log prints query strings, and those carry mail-link tokens; ours does not.
    logging.getLogger("uvicorn.access").disabled = True
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    logging.getLogger("uvicorn.error").addFilter(keep_the_sentence)
    # httpx logs full addresses at INFO, python_multipart each part at DEBUG; alembic speaks at every start.
    for name in ("alembic", "httpx", "httpcore", "python_multipart", "aiosqlite", "aiosmtplib"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Each attempt that fails, with the address; app/events says once that the server cannot be reached.
    for name in ("aio_pika", "aiormq"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
