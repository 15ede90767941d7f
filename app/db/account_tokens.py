"""Statements on `account_tokens`: the secrets of mail links, of which only digests are stored."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.results import row_count
from app.db.tables import account_tokens, users


class AccountToken(NamedTuple):
    """A token's row, joined with whether its owner is active."""

    user_id: int
    expires_at: datetime
    used_at: datetime | None
    owner_active: bool


async def add_token(
    session: AsyncSession,
    *,
    token_digest: str,
    user_id: int,
    purpose: str,
    now: datetime,
    expires_at: datetime,
) -> None:
    """Store a new token; older ones of the same purpose stop working."""
    same = sa.and_(account_tokens.c.user_id == user_id, account_tokens.c.purpose == purpose)
    await session.execute(sa.delete(account_tokens).where(same))
    await session.execute(
        sa.insert(account_tokens).values(
            token_digest=token_digest, user_id=user_id, purpose=purpose, created_at=now, expires_at=expires_at
        )
    )


async def get_token(session: AsyncSession, *, token_digest: str, purpose: str) -> AccountToken | None:
    """Return the token of this purpose, used and expired ones included."""
    statement = (
        sa.select(
            account_tokens.c.user_id, account_tokens.c.expires_at, account_tokens.c.used_at, users.c.active
        )
        .join(users, users.c.id == account_tokens.c.user_id)
        .where(account_tokens.c.token_digest == token_digest, account_tokens.c.purpose == purpose)
    )
    row = (await session.execute(statement)).first()
    return AccountToken(*row[:3], owner_active=row[3] == 1) if row else None


async def use_token(session: AsyncSession, *, token_digest: str, now: datetime) -> bool:
    """Mark the token used; False if another request was faster."""
    unused = sa.and_(account_tokens.c.token_digest == token_digest, account_tokens.c.used_at.is_(None))
    result = await session.execute(sa.update(account_tokens).where(unused).values(used_at=now))
    return row_count(result) == 1


async def delete_expired(session: AsyncSession, now: datetime) -> int:
    """Forget tokens that have ended; return how many."""
    result = await session.execute(sa.delete(account_tokens).where(account_tokens.c.expires_at < now))
    return row_count(result)
