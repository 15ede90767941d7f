"""Statements that read what people show of each other: never an address, a key or a name to log in with."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables import account_states, users
from app.db.typed_texts import as_typed


class PublicProfile(NamedTuple):
    """A user as everybody may see them; `created_at` is None where other servers have noted nothing."""

    id: int
    first_name: str
    last_name: str
    bio: str
    image: str
    company: str
    country: str
    created_at: datetime | None


_TEXTS = ("first_name", "last_name", "bio", "image", "company", "country")
_SELECT = sa.select(
    users.c.id,
    *(sa.func.coalesce(users.c[name], "") for name in _TEXTS),
    users.c.created_on,
    account_states.c.typed_texts,
).outerjoin(account_states, account_states.c.user_id == users.c.id)
_OPEN = users.c.active == 1


async def get_profiles(session: AsyncSession, *, after: int, limit: int) -> list[PublicProfile]:
    """Return open accounts with larger numbers, in their order."""
    statement = _SELECT.where(users.c.id > after, _OPEN).order_by(users.c.id).limit(limit)
    return [_profile(tuple(row)) for row in await session.execute(statement)]


async def get_profile(session: AsyncSession, user_id: int) -> PublicProfile | None:
    """Return an account; None if it is not open."""
    row = (await session.execute(_SELECT.where(users.c.id == user_id, _OPEN))).first()
    return _profile(tuple(row)) if row else None


def _profile(row: tuple[Any, ...]) -> PublicProfile:
    user_id, *texts, created_on, typed = row
    found: dict[str, Any] = dict(zip(_TEXTS, texts, strict=True))
    if typed:
        found = dict(as_typed(found, typed))
    # The Flask backend writes "0000" for what nobody has said.
    found = {name: "" if value == "0000" else value for name, value in found.items()}
    created_at = datetime.fromtimestamp(created_on, UTC) if created_on else None
    return PublicProfile(id=user_id, created_at=created_at, **found)
