"""What this process tells servers that its operator runs for that: traces (OTLP), and faults (Sentry's protocol).

`core.tracing` is what the service itself calls. Without the settings nothing below this module is imported.
"""

from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, Final

from app.core.settings import Settings, missing_extra

NO_WORK: Final = ("/health/", "/assets/")
"""Begins of paths that are asked for all the time, and start nothing."""


def is_no_work(scope: MutableMapping[str, Any]) -> bool:
    """Say whether a request is none that anybody follows."""
    return bool(scope["path"].startswith(NO_WORK))


@asynccontextmanager
async def telling(settings: Settings) -> AsyncIterator[None]:
    """Send spans while the body runs, if `OTEL_EXPORTER_OTLP_ENDPOINT` is set.

    Raises:
        SettingsError: the library is not installed.
    """
    if not settings.otel_exporter_otlp_endpoint:
        yield
        return
    try:
        from app.telemetry.traces import open_traces  # noqa: PLC0415 - an extra
    except ImportError:
        raise missing_extra("OTEL_EXPORTER_OTLP_ENDPOINT", "otel") from None
    async with open_traces(settings):
        yield
