"""Statements on `spent_challenges`: challenges that were answered, until they would have ended anyway."""

import hashlib
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import row_count
from app.db.passkey_tables import spent_challenges


async def spend(session: AsyncSession, challenge: bytes, *, ends_at: datetime) -> bool:
    """Keep that the challenge was answered; False if it was before."""
    digest = hashlib.sha256(challenge).hexdigest()
    try:
        async with session.begin_nested():
            await session.execute(
                sa.insert(spent_challenges).values(challenge_digest=digest, expires_at=ends_at)
            )
    except IntegrityError:
        return False
    return True


async def delete_expired(session: AsyncSession, now: datetime) -> int:
    """Forget challenges that have ended; return how many."""
    return row_count(
        await session.execute(sa.delete(spent_challenges).where(spent_challenges.c.expires_at < now))
    )
