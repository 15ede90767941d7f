"""Graceful shutdown: report not ready, accept no more connections, and let running requests finish."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from app.core.settings import Settings

STATE = "leaving"
"""The name under which the lifespan hands `Leaving` to the server that the process runs."""


@dataclass
class Leaving:
    """Shutdown signals from a server to its application, in this order.

    Attributes:
        seconds: how long requests are taken after it has said that it is not ready, so that load balancers see it.
        wake_streams: has streams look whether they are to end.
        stop_writers: ends requests that append to an upload; what has come of them counts.
        is_on: it is about to stop.
        ends_streams: it takes no more connections, and whoever follows something is to ask another process.
    """

    seconds: float
    wake_streams: Callable[[], None]
    stop_writers: Callable[[], None]
    is_on: bool = field(default=False, init=False)
    ends_streams: bool = field(default=False, init=False)

    def begin(self) -> None:
        """Set the state to not ready."""
        self.is_on = True

    def end_streams(self) -> None:
        """End event streams; their clients come again by themselves."""
        self.ends_streams = True
        self.wake_streams()


async def is_drained(settings: Settings) -> bool:
    """Return whether an operator has drained the instance."""
    return await asyncio.to_thread(drained_mark(settings).exists)


def drained_mark(settings: Settings) -> Path:
    """Return the file that stands for `openml-web drain`, of the instance that listens on the port of the settings."""
    return settings.data_dir / f"drained-{settings.port}"
