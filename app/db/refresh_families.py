"""Statements on `refresh_families`: sessions that stay, with one refresh token each, of which digests are stored."""

from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.reader import Reader, ReadStatement
from app.db.sign_in_tables import refresh_families

ABSOLUTE = timedelta(days=30)
"""When a session that stays ends, however much it is used."""
IDLE = timedelta(days=7)
"""When it ends if nobody uses it."""


class RefreshFamily(NamedTuple):
    """A session that stays: all tokens that were made of its first refresh token."""

    id: str
    user_id: int
    methods: str
    token_digest: str
    previous_digest: str | None
    created_at: datetime
    rotated_at: datetime
    expires_at: datetime
    ip_address: str
    user_agent: str


_COLUMNS = tuple(refresh_families.c[name] for name in RefreshFamily._fields)
_OWNER = ReadStatement(
    sa.select(refresh_families.c.user_id).where(refresh_families.c.id == sa.bindparam("id")), by_key=True
)


async def add(session: AsyncSession, family: RefreshFamily) -> None:
    """Keep a new one."""
    await session.execute(sa.insert(refresh_families).values(family._asdict()))


async def find_owner(reader: Reader, family_id: str) -> int | None:
    """Return whose it is; None if there is none."""
    row = await reader.first(_OWNER, {"id": family_id})
    return int(row[0]) if row else None


async def get(session: AsyncSession, family_id: str) -> RefreshFamily | None:
    """Return it, also one that is too old."""
    row = (await session.execute(sa.select(*_COLUMNS).where(refresh_families.c.id == family_id))).first()
    return RefreshFamily._make(row) if row else None


async def get_of_user(session: AsyncSession, user_id: int, now: datetime) -> list[RefreshFamily]:
    """Return those of a user that can go on, the newest first."""
    live = sa.and_(
        refresh_families.c.user_id == user_id,
        refresh_families.c.rotated_at > now - IDLE,
        refresh_families.c.expires_at > now,
    )
    newest_first = sa.select(*_COLUMNS).where(live).order_by(refresh_families.c.created_at.desc())
    return [RefreshFamily._make(row) for row in await session.execute(newest_first)]


async def rotate(
    session: AsyncSession,
    family: RefreshFamily,
    *,
    token_digest: str,
    now: datetime,
    ip_address: str,
    user_agent: str,
) -> None:
    """Replace the refresh token by the next one."""
    values = {
        "token_digest": token_digest,
        "previous_digest": family.token_digest,
        "rotated_at": now,
        "ip_address": ip_address,
        "user_agent": user_agent,
    }
    this = refresh_families.c.id == family.id
    await session.execute(sa.update(refresh_families).where(this).values(values))


async def delete(session: AsyncSession, family_id: str) -> None:
    """End it."""
    await session.execute(sa.delete(refresh_families).where(refresh_families.c.id == family_id))


async def delete_of_user(session: AsyncSession, user_id: int) -> None:
    """End all of a user."""
    await session.execute(sa.delete(refresh_families).where(refresh_families.c.user_id == user_id))


async def delete_ended(session: AsyncSession, now: datetime) -> None:
    """Forget those that cannot go on."""
    ended = sa.or_(refresh_families.c.expires_at < now, refresh_families.c.rotated_at < now - IDLE)
    await session.execute(sa.delete(refresh_families).where(ended))
