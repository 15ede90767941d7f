"""What this process tells servers that its operator runs for that: traces (OTLP), and faults (Sentry's protocol).

`core.tracing` is what the service itself calls. Without the settings nothing below this module is imported.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from app.core.settings import Settings, missing_extra


@asynccontextmanager
async def telling(settings: Settings) -> AsyncIterator[None]:
    """Send spans and errors to the configured servers while the body runs.

    Raises:
        SettingsError: a library is not installed, or a setting is wrong.
    """
    async with AsyncExitStack() as stack:
        if settings.sentry_dsn.get_secret_value():
            try:
                from app.telemetry.faults import open_faults  # noqa: PLC0415 - an extra
            except ImportError:
                raise missing_extra("SENTRY_DSN", "sentry") from None
            await stack.enter_async_context(open_faults(settings))
        if settings.otel_exporter_otlp_endpoint:
            try:
                from app.telemetry.traces import open_traces  # noqa: PLC0415 - an extra
            except ImportError:
                raise missing_extra("OTEL_EXPORTER_OTLP_ENDPOINT", "otel") from None
            await stack.enter_async_context(open_traces(settings))
        yield
