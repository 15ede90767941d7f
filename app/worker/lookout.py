"""One look for all loops of a worker: which rows are due, and when the next ones will be."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from app.db.engine import Database
from app.db.queue import Queue
from app.db.reader import ReadStatement, moment_of
from app.events.notifications import Notifications

if TYPE_CHECKING:
    from app.events.queue import WorkBroker

ALONE_SECONDS = 1.0
"""Seconds between two looks without Redis or a broker, which would announce what other processes commit."""
TOLD_SECONDS = 5.0
"""Pause where Redis or a broker does: they may lose a message, and go at any time."""


class Lookout:
    """Notifies this worker's loops when a row of theirs is due: a new one, a postponed one, or one whose lease ended.

    The loops do not poll, so an idle worker costs one statement a look, however many loops it has.
    """

    def __init__(
        self,
        database: Database,
        notifications: Notifications,
        broker: "WorkBroker | None",
        queues: Mapping[str, Queue],
    ) -> None:
        self._database = database
        self._notifications = notifications
        self._broker = broker
        self._topics = [topic for topic, queue in queues.items() for _ in queue.states]
        self._earliest = ReadStatement(
            sa.select(*(part for queue in queues.values() for part in queue.earliest())), by_key=True
        )

    @property
    def pause_seconds(self) -> float:
        """How long nobody need look again."""
        broker = self._broker
        is_told = self._notifications.hears_others() or (
            broker is not None and all(broker.is_handing_out(topic) for topic in broker.topics)
        )
        return TOLD_SECONDS if is_told else ALONE_SECONDS

    async def look(self) -> bool:
        """Look once, and schedule the notification of loops for when their rows are due; always False (not work)."""
        row = await self._database.reader.first(self._earliest, {})
        until_next = self.pause_seconds
        for topic, due_at in zip(self._topics, row or (), strict=True):
            seconds = self._seconds_until(moment_of(due_at) if due_at else None)
            if seconds is not None and seconds < until_next:
                asyncio.get_running_loop().call_later(seconds, self._notifications.wake, topic)
        return False

    def _seconds_until(self, moment: datetime | None) -> float | None:
        if moment is None:
            return None
        return max(0.0, (moment - self._database.now()).total_seconds())
