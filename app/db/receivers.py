"""Leases of forms that are being received: their process renews all of them; without that they end."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.tasks import end
from app.db.engine import Database
from app.db.tables import uploads
from app.db.upload_queues import TO_RECEIVE

log = structlog.get_logger(__name__)

BEAT_SECONDS = 2.0
RECEIVER_LEASE = timedelta(seconds=8)
"""A process that was not heard of for so long has no forms any more: their clients may send them again."""
FORMS_AT_ONCE = 200


class Receivers:
    """The forms that this process receives: one statement every other second renews the leases of all."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: dict[str, str] = {}
        self._beating: asyncio.Task[None] | None = None

    @contextmanager
    def hold(self, upload_id: str, *, owner: str) -> Iterator[None]:
        """Keep the owner's lease of an upload while the body runs, however slowly its bytes come."""
        self._held[upload_id] = owner
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
        """Renew leases; who has lost theirs finds out with the last byte."""
        mine = sa.or_(*(TO_RECEIVE.held(upload_id, owner) for upload_id, owner in held))
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
