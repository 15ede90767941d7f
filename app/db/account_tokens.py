"""Statements on `account_tokens`: the secrets of mail links, of which only digests are stored."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import row_count
from app.db.tables import account_tokens


class AccountToken(NamedTuple):
    """A token's row."""

    user_id: int
    purpose: str
    email: str | None
    expires_at: datetime
    used_at: datetime | None


_COLUMNS = tuple(account_tokens.c[name] for name in AccountToken._fields)


async def add_token(
    session: AsyncSession,
    *,
    token_digest: str,
    user_id: int,
    purpose: str,
    email: str | None,
    now: datetime,
    expires_at: datetime,
) -> None:
    """Store a new token; older ones of the same purpose stop working."""
    same = sa.and_(account_tokens.c.user_id == user_id, account_tokens.c.purpose == purpose)
    await session.execute(sa.delete(account_tokens).where(same))
    await session.execute(
        sa.insert(account_tokens).values(
            token_digest=token_digest,
            user_id=user_id,
            purpose=purpose,
            email=email,
            created_at=now,
            expires_at=expires_at,
        )
    )


async def get_token(session: AsyncSession, *, token_digest: str) -> AccountToken | None:
    """Return the token, used and expired ones included."""
    statement = sa.select(*_COLUMNS).where(account_tokens.c.token_digest == token_digest)
    row = (await session.execute(statement)).first()
    return AccountToken._make(row) if row else None


async def use_token(session: AsyncSession, *, token_digest: str, now: datetime) -> bool:
    """Mark the token used; False if another request was faster."""
    unused = sa.and_(account_tokens.c.token_digest == token_digest, account_tokens.c.used_at.is_(None))
    return row_count(await session.execute(sa.update(account_tokens).where(unused).values(used_at=now))) == 1


async def delete_unused(session: AsyncSession, user_id: int, *, purpose: str | None = None) -> None:
    """Make every link of the user worthless that was not used yet; only those of one purpose, if it is given."""
    unused = sa.and_(account_tokens.c.user_id == user_id, account_tokens.c.used_at.is_(None))
    if purpose is not None:
        unused = sa.and_(unused, account_tokens.c.purpose == purpose)
    await session.execute(sa.delete(account_tokens).where(unused))


async def delete_of_user(session: AsyncSession, user_id: int) -> None:
    """Forget all tokens of a user."""
    await session.execute(sa.delete(account_tokens).where(account_tokens.c.user_id == user_id))


async def delete_expired(session: AsyncSession, now: datetime) -> int:
    """Forget tokens that have ended; return how many."""
    return row_count(
        await session.execute(sa.delete(account_tokens).where(account_tokens.c.expires_at < now))
    )
