"""Uploads that somebody waits for: one statement a second looks at all of them, whichever process works on them."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
import structlog

from app.core.errors import DatabaseUnavailableError
from app.core.tasks import end
from app.db.engine import Database
from app.db.tables import uploads
from app.events.notifications import Listener, Notifications, upload_topic

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
TOLD_SECONDS = 5.0
"""Pause between two looks where other processes tell what they have changed."""
IDS_AT_ONCE = 500


class WatchedUploads:
    """Wakes whoever listens to an upload when its row has changed, also by the hand of another process."""

    def __init__(self, database: Database, notifications: Notifications) -> None:
        self._database = database
        self._notifications = notifications
        self._watched: Counter[str] = Counter()
        self._seen: dict[str, tuple[Any, ...]] = {}
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def listen(self, upload_id: str) -> Iterator[Listener]:
        """Yield a listener that misses nothing for longer than a second."""
        self._watched[upload_id] += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            with self._notifications.listen(upload_topic(upload_id)) as listener:
                yield listener
        finally:
            self._watched[upload_id] -= 1
            if not self._watched[upload_id]:
                del self._watched[upload_id]
                self._seen.pop(upload_id, None)

    async def close(self) -> None:
        """Stop looking."""
        if self._looking is not None:
            await end(self._looking)

    async def _look(self) -> None:
        """Look for as long as anybody listens."""
        while self._watched:
            try:
                watched = list(self._watched)
                for start in range(0, len(watched), IDS_AT_ONCE):
                    await self._compare(watched[start : start + IDS_AT_ONCE])
            except DatabaseUnavailableError as error:
                log.debug("uploads cannot be watched at the moment", reason=error.reason)
            except Exception:
                # Whoever waits looks for themselves every now and then.
                log.exception("uploads cannot be watched")
            await asyncio.sleep(TOLD_SECONDS if self._notifications.hears_others() else LOOK_SECONDS)

    async def _compare(self, upload_ids: list[str]) -> None:
        columns = (
            uploads.c.id,
            uploads.c.state,
            uploads.c.received_bytes,
            sa.cast(uploads.c.progress, sa.Text),
        )
        async with self._database.session() as session:
            rows = (await session.execute(sa.select(*columns).where(uploads.c.id.in_(upload_ids)))).all()
        for row in rows:
            stands = tuple(row[1:])
            if row[0] in self._watched and self._seen.get(row[0]) != stands:
                self._seen[row[0]] = stands
                self._notifications.notify(upload_topic(row[0]))
