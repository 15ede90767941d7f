"""State of the worker inside a web process: written by the worker, read by `/health/ready`."""

import asyncio
import time
from dataclasses import dataclass, field

STEADY_SECONDS = 30.0
"""A worker that has fallen counts again once it has worked for so long: one that falls at each start never does."""


@dataclass
class Vitals:
    """Of the worker of this process.

    Attributes:
        fault: the kind of error that ended it last; empty while none has.
    """

    fault: str = ""
    _works_since: float | None = None
    _was_heard_of: asyncio.Event = field(default_factory=asyncio.Event)

    def began(self) -> None:
        """Note that its loops run."""
        self._works_since = time.monotonic()
        self._was_heard_of.set()

    def fell(self, error: BaseException) -> None:
        """Note that it ended by a fault."""
        cause = error.__cause__ or error
        self.fault = type(cause).__name__
        self._works_since = None
        self._was_heard_of.set()

    async def wait_for_news(self) -> None:
        """Return once it has begun, or fallen, for the first time."""
        await self._was_heard_of.wait()

    @property
    def is_steady(self) -> bool:
        """Whether it works, and will not fall over at once as it did before."""
        if self._works_since is None:
            return False
        return not self.fault or time.monotonic() - self._works_since > STEADY_SECONDS
