"""Statements on `index_changes`: what was made or changed, for the search index of every machine (docs/search.md)."""

from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import DatabaseUnavailableError
from app.db.engine import Database, notify_after_commit, now_of
from app.db.reader import Reader, ReadStatement, moment_of, utc_as_text
from app.db.site_tables import index_changes
from app.events.notifications import INDEX

log = structlog.get_logger(__name__)

RETENTION: Final = timedelta(days=7)
"""How long a machine may be away, and still hear of each change; the lists tell it the rest."""
OVERLAP: Final = timedelta(seconds=60)
"""Transactions are committed in another order than they are numbered: so long, lower numbers are looked for."""
LONGEST_OVERLAP: Final = 1000

Kind = Literal["data", "task", "study", "user"]


class IndexChange(NamedTuple):
    """One thing that an index has to look at again; `user_id` is who made it, where that is known."""

    id: int
    kind: str
    entity_id: int
    user_id: int | None
    at: datetime


_ADD = sa.insert(index_changes)
_NEXT = ReadStatement(
    sa.select(*(index_changes.c[name] for name in IndexChange._fields))
    .where(
        index_changes.c.id > sa.bindparam("first"),
        sa.or_(
            index_changes.c.id > sa.bindparam("after"),
            index_changes.c.at > sa.bindparam("since", type_=sa.String),
        ),
    )
    .order_by(index_changes.c.id)
    .limit(sa.bindparam("limit", type_=sa.Integer))
)
_NEWEST = ReadStatement(sa.select(sa.func.max(index_changes.c.id)))


async def add_change(
    session: AsyncSession, kind: Kind, entity_id: int, *, user_id: int | None = None
) -> None:
    """Have every index look at something again, once this transaction is committed."""
    values = {"kind": kind, "entity_id": entity_id, "user_id": user_id, "at": now_of(session)}
    await session.execute(_ADD, values)
    notify_after_commit(session, INDEX)


async def tell_indices(database: Database, kind: Kind, entity_id: int, *, user_id: int | None = None) -> None:
    """Have every index look again at what was changed at OpenML; that stands, whether or not this can be written."""
    try:
        async with database.session() as session:
            await add_change(session, kind, entity_id, user_id=user_id)
    except DatabaseUnavailableError as error:
        log.warning("the index is not told", kind=kind, entity=entity_id, reason=str(error))


async def get_changes(reader: Reader, *, now: datetime, after: int, limit: int) -> list[IndexChange]:
    """Return the next changes after a number, and before them those of the last minute that may have come late."""
    named = {"after": after, "first": after - LONGEST_OVERLAP, "since": utc_as_text(now - OVERLAP)}
    rows = await reader.rows(_NEXT, {**named, "limit": LONGEST_OVERLAP + limit})
    found = [IndexChange._make([*row[:-1], moment_of(row[-1])]) for row in rows]
    new = [change for change in found if change.id > after]
    return [change for change in found if change.id <= after] + new[:limit]


async def get_newest(reader: Reader) -> int:
    """Return the number of the newest change; 0 if there is none."""
    row = await reader.first(_NEWEST, {})
    return int(row[0] or 0) if row else 0


async def delete_before(session: AsyncSession, *, before: datetime) -> None:
    """Delete changes that every machine has seen, or sees in the lists."""
    await session.execute(sa.delete(index_changes).where(index_changes.c.at < before))
