"""Metrics of this process, stored in files shared by all processes of the machine, and served at `METRICS_LISTEN`.

`core.metrics` lists what there is. Without the setting nothing below this module is imported.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from app.resources import Resources


@asynccontextmanager
async def measuring(resources: "Resources", kind: Literal["web", "worker"]) -> AsyncIterator[None]:
    """Measure this process while the body runs, if `METRICS_LISTEN` is set."""
    if not resources.settings.metrics_listen:
        yield
        return
    from app.metrics.process import open_metrics  # noqa: PLC0415 - with prometheus_client, which only this needs

    async with open_metrics(resources, kind):
        yield
