"""Which traces are kept: said once, where one begins, and before anything of OpenTelemetry's is made of it.

What goes on with a trace (a worker with the row, a server that is called) follows the flag of its `traceparent`.
"""

import itertools
import re
import secrets
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from random import random
from typing import Final

from app.core import tracing

NO_WORK: Final = ("/health/", "/assets/")
"""Begins of paths that are asked for all the time, and start nothing."""
WISHES_PER_SECOND: Final = 10
"""Traces that clients can have kept, by the flag of their `traceparent`, in each process; more count as if they had not
asked. What one costs stands in docs/telemetry.md."""
_TRACEPARENT: Final = re.compile("00-((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16})-([0-9a-f]{2})")
_HEADER: Final = tracing.TRACEPARENT.encode()
_SAMPLED: Final = 1
"""The flag of a `traceparent` that says that the trace is kept."""

dropped: Final = ContextVar("dropped", default="")
"""The `traceparent` of the current trace if it is not kept, else nothing."""


class Sampler:
    """Keeps a share of the traces that begin here, and those that clients want kept, as far as these are few."""

    def __init__(self, share: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the share of all, from 0 to 1."""
        self._share = share
        self._clock = clock
        self._wishes, self._counted = float(WISHES_PER_SECOND), clock()
        # One for each trace would cost `GET /profile` a hundredth.
        self._process, self._numbers = secrets.token_hex(12), itertools.count()
        self._span = secrets.token_hex(8)

    def begin(self, theirs: str = "") -> str:
        """Return nothing where a trace is kept, else how others call it; `theirs` is a client's `traceparent`."""
        is_in_share = random() < self._share  # noqa: S311 - nobody gains by guessing it
        if not theirs or (parts := _TRACEPARENT.fullmatch(theirs)) is None:
            return "" if is_in_share else f"00-{self._process}{next(self._numbers):08x}-{self._span}-00"
        is_wished = bool(int(parts[2], 16) & _SAMPLED)
        return "" if is_wished and (is_in_share or self._grants_wish()) else f"00-{parts[1]}-00"

    def _grants_wish(self) -> bool:
        now = self._clock()
        earned = (now - self._counted) * WISHES_PER_SECOND
        self._wishes, self._counted = min(WISHES_PER_SECOND, self._wishes + earned), now
        if self._wishes < 1:
            return False
        self._wishes -= 1
        return True


def is_kept(traceparent: str) -> bool:
    """Return whether a trace that goes on here, by the `traceparent` of a row, is kept."""
    return bool(int(traceparent.rpartition("-")[2], 16) & _SAMPLED)


def traceparent_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the `traceparent` of a request; nothing where it has none, or several."""
    given = [value for name, value in headers if name == _HEADER]
    return given[0].decode("latin-1") if len(given) == 1 else ""
