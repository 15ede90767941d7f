"""Checks that anybody may ask for as often as they like: each runs once at a time, and its finding is kept a moment."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from app.core.errors import DATABASE_AWAY, DatabaseUnavailableError
from app.core.tasks import end

log = structlog.get_logger(__name__)

KEEP_SECONDS = 1.0
"""Seconds for which a finding is kept, so that any number of requests costs at most one check a second."""
CHECK_SECONDS = 3.0
"""How long a check may take; what hangs longer is out of order."""


class Finding(NamedTuple):
    """What a check found.

    Attributes:
        name: of the check.
        ok: whether all is well.
        detail: what is wrong and what to do about it, in a sentence without secrets; empty if nothing is.
    """

    name: str
    ok: bool
    detail: str


Check = Callable[[], Awaitable[str | None]]
"""Returns what is wrong, or None."""


@dataclass
class _Known:
    """What is known of one check.

    Attributes:
        finding: the last one.
        found_at: when, by the monotonic clock.
        running: the check, while it runs; one that hangs is not started a second time.
        began_at: when that began.
    """

    finding: Finding | None = None
    found_at: float = 0.0
    running: "asyncio.Task[str | None] | None" = None
    began_at: float = 0.0


@dataclass
class Probes:
    """The checks of one process."""

    _known: dict[str, _Known] = field(default_factory=dict)

    async def look(self, checks: Mapping[str, Check]) -> list[Finding]:
        """Run the checks side by side, or remember what they found just now; it takes `CHECK_SECONDS` at most."""
        return list(await asyncio.gather(*(self._find(name, check) for name, check in checks.items())))

    async def close(self) -> None:
        """End what still runs."""
        await end(*(known.running for known in self._known.values() if known.running is not None))

    async def _find(self, name: str, check: Check) -> Finding:
        known = self._known.setdefault(name, _Known())
        if known.finding is not None and time.monotonic() - known.found_at < KEEP_SECONDS:
            return known.finding
        if known.running is None:
            known.running = asyncio.ensure_future(check())
            known.began_at = time.monotonic()
        task, left = known.running, known.began_at + CHECK_SECONDS - time.monotonic()
        # Not cancelled when it is late: a thread that waits for a dead disk would be left behind each time.
        await asyncio.wait({task}, timeout=max(left, 0))
        self._note(name, known, task)
        assert known.finding is not None  # noqa: S101 - it was noted by us, or by whoever waited with us
        return known.finding

    def _note(self, name: str, known: _Known, task: "asyncio.Task[str | None]") -> None:
        """Keep what a task found, unless somebody who waited for it as well has done so."""
        if known.running is not task:
            return
        wrong = _outcome(name, task) if task.done() else _late(name)
        before, known.finding = known.finding, Finding(name, wrong is None, wrong or "")
        known.found_at = time.monotonic()
        if task.done():
            known.running = None
        if (before is None or before.ok) and wrong:
            log.warning("not ready", check=name, reason=wrong)
        elif before is not None and not before.ok and wrong is None:
            log.info("ready again", check=name)


def _late(name: str) -> str:
    return (
        f"What the check `{name}` asks has not answered within {CHECK_SECONDS:g} seconds. See that it runs, has not "
        "too much to do, and can be reached from here."
    )


def _outcome(name: str, task: "asyncio.Task[str | None]") -> str | None:
    if task.cancelled():
        return "This process is about to stop."
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, DatabaseUnavailableError):
        return f"{DATABASE_AWAY}."
    log.error("a check has failed", check=name, exc_info=error)
    return f"It cannot be looked at ({type(error).__name__}); the log says why."
