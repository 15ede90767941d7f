"""Statements on `audit_events`: what happened to an account, for its owner and for operators."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import row_count
from app.db.reader import Reader, ReadStatement
from app.db.tables import audit_events


class AuditEvent(NamedTuple):
    """One thing that happened."""

    id: int
    at: datetime
    kind: str
    ip_address: str
    user_agent: str
    detail: str | None
    administrator_id: int | None


_ADD = sa.insert(audit_events)
_COLUMNS = tuple(audit_events.c[name] for name in AuditEvent._fields)
_FROM_THERE = ReadStatement(
    sa.select(audit_events.c.id)
    .where(
        audit_events.c.user_id == sa.bindparam("user_id"),
        # Events of earlier versions have their address only.
        sa.or_(
            audit_events.c.network == sa.bindparam("network"),
            audit_events.c.ip_address == sa.bindparam("ip_address"),
        ),
        audit_events.c.kind.in_([sa.bindparam("kind"), sa.bindparam("other_kind")]),
    )
    .limit(1)
)


async def add_event(
    session: AsyncSession,
    user_id: int,
    *,
    kind: str,
    now: datetime,
    ip_address: str,
    network: str,
    user_agent: str,
    device: str = "",
    detail: str | None = None,
    administrator_id: int | None = None,
) -> None:
    """Write down what happened."""
    values = {
        "user_id": user_id,
        "kind": kind,
        "at": now,
        "ip_address": ip_address,
        "network": network,
        "user_agent": user_agent,
        "device": device,
        "detail": detail,
        "administrator_id": administrator_id,
    }
    await session.execute(_ADD, values)


async def get_events(
    session: AsyncSession, user_id: int, *, limit: int, before: int | None = None, kind: str | None = None
) -> list[AuditEvent]:
    """Return a user's latest events, newest first: those older than the event `before`, and of one `kind`."""
    statement = sa.select(*_COLUMNS).where(audit_events.c.user_id == user_id)
    if before is not None:
        statement = statement.where(audit_events.c.id < before)
    if kind is not None:
        statement = statement.where(audit_events.c.kind == kind)
    newest_first = statement.order_by(audit_events.c.id.desc()).limit(limit)
    return [AuditEvent._make(row) for row in await session.execute(newest_first)]


async def has_event(
    reader: Reader, user_id: int, *, network: str, ip_address: str, kinds: Sequence[str]
) -> bool:
    """Say whether this, one thing or two, has happened to the account from this network."""
    parameters = {
        "user_id": user_id,
        "network": network,
        "ip_address": ip_address,
        "kind": kinds[0],
        "other_kind": kinds[-1],
    }
    return await reader.first(_FROM_THERE, parameters) is not None


async def count_since(session: AsyncSession, user_id: int, *, kind: str, since: datetime) -> int:
    """Return how often this has happened to the account since then."""
    found = sa.and_(audit_events.c.user_id == user_id, audit_events.c.kind == kind, audit_events.c.at > since)
    return await session.scalar(sa.select(sa.func.count()).where(found)) or 0


async def has_been(
    session: AsyncSession, user_id: int, *, kind: str, administrator_id: int, since: datetime
) -> bool:
    """Say whether an administrator did this to the account since then."""
    statement = sa.select(audit_events.c.id).where(
        audit_events.c.user_id == user_id,
        audit_events.c.kind == kind,
        audit_events.c.administrator_id == administrator_id,
        audit_events.c.at > since,
    )
    return await session.scalar(statement.limit(1)) is not None


async def delete_before(session: AsyncSession, before: datetime) -> int:
    """Forget events before the given time; return how many."""
    return row_count(await session.execute(sa.delete(audit_events).where(audit_events.c.at < before)))


async def delete_of_user(session: AsyncSession, user_id: int) -> None:
    """Forget everything about a user."""
    await session.execute(sa.delete(audit_events).where(audit_events.c.user_id == user_id))
