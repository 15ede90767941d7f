"""Statements on `audit_events`: what happened to an account, for its owner and for operators."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.reader import Reader, ReadStatement
from app.db.results import row_count
from app.db.tables import audit_events


class AuditEvent(NamedTuple):
    """One thing that happened."""

    at: datetime
    kind: str
    ip_address: str
    user_agent: str


_COLUMNS = tuple(audit_events.c[name] for name in AuditEvent._fields)
_FROM_ADDRESS = ReadStatement(
    sa.select(audit_events.c.id)
    .where(
        audit_events.c.user_id == sa.bindparam("user_id"),
        audit_events.c.ip_address == sa.bindparam("ip_address"),
        audit_events.c.kind.in_([sa.bindparam("kind"), sa.bindparam("other_kind")]),
    )
    .limit(1)
)


async def add_event(
    session: AsyncSession, user_id: int, *, kind: str, now: datetime, ip_address: str, user_agent: str
) -> None:
    """Write down what happened."""
    values = {"user_id": user_id, "kind": kind, "at": now, "ip_address": ip_address, "user_agent": user_agent}
    await session.execute(sa.insert(audit_events).values(values))


async def get_events(session: AsyncSession, user_id: int, *, limit: int) -> list[AuditEvent]:
    """Return a user's latest events, newest first."""
    statement = sa.select(*_COLUMNS).where(audit_events.c.user_id == user_id)
    newest_first = statement.order_by(audit_events.c.id.desc()).limit(limit)
    return [AuditEvent._make(row) for row in await session.execute(newest_first)]


async def has_event(reader: Reader, user_id: int, ip_address: str, *, kinds: tuple[str, str]) -> bool:
    """Say whether one of two things happened to the account from this address."""
    parameters = {"user_id": user_id, "ip_address": ip_address, "kind": kinds[0], "other_kind": kinds[1]}
    return await reader.first(_FROM_ADDRESS, parameters) is not None


async def delete_before(session: AsyncSession, before: datetime) -> int:
    """Forget events before the given time; return how many."""
    return row_count(await session.execute(sa.delete(audit_events).where(audit_events.c.at < before)))


async def delete_of_user(session: AsyncSession, user_id: int) -> None:
    """Forget everything about a user."""
    await session.execute(sa.delete(audit_events).where(audit_events.c.user_id == user_id))
