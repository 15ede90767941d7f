"""Traces by OpenTelemetry, sent to a collector as OTLP over HTTP."""

import asyncio
import os
import platform
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from typing import Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.re import parse_env_headers
from starlette.types import Scope

from app import __version__
from app.core import tracing
from app.core.access import METHODS
from app.core.outgoing import OUR_NAME, open_session
from app.core.settings import Settings
from app.telemetry.sampling import NO_WORK, Sampler, dropped, is_kept, traceparent_of

EXPORT_SECONDS: Final = 5
"""In which the collector has to take what it is sent, with every attempt; a process that stops waits for as long."""
KINDS: Final = {kind.name.lower(): kind for kind in SpanKind}
SERVER_FAULTS: Final = 500
TRACE_ID: Final = slice(3, 35)
"""Where a `traceparent` has the trace's number."""
_NOTHING: Final = nullcontext()
_W3C = TraceContextTextMapPropagator()


class OpenTelemetry:
    """`core.tracing.Tracing` by a provider of OpenTelemetry.

    Of a trace that is dropped nothing is made, but others are told how it is called, so that they drop it as well.
    """

    def __init__(self, provider: TracerProvider, sampler: Sampler) -> None:
        self._tracer = provider.get_tracer(OUR_NAME, __version__)
        self._sampler = sampler

    def request(self, scope: Scope) -> AbstractContextManager[object]:
        """Return the span of a request, unless its trace is dropped; it has no query string, which carries tokens."""
        if scope["path"].startswith(NO_WORK):
            dropped.set("")
            return _NOTHING
        theirs = traceparent_of(scope["headers"])
        dropped.set(trace_dropped := self._sampler.begin(theirs))
        return _NOTHING if trace_dropped else self._kept(scope["method"], "server", theirs)

    def answered(self, scope: Scope, route: str, status: int) -> None:
        """Say in the span of a request how it was answered, by OpenTelemetry's names."""
        if dropped.get() or not (span := trace.get_current_span()).is_recording():
            return
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        span.update_name(f"{method} {route}")
        span.set_attributes(
            {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
                "url.path": scope["path"],
                "url.scheme": scope["scheme"],
            }
        )
        if status >= SERVER_FAULTS:
            span.set_attribute("error.type", str(status))
            span.set_status(StatusCode.ERROR)

    @contextmanager
    def span(self, name: str, kind: tracing.Kind, parent: str | None) -> Iterator[None]:
        """Run the body in a span, unless its trace is dropped."""
        token = dropped.set(self._dropped(parent))
        try:
            with _NOTHING if dropped.get() else self._kept(name, kind, parent):
                yield
        finally:
            dropped.reset(token)

    @contextmanager
    def _kept(self, name: str, kind: tracing.Kind, parent: str | None) -> Iterator[None]:
        """Run the body in a span, which fails as the body does; of an error only its kind is told."""
        context = _W3C.extract({tracing.TRACEPARENT: parent}) if parent else None
        with self._tracer.start_as_current_span(
            name, context, KINDS[kind], record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(StatusCode.ERROR)
                raise

    def _dropped(self, parent: str | None) -> str:
        """Return how the trace is called that a span would belong to, if it is dropped."""
        if parent:
            return "" if is_kept(parent) else parent
        if (trace_dropped := dropped.get()) or trace.get_current_span().get_span_context().is_valid:
            return trace_dropped
        return self._sampler.begin()

    def annotate(self, name: str, value: str | int) -> None:
        """Set an attribute of the current span."""
        if not dropped.get():
            trace.get_current_span().set_attribute(name, value)

    def traceparent(self) -> str | None:
        """Return the current span as the header writes it."""
        if trace_dropped := dropped.get():
            return trace_dropped
        carrier: dict[str, str] = {}
        _W3C.inject(carrier)
        return carrier.get(tracing.TRACEPARENT)

    def trace_id(self) -> str | None:
        """Return the current trace's number."""
        if trace_dropped := dropped.get():
            return trace_dropped[TRACE_ID]
        context = trace.get_current_span().get_span_context()
        return trace.format_trace_id(context.trace_id) if context.is_valid else None


@asynccontextmanager
async def open_traces(settings: Settings) -> AsyncIterator[OpenTelemetry]:
    """Keep this process' spans, and send them, while the body runs."""
    provider = TracerProvider(
        sampler=ALWAYS_ON,  # of what is not kept nothing is made (app/telemetry/sampling.py)
        resource=Resource.create(
            {
                "service.name": OUR_NAME,
                "service.version": __version__,
                "service.instance.id": f"{platform.node()}/{os.getpid()}",
                "deployment.environment.name": settings.environment,
            }
        ),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(_exporter(settings)))
    kept = OpenTelemetry(provider, Sampler(settings.otel_traces_sampler_arg))
    tracing.trace_with(kept)
    try:
        yield kept
    finally:
        tracing.trace_with(None)
        await asyncio.to_thread(provider.shutdown)


def _exporter(settings: Settings) -> OTLPSpanExporter:
    headers = settings.otel_exporter_otlp_headers.get_secret_value()
    endpoint = settings.otel_exporter_otlp_endpoint.rstrip("/") + "/v1/traces"
    return OTLPSpanExporter(
        endpoint=endpoint,
        headers=parse_env_headers(headers, liberal=True),
        timeout=EXPORT_SECONDS,
        session=open_session(endpoint, settings.way_out),
    )
