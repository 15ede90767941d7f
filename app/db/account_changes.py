"""Statements on `account_changes`: what was before a change, for whoever undoes it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.sign_in_tables import account_changes


class Change(NamedTuple):
    """A change that can be undone."""

    id: int
    user_id: int
    kind: str
    before: Mapping[str, Any]
    expires_at: datetime


_COLUMNS = tuple(account_changes.c[name] for name in Change._fields)


async def add(
    session: AsyncSession,
    user_id: int,
    *,
    link_digest: str,
    kind: str,
    before: Mapping[str, Any],
    email: str | None,
    expires_at: datetime,
) -> None:
    """Keep what was before a change, until `expires_at`; so long nobody else may take the address `email`."""
    values = {
        "user_id": user_id,
        "link_digest": link_digest,
        "kind": kind,
        "before": dict(before),
        "email": email,
        "expires_at": expires_at,
    }
    await session.execute(sa.insert(account_changes).values(values))


async def get(session: AsyncSession, link_digest: str) -> Change | None:
    """Return the change of a link, also one that is too old."""
    statement = sa.select(*_COLUMNS).where(account_changes.c.link_digest == link_digest)
    row = (await session.execute(statement)).first()
    return Change._make(row) if row else None


async def take_since(session: AsyncSession, change: Change) -> list[Change]:
    """Remove a change and all later ones of its user, and return them, the newest first."""
    later = sa.and_(account_changes.c.user_id == change.user_id, account_changes.c.id >= change.id)
    newest_first = sa.select(*_COLUMNS).where(later).order_by(account_changes.c.id.desc())
    found = [Change._make(row) for row in await session.execute(newest_first)]
    await session.execute(sa.delete(account_changes).where(later))
    return found


async def strike_code(session: AsyncSession, user_id: int, code_digest: str) -> None:
    """Take a recovery code, which was used, out of what was before the user's changes."""
    of_user = sa.select(account_changes.c.id, account_changes.c.before).where(
        account_changes.c.user_id == user_id
    )
    for change_id, before in (await session.execute(of_user)).all():
        if code_digest in (codes := before.get("codes", ())):
            left = {**before, "codes": [each for each in codes if each != code_digest]}
            this = account_changes.c.id == change_id
            await session.execute(sa.update(account_changes).where(this).values(before=left))


async def delete_of_user(session: AsyncSession, user_id: int) -> None:
    """Forget all changes of a user."""
    await session.execute(sa.delete(account_changes).where(account_changes.c.user_id == user_id))


async def delete_expired(session: AsyncSession, now: datetime) -> None:
    """Forget changes that cannot be undone any more."""
    await session.execute(sa.delete(account_changes).where(account_changes.c.expires_at < now))
