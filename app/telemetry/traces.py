"""Traces by OpenTelemetry, sent to a collector as OTLP over HTTP."""

import asyncio
import hashlib
import os
import platform
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import Link, SpanKind, StatusCode, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.re import parse_env_headers
from opentelemetry.util.types import Attributes

from app import __version__
from app.core import tracing
from app.core.outgoing import OUR_NAME, open_session
from app.core.settings import Settings

EXPORT_SECONDS: Final = 5
"""In which the collector has to take what it is sent, with every attempt; a process that stops waits for as long."""
KINDS: Final = {kind.name.lower(): kind for kind in SpanKind}
_W3C = TraceContextTextMapPropagator()


class WithoutQuery(BatchSpanProcessor):
    """Removes the query string from FastAPI's spans, because it carries tokens of mail links."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Remove the query string from the span of a request that begins."""
        if span.attributes and "url.query" in span.attributes:
            span.set_attribute("url.query", "REDACTED")
        super().on_start(span, parent_context)


class KeyedShare(TraceIdRatioBased):
    """Keeps a share of all traces, each whole, by a digest of its number: that number may be a client's choice."""

    def __init__(self, share: float, secret: str) -> None:
        super().__init__(share)
        self._key = hashlib.sha256(f"openml-web traces\0{secret}".encode()).digest()

    def should_sample(  # noqa: PLR0917 - as the library calls it
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Say whether a span is kept: as all of its trace, in every process with the same secret."""
        digest = hashlib.blake2b(trace_id.to_bytes(16), key=self._key).digest()
        number = int.from_bytes(digest)
        return super().should_sample(parent_context, number, name, kind, attributes, links, trace_state)


class OpenTelemetry:
    """`core.tracing.Tracing` by a provider of OpenTelemetry, as FastAPI uses it, too."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer(OUR_NAME, __version__)

    @contextmanager
    def span(self, name: str, kind: tracing.Kind, parent: str | None) -> Iterator[None]:
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

    def annotate(self, name: str, value: str | int) -> None:
        """Set an attribute of the current span."""
        trace.get_current_span().set_attribute(name, value)

    def traceparent(self) -> str | None:
        """Return the current span as the header writes it."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier)
        return carrier.get(tracing.TRACEPARENT)

    def trace_id(self) -> str | None:
        """Return the current trace's number."""
        context = trace.get_current_span().get_span_context()
        return trace.format_trace_id(context.trace_id) if context.is_valid else None


@asynccontextmanager
async def open_traces(settings: Settings) -> AsyncIterator[None]:
    """Send this process' spans while the body runs.

    Once in a process: OpenTelemetry takes one provider, which FastAPI finds there.
    """
    # Every process keeps or drops a whole trace. Neither what a client's `traceparent` says of it, nor the number that
    # a client gave it, decides: else anybody could have everything kept.
    share = KeyedShare(settings.otel_traces_sampler_arg, settings.token_secret)
    provider = TracerProvider(
        sampler=ParentBased(share, remote_parent_sampled=share, remote_parent_not_sampled=share),
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
    provider.add_span_processor(WithoutQuery(_exporter(settings)))
    trace.set_tracer_provider(provider)
    tracing.trace_with(OpenTelemetry(provider))
    try:
        yield
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
