"""Statements on `sessions`: which access tokens a user has, from where, and when they were last used.

For people to look at. Whether a token is good is decided by the denylist and by `account_states`.
"""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.tokens import AccessToken
from app.db.engine import row_count
from app.db.reader import Reader, ReadStatement, moment_of
from app.db.tables import UtcDateTime, account_states, revoked_tokens, sessions


class Session(NamedTuple):
    """A row that a user may see of their own."""

    jti: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    ip_address: str
    user_agent: str
    methods: str
    family_id: str | None


class LastProof(NamedTuple):
    """By what somebody has shown in a session who they are, and when for the last time."""

    methods: str
    authenticated_at: datetime


_AUTHENTICATED = ReadStatement(
    sa.select(sa.func.coalesce(sessions.c.reauthenticated_at, sessions.c.created_at)).where(
        sessions.c.jti == sa.bindparam("jti")
    ),
    by_key=True,
)
_ADD = sa.insert(sessions)
_COLUMNS = tuple(sessions.c[name] for name in Session._fields)


async def add_session(
    session: AsyncSession,
    token: AccessToken,
    methods: str,
    *,
    ip_address: str,
    user_agent: str,
    family_id: str | None = None,
) -> None:
    """Keep that the token was issued, and after what its owner had shown (`core/methods.py`)."""
    values = {
        "jti": token.jti,
        "user_id": token.user_id,
        "created_at": token.issued_at,
        "last_seen_at": token.issued_at,
        "expires_at": token.expires_at,
        "ip_address": ip_address,
        "user_agent": user_agent,
        "methods": methods,
        "family_id": family_id,
    }
    await session.execute(_ADD, values)


async def set_last_seen(session: AsyncSession, jti: str, now: datetime) -> None:
    """Keep that the token was used."""
    await session.execute(sa.update(sessions).where(sessions.c.jti == jti).values(last_seen_at=now))


async def get_methods(session: AsyncSession, jti: str) -> str | None:
    """Return by what the session began and was confirmed; None if there is no such session."""
    return await session.scalar(sa.select(sessions.c.methods).where(sessions.c.jti == jti))


async def get_family(session: AsyncSession, jti: str) -> str | None:
    """Return the session that stays of which this is a part; None if it does not stay."""
    return await session.scalar(sa.select(sessions.c.family_id).where(sessions.c.jti == jti))


async def get_tokens_of(session: AsyncSession, family_id: str, now: datetime) -> list[tuple[str, datetime]]:
    """Return the id and the end of each access token of a session that stays, if it still opens something."""
    live = sa.and_(sessions.c.family_id == family_id, sessions.c.expires_at > now)
    return [
        (row[0], row[1])
        for row in await session.execute(sa.select(sessions.c.jti, sessions.c.expires_at).where(live))
    ]


async def get_latest_of(session: AsyncSession, family_id: str) -> LastProof | None:
    """Return what was shown in a session that stays; None if none of its access tokens is known any more."""
    at = sa.func.coalesce(sessions.c.reauthenticated_at, sessions.c.created_at, type_=UtcDateTime)
    latest = (
        sa.select(sessions.c.methods, at)
        .where(sessions.c.family_id == family_id)
        .order_by(at.desc())
        .limit(1)
    )
    row = (await session.execute(latest)).first()
    return LastProof(row[0], row[1]) if row else None


async def set_authenticated_at(session: AsyncSession, jti: str, at: datetime) -> None:
    """Keep when somebody has shown who they are, for a session that began without that."""
    await session.execute(sa.update(sessions).where(sessions.c.jti == jti).values(reauthenticated_at=at))


async def set_reauthenticated(session: AsyncSession, jti: str, methods: str, now: datetime) -> None:
    """Keep that the user has shown once more who they are, and by which methods in all."""
    again = sa.update(sessions).where(sessions.c.jti == jti)
    await session.execute(again.values(reauthenticated_at=now, methods=methods))


async def get_authenticated_at(reader: Reader, jti: str) -> datetime | None:
    """Return when the password was last given in the session, at its beginning or since; None if there is none."""
    row = await reader.first(_AUTHENTICATED, {"jti": jti})
    return moment_of(row[0]) if row else None


async def get_live_sessions(session: AsyncSession, user_id: int, now: datetime) -> list[Session]:
    """Return the user's sessions whose tokens still open something, newest first."""
    statement = (
        sa.select(*_COLUMNS)
        .outerjoin(revoked_tokens, revoked_tokens.c.jti == sessions.c.jti)
        .outerjoin(account_states, account_states.c.user_id == sessions.c.user_id)
        .where(
            sessions.c.user_id == user_id,
            sessions.c.expires_at > now,
            revoked_tokens.c.jti.is_(None),
            sa.or_(
                account_states.c.tokens_valid_from.is_(None),
                sessions.c.created_at > account_states.c.tokens_valid_from,
            ),
        )
        .order_by(sessions.c.created_at.desc())
    )
    return [Session._make(row) for row in await session.execute(statement)]


async def delete_sessions(session: AsyncSession, user_id: int) -> None:
    """Forget all sessions of a user."""
    await session.execute(sa.delete(sessions).where(sessions.c.user_id == user_id))


async def delete_expired(session: AsyncSession, before: datetime) -> int:
    """Forget sessions that ended before the given time; return how many."""
    return row_count(await session.execute(sa.delete(sessions).where(sessions.c.expires_at < before)))
