"""What this process asks of `uploads` for all its open requests at once, in few statements.

`Receivers` renews the leases of forms that come in; `WatchedUploads` looks whether uploads that are waited for have
changed.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import DatabaseUnavailableError
from app.core.tasks import end
from app.db.engine import Database
from app.db.upload_queues import TO_RECEIVE
from app.db.upload_tables import uploads
from app.events.notifications import Listener, Notifications, upload_topic

log = structlog.get_logger(__name__)

BEAT_SECONDS = 2.0
RECEIVER_LEASE = timedelta(seconds=8)
"""A process that was not heard of for so long has no forms any more: their clients may send them again."""
FORMS_AT_ONCE = 200
LOOK_SECONDS = 1.0
TOLD_SECONDS = 5.0
"""Pause between two looks where other processes tell what they have changed."""
IDS_AT_ONCE = 500


class Receivers:
    """The forms that this process receives: one statement every other second renews the leases of all."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: dict[str, str] = {}
        self._beating: asyncio.Task[None] | None = None

    @contextmanager
    def hold(self, upload_id: str, *, lease_owner: str) -> Iterator[None]:
        """Keep the owner's lease of an upload while the body runs, however slowly its bytes come."""
        self._held[upload_id] = lease_owner
        if self._beating is None or self._beating.done():
            self._beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            del self._held[upload_id]

    async def close(self) -> None:
        """Stop; what is held is given up a lease later."""
        if self._beating is not None:
            await end(self._beating)

    async def _beat(self) -> None:
        while self._held:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                held = list(self._held.items())
                for start in range(0, len(held), FORMS_AT_ONCE):
                    await self._renew(held[start : start + FORMS_AT_ONCE])
            except Exception:
                # The database is away. The bytes go on: they count, unless somebody sends the form again meanwhile.
                log.exception("leases of forms cannot be renewed", forms=len(self._held))

    async def _renew(self, held: Sequence[tuple[str, str]]) -> None:
        """Renew leases; one that is lost is noticed when the last byte is recorded."""
        mine = sa.or_(*(TO_RECEIVE.held(upload_id, lease_owner) for upload_id, lease_owner in held))
        until = self._database.now() + RECEIVER_LEASE
        async with self._database.session() as session:
            await session.execute(sa.update(uploads).where(mine).values(available_at=until))


class KeyHolder(NamedTuple):
    """The upload that has an `Idempotency-Key`; `available_at` is the end of its receiver's lease."""

    id: str
    state: str
    request_digest: str | None
    available_at: datetime


async def get_key_holder(session: AsyncSession, key: str) -> KeyHolder | None:
    """Return the upload that was begun with the key, or None."""
    columns = (uploads.c[name] for name in KeyHolder._fields)
    row = (await session.execute(sa.select(*columns).where(uploads.c.idempotency_key == key))).first()
    return KeyHolder._make(row) if row else None


class WatchedUploads:
    """Notifies listeners of an upload when its row has changed, also by another process."""

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

    def wake_all(self) -> None:
        """Wake everybody who listens."""
        for upload_id in self._watched:
            self._notifications.wake(upload_topic(upload_id))

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
