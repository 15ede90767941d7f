"""How rows of any queue are processed: claimed, held by a lease, and waited for.

A row that is claimed is held by a lease. `Lease.hold` renews it while the work goes on and stops the work when the
row has gone to somebody else, or may have: what the database cannot be told of before the lease ends, another worker
may have begun. What ends the work writes it down with a statement of the row's module that names the owner
and refuses whoever has lost the lease; then `LeaseLostError` is raised, and nothing of its transaction stays.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import tracing
from app.core.errors import DatabaseUnavailableError
from app.core.tasks import heed_cancellation
from app.db.engine import Database, notify_after_commit
from app.db.queue import Queue
from app.events.notifications import LOOKOUT, Notifications

log = structlog.get_logger(__name__)

T = TypeVar("T")
INSIST_SECONDS = 600
"""How long the end of some work is tried to be written down while the database is away."""
INSIST_PAUSE_SECONDS = 0.5
"""Shorter than `FAULT_SECONDS`, so that finished work is recorded first when the database is back."""
NEWS_SECONDS = 1.0
"""How often `hold` asks for the columns to write with a renewal."""
RENEWALS = 3
"""How often a lease is renewed in the time that it lasts."""
FAULT_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 0.25


class LeaseLostError(Exception):
    """Another worker has taken the row over, or may have; this one stops and records nothing."""


@dataclass(slots=True)
class Lease:
    """A claimed row.

    Attributes:
        queue: where it was claimed.
        row_id: which one it is.
        owner: the lease's owner, `lease_owner` of the row: a name of the worker, not a user.
        length: how long the lease lasts, from each renewal.
        until: when it ends, by the database's clock.
        is_ending: whether the work is done and its end is written down: then it is not stopped any more.
        topic: announced when a renewal has written values.
        traceparent: the row's: what is done with it belongs to the trace of whoever asked for it.
    """

    database: Database
    queue: Queue
    row_id: int | str
    owner: str
    length: timedelta
    until: datetime
    is_ending: bool = False
    topic: str | None = None
    traceparent: str | None = None

    async def work(
        self,
        work: Coroutine[Any, Any, None],
        *,
        news: Callable[[], Mapping[str, Any] | None] = lambda: None,
        grace_seconds: float = 0,
    ) -> None:
        """Run the work of a claimed row as `hold` does; a lost lease is logged, and not an error.

        On cancellation the row is given back, so that another worker need not wait for the lease to end.
        """
        try:
            with tracing.span(f"work on {self.queue.name}", kind="consumer", parent=self.traceparent):
                tracing.annotate("openml.row", self.row_id)
                await self.hold(work, news=news, grace_seconds=grace_seconds)
        except LeaseLostError:
            log.warning("row taken over by another worker", queue=self.queue.name, row=self.row_id)
        except asyncio.CancelledError:
            try:
                await asyncio.shield(self.give_back())
            except Exception:
                log.exception("row cannot be given back", queue=self.queue.name, row=self.row_id)
            raise

    async def renew(self, values: Mapping[str, Any] | None = None) -> None:
        """Renew the lease, and write other columns of the row.

        Raises:
            LeaseLostError: it has gone to somebody else.
        """
        until = self.database.now() + self.length

        async def renew(session: AsyncSession) -> bool:
            if self.topic is not None:
                notify_after_commit(session, self.topic)
            return await self.queue.renew(
                session, self.row_id, lease_owner=self.owner, until=until, values=values
            )

        await self._record(renew)
        self.until = until

    async def give_back(self) -> None:
        """Give the row up at once, if it is still ours, so that another worker may claim it."""
        at = self.database.now()
        if not await self.database.unit(
            lambda session: self.queue.give_back(session, self.row_id, lease_owner=self.owner, at=at)
        ):
            log.info("nothing to give back", row=self.row_id)

    async def end(self, record: Callable[[AsyncSession], Awaitable[bool]]) -> None:
        """Record what was done outside of the database: unrecorded, it would be done again.

        While the database is away, this is tried for up to `INSIST_SECONDS`.

        Raises:
            LeaseLostError: `record` says that the row has gone to somebody else; nothing of its transaction stays.
        """
        self.is_ending = True
        deadline = time.monotonic() + INSIST_SECONDS
        while True:
            heed_cancellation()
            try:
                await self._record(record)
            except LeaseLostError:
                raise
            except Exception:
                if time.monotonic() > deadline:
                    raise
                log.exception("the end of some work cannot be written down yet", row=self.row_id)
                await asyncio.sleep(INSIST_PAUSE_SECONDS)
            else:
                return

    async def _record(self, record: Callable[[AsyncSession], Awaitable[bool]]) -> None:
        async def unit(session: AsyncSession) -> None:
            if not await record(session):
                raise LeaseLostError

        await self.database.unit(unit)

    async def hold(
        self,
        work: Coroutine[Any, Any, T],
        *,
        news: Callable[[], Mapping[str, Any] | None] = lambda: None,
        grace_seconds: float = 0,
    ) -> T:
        """Return what the work returns, and renew the lease meanwhile.

        Args:
            work: what is done with the row.
            news: returns the columns that tell how far it is; they are written when they change.
            grace_seconds: how long the work may take to end on cancellation.

        Raises:
            LeaseLostError: the lease could not be renewed in time; the work was stopped.
        """
        task = asyncio.create_task(work)
        renewal = asyncio.create_task(self._keep(news))
        try:
            await self._watch(task, renewal)
        except asyncio.CancelledError:
            if grace_seconds:
                await asyncio.wait({task}, timeout=grace_seconds)
            raise
        finally:
            # No task group: it forgets that it was cancelled when a task fails in the same moment (Python 3.11, 3.12),
            # and a worker that is told to stop would go on.
            was_stopped = not task.done()
            task.cancel()
            renewal.cancel()
            await asyncio.gather(task, renewal, return_exceptions=True)
        if was_stopped and (task.cancelled() or task.exception()):
            raise LeaseLostError
        return task.result()

    async def _watch(self, task: "asyncio.Task[T]", renewal: "asyncio.Task[None]") -> None:
        """Return when the work has ended, or must."""
        while not (task.done() or renewal.done()):
            # Looked at here: a renewal may hang for longer than the lease lasts.
            left = (self.until - self.database.now()).total_seconds()
            if left <= 0:
                break
            await asyncio.wait({task, renewal}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if self.is_ending:
            # Nothing is done any more: what is left is to write down how it ended, if nobody else has begun.
            await asyncio.wait({task})

    async def _keep(self, news: Callable[[], Mapping[str, Any] | None]) -> None:
        """Renew the lease; return when it is lost."""
        told: Mapping[str, Any] | None = None
        part = self.length / RENEWALS
        while True:
            heed_cancellation()
            await asyncio.sleep(min(NEWS_SECONDS, part.total_seconds()))
            found = news()
            if found == told and self.database.now() < self.until - (RENEWALS - 1) * part:
                continue
            try:
                await self.renew(found)
            except LeaseLostError:
                return
            except DatabaseUnavailableError as error:
                # The work goes on for as long as the lease lasts.
                log.warning("lease cannot be renewed", row=self.row_id, reason=error.reason)
            except Exception:
                log.exception("lease cannot be renewed", row=self.row_id)
            else:
                told = found


async def work_off(
    notifications: Notifications,
    topic: str,
    step: Callable[[], Awaitable[bool]],
    *,
    idle_seconds: Callable[[], float],
) -> None:
    """Call `step` for ever: at once while it found work, else after a hint or `idle_seconds`, asked each time.

    A fault of one step is logged and does not end the loop: the row's lease brings it back. While the database is away,
    which `db.faults` logs, it is tried again after pauses that grow.
    """
    failed, worked = 0, False
    with notifications.listen(topic) as listener:
        while True:
            heed_cancellation()
            try:
                busy = await step()
            except DatabaseUnavailableError:
                failed += 1
                pause = back_off(failed, first_seconds=FIRST_PAUSE_SECONDS, longest_seconds=FAULT_SECONDS)
                await asyncio.sleep(pause.total_seconds())
                continue
            except Exception:
                log.exception("worker step failed", topic=topic)
                await asyncio.sleep(FAULT_SECONDS)
                continue
            failed = 0
            if busy:
                worked = True
                continue
            if worked:
                # It may have put off what it had.
                notifications.wake(LOOKOUT)
            worked = False
            await listener.wait(seconds=idle_seconds())


def back_off(attempt: int, *, first_seconds: float, longest_seconds: float) -> timedelta:
    """Return the pause after the given attempt (from 1): doubled each time, a fifth of it random."""
    seconds = min(first_seconds * 2.0 ** min(attempt - 1, 30), longest_seconds)
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, not a secret
