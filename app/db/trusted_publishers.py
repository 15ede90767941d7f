"""Statements on `trusted_publishers` and `used_subject_tokens`: which CI jobs a user trusts, and which have come."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import inserted_id, row_count
from app.db.token_tables import trusted_publishers, used_subject_tokens

MOST_CANDIDATES = 1000
"""Rows of one repository that are looked at: one for each user and pattern."""


class TrustedPublisher(NamedTuple):
    """CI jobs that may act for a user: their issuer, a pattern of their subjects, and claims that they need."""

    id: int
    user_id: int
    issuer: str
    subject: str
    claims: Mapping[str, str]
    created_at: datetime
    last_used_at: datetime | None = None


_COLUMNS = tuple(trusted_publishers.c[name] for name in TrustedPublisher._fields)


async def add_publisher(
    session: AsyncSession,
    *,
    user_id: int,
    issuer: str,
    subject: str,
    subject_key: str,
    claims: Mapping[str, str],
    now: datetime,
) -> TrustedPublisher:
    """Keep whom a user trusts."""
    values = {"user_id": user_id, "issuer": issuer, "subject": subject, "claims": claims, "created_at": now}
    added = await session.execute(sa.insert(trusted_publishers).values(subject_key=subject_key, **values))
    return TrustedPublisher(inserted_id(added), user_id, issuer, subject, claims, now)


async def get_of_user(session: AsyncSession, user_id: int) -> list[TrustedPublisher]:
    """Return whom a user trusts, newest first."""
    mine = sa.select(*_COLUMNS).where(trusted_publishers.c.user_id == user_id)
    return await _read(session, mine.order_by(trusted_publishers.c.id.desc()))


async def find_candidates(session: AsyncSession, *, issuer: str, subject_key: str) -> list[TrustedPublisher]:
    """Return who may fit a subject that begins so; the database compares without regard to case."""
    statement = sa.select(*_COLUMNS).where(
        trusted_publishers.c.issuer == issuer, trusted_publishers.c.subject_key == subject_key
    )
    return await _read(session, statement.order_by(trusted_publishers.c.id).limit(MOST_CANDIDATES))


async def delete_publisher(session: AsyncSession, user_id: int, publisher_id: int) -> str | None:
    """Forget one whom a user trusts; return its subject, None if there is none."""
    mine = sa.and_(trusted_publishers.c.user_id == user_id, trusted_publishers.c.id == publisher_id)
    subject: str | None = await session.scalar(sa.select(trusted_publishers.c.subject).where(mine))
    if subject is None or row_count(await session.execute(sa.delete(trusted_publishers).where(mine))) == 0:
        return None
    return subject


async def delete_of_user(session: AsyncSession, user_id: int) -> int:
    """Forget everybody whom a user trusts; return how many there were."""
    mine = trusted_publishers.c.user_id == user_id
    return row_count(await session.execute(sa.delete(trusted_publishers).where(mine)))


async def note_job(session: AsyncSession, publisher_id: int, now: datetime) -> bool:
    """Keep that a job came; False if its publisher is not trusted any more."""
    statement = sa.update(trusted_publishers).where(trusted_publishers.c.id == publisher_id)
    return row_count(await session.execute(statement.values(last_used_at=now))) == 1


async def use_subject_token(session: AsyncSession, digest: str, expires_at: datetime) -> bool:
    """Keep that a job's token was exchanged, until it ends; False if it was before."""
    values = {"digest": digest, "expires_at": expires_at}
    try:
        async with session.begin_nested():
            await session.execute(sa.insert(used_subject_tokens).values(values))
    except IntegrityError:
        return False
    return True


async def delete_expired(session: AsyncSession, before: datetime) -> int:
    """Forget tokens of jobs that ended before the given time; return how many."""
    return row_count(
        await session.execute(sa.delete(used_subject_tokens).where(used_subject_tokens.c.expires_at < before))
    )


async def _read(session: AsyncSession, statement: sa.Select[tuple[object, ...]]) -> list[TrustedPublisher]:
    return [TrustedPublisher._make(row) for row in await session.execute(statement)]
