"""Spans of traces: what one request led to, in its process, in workers later, and at other servers.

Whoever does something that takes time puts it into `span`. That does nothing until `trace_with` says who keeps spans,
which `app.telemetry` does where `OTEL_EXPORTER_OTLP_ENDPOINT` is set; so nothing here imports a library.

Names and attributes are ours and few: a queue, a state, an endpoint. What people wrote is in none of them.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Final, Literal, Protocol

from starlette.types import Scope

Kind = Literal["internal", "server", "client", "consumer"]
"""What a span is of: work in this process, a request, a call to another server, or a row of a queue that was taken."""
TRACEPARENT: Final = "traceparent"
"""The header that names a trace and a span of it, and the column of rows that are work (W3C Trace Context)."""
LENGTH: Final = 55
"""Characters of its value."""


class Tracing(Protocol):
    """Keeps the spans of this process."""

    def span(self, name: str, kind: Kind, parent: str | None) -> AbstractContextManager[object]:
        """Return a span that lasts as long as the body; `parent` is that of another process."""

    def request(self, scope: Scope) -> AbstractContextManager[object]:
        """Return the span of a request, in a task of its own, that lasts as long as the body."""

    def answered(self, scope: Scope, route: str, status: int) -> None:
        """Say of the current request how it was answered."""

    def annotate(self, name: str, value: str | int) -> None:
        """Say something of the current span."""

    def traceparent(self) -> str | None:
        """Return how other processes call the current span; None where there is none."""

    def trace_id(self) -> str | None:
        """Return the number of the current trace, in hexadecimal; None where there is none."""


_tracing: Tracing | None = None
_NOTHING: Final = nullcontext()


def trace_with(tracing: Tracing | None) -> None:
    """Say who keeps this process' spans from now on; None: nobody."""
    global _tracing  # noqa: PLW0603 - as logging has it: one for a process, and asked for at many places
    _tracing = tracing


def span(name: str, *, kind: Kind = "internal", parent: str | None = None) -> AbstractContextManager[object]:
    """Return a span that lasts as long as the body, below the current one, or below that of another process."""
    return _NOTHING if _tracing is None else _tracing.span(name, kind, parent)


def request(scope: Scope) -> AbstractContextManager[object]:
    """Return the span of a request, which lasts as long as the body, if its trace is one of those that are kept."""
    return _NOTHING if _tracing is None else _tracing.request(scope)


def answered(scope: Scope, route: str, status: int) -> None:
    """Say of the current request how it was answered; `route` is a template."""
    if _tracing is not None:
        _tracing.answered(scope, route, status)


def annotate(name: str, value: str | int) -> None:
    """Say something of the current span."""
    if _tracing is not None:
        _tracing.annotate(name, value)


def traceparent() -> str | None:
    """Return how other processes call the current span: a header's value, or a column's. None where there is none."""
    return None if _tracing is None else _tracing.traceparent()


def trace_id() -> str | None:
    """Return the number of the current trace, in hexadecimal; None where there is none."""
    return None if _tracing is None else _tracing.trace_id()
