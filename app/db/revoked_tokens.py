"""Statements on `revoked_tokens`, the denylist: access tokens that were logged out before their end."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import row_count, upsert
from app.db.tables import revoked_tokens, sessions


async def add_revoked_token(session: AsyncSession, *, jti: str, user_id: int, expires_at: datetime) -> None:
    """Refuse the token from now on. Logging out twice is no error."""
    values = {"jti": jti, "user_id": user_id, "expires_at": expires_at}
    await upsert(session, revoked_tokens, values, update={"expires_at": expires_at})


async def add_later_tokens(session: AsyncSession, user_id: int, now: datetime) -> None:
    """Refuse the user's tokens that say they were issued later than now: a cut-off in time does not reach them."""
    known = sa.select(revoked_tokens.c.jti).where(revoked_tokens.c.jti == sessions.c.jti).exists()
    later = sa.select(sessions.c.jti, sessions.c.user_id, sessions.c.expires_at).where(
        sessions.c.user_id == user_id, sessions.c.created_at > now, ~known
    )
    await session.execute(sa.insert(revoked_tokens).from_select(["jti", "user_id", "expires_at"], later))


async def delete_expired(session: AsyncSession, now: datetime) -> int:
    """Forget tokens that have ended by themselves; return how many."""
    result = await session.execute(sa.delete(revoked_tokens).where(revoked_tokens.c.expires_at < now))
    return row_count(result)
