"""Statements on `notices`: what the site announces, and whether it is in read-only mode; by the database's clock."""

import time
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import DatabaseUnavailableError, ReadOnlyModeError
from app.db.engine import Database, inserted_id, now_of, row_count
from app.db.reader import ReadStatement, moment_of, utc_as_text
from app.db.site_tables import notices

LOOK_SECONDS = 2.0
"""How old what a process knows of the notices may be."""
MOST_SHOWN = 20
LONGEST_WAIT_SECONDS = 3600
SHORTEST_WAIT_SECONDS = 5
USUAL_WAIT_SECONDS = 60


class NoticeKind(StrEnum):
    """What a notice is."""

    ANNOUNCEMENT = "announcement"
    READ_ONLY = "read-only"


class Notice(NamedTuple):
    """Something that everybody is told."""

    id: int
    kind: str
    text: str
    begins_at: datetime
    ends_at: datetime | None


class CurrentNotices(NamedTuple):
    """What everybody is told now, the newest first; and why nothing may be changed, in read-only mode."""

    announcements: Sequence[Notice] = ()
    read_only: Notice | None = None


_AT = sa.bindparam("now", type_=sa.String)
_CURRENT = ReadStatement(
    sa.select(*(notices.c[name] for name in Notice._fields))
    .where(notices.c.begins_at <= _AT, sa.or_(notices.c.ends_at.is_(None), notices.c.ends_at > _AT))
    .order_by(notices.c.id.desc())
    .limit(MOST_SHOWN)
)


class NoticeBoard:
    """What one process knows of the notices: at most `LOOK_SECONDS` old, and looked at only when somebody asks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known = CurrentNotices()
        self._looked_at = float("-inf")

    async def read(self) -> CurrentNotices:
        """Return the notices of now; where the database does not answer, those that were known before."""
        try:
            return await self._look()
        except DatabaseUnavailableError:
            return self._known

    async def _look(self) -> CurrentNotices:
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            # Others meanwhile go by what was known.
            self._looked_at = time.monotonic()
            try:
                self._known = await get_current(self._database)
            except DatabaseUnavailableError:
                self.forget()
                raise
        return self._known

    async def require_writable(self) -> None:
        """Return if changes are taken.

        Raises:
            ReadOnlyModeError: the site is in read-only mode.
            DatabaseUnavailableError: the database is away, in trouble or full: it would take no change either.
        """
        notice = (await self._look()).read_only
        if notice is None:
            return
        wait = USUAL_WAIT_SECONDS
        if notice.ends_at is not None:
            wait = int((notice.ends_at - self._database.now()).total_seconds()) + 1
        wait = min(max(wait, SHORTEST_WAIT_SECONDS), LONGEST_WAIT_SECONDS)
        raise ReadOnlyModeError(notice.text, retry_after_seconds=wait)

    def forget(self) -> None:
        """Look anew when somebody asks next."""
        self._looked_at = float("-inf")


async def get_current(database: Database) -> CurrentNotices:
    """Return what everybody is told now."""
    rows = await database.reader.rows(_CURRENT, {"now": utc_as_text(database.now())})
    found = [Notice(row[0], row[1], row[2], moment_of(row[3]), row[4] and moment_of(row[4])) for row in rows]
    return CurrentNotices(
        [notice for notice in found if notice.kind == NoticeKind.ANNOUNCEMENT],
        next((notice for notice in found if notice.kind == NoticeKind.READ_ONLY), None),
    )


async def add_notice(session: AsyncSession, kind: NoticeKind, text: str, *, ends_at: datetime | None) -> int:
    """Tell everybody something from now on; return its number."""
    values = {"kind": kind, "text": text, "begins_at": now_of(session), "ends_at": ends_at}
    return inserted_id(await session.execute(sa.insert(notices).values(values)))


async def end_notices(session: AsyncSession, kind: NoticeKind, *, notice_id: int | None = None) -> int:
    """End a notice, or all of the kind; return how many there were."""
    now = now_of(session)
    lasting = sa.and_(notices.c.kind == kind, sa.or_(notices.c.ends_at.is_(None), notices.c.ends_at > now))
    if notice_id is not None:
        lasting = sa.and_(lasting, notices.c.id == notice_id)
    return row_count(await session.execute(sa.update(notices).where(lasting).values(ends_at=now)))


async def delete_ended(session: AsyncSession, before: datetime) -> int:
    """Forget notices that ended before the given time; return how many."""
    return row_count(await session.execute(sa.delete(notices).where(notices.c.ends_at < before)))
