"""Statements on `api_tokens`: what programs sign in with, of which only digests are stored."""

from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import inserted_id, row_count
from app.db.reader import Reader, ReadStatement, utc_from_text
from app.db.tables import account_states, users
from app.db.token_tables import api_tokens
from app.db.typed_texts import as_typed
from app.db.users import ACCOUNT_COLUMNS, Account


class ApiToken(NamedTuple):
    """A token as its owner sees it."""

    id: int
    user_id: int
    name: str
    scopes: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = None
    last_network: str | None = None
    publisher_id: int | None = None


class TokenUse(NamedTuple):
    """What a request with a token depends on."""

    id: int
    scopes: frozenset[str]
    expires_at: datetime | None
    last_used_at: datetime | None


_COLUMNS = tuple(api_tokens.c[name] for name in ApiToken._fields)
_BY_DIGEST = ReadStatement(
    sa.select(
        *ACCOUNT_COLUMNS,
        account_states.c.typed_texts,
        api_tokens.c.id.label("token_id"),
        api_tokens.c.scopes,
        api_tokens.c.expires_at,
        api_tokens.c.last_used_at,
    )
    .select_from(
        api_tokens.join(users, users.c.id == api_tokens.c.user_id).outerjoin(
            account_states, account_states.c.user_id == users.c.id
        )
    )
    .where(api_tokens.c.digest == sa.bindparam("digest")),
    by_key=True,
    pack=True,
)


async def get_account_by_token(reader: Reader, digest: str) -> tuple[Account, TokenUse] | None:
    """Return the user whose token it is, expired ones included, and what the token allows, in one round trip."""
    row = await reader.first(_BY_DIGEST, {"digest": digest})
    if row is None:
        return None
    *columns, typed, token_id, scopes, expires_at, last_used_at = row
    use = TokenUse(
        token_id, frozenset(scopes.split()), utc_from_text(expires_at), utc_from_text(last_used_at)
    )
    account = Account._make(columns)
    return Account(**as_typed(account._asdict(), typed)) if typed else account, use


async def add_token(
    session: AsyncSession,
    *,
    user_id: int,
    name: str,
    digest: str,
    scopes: str,
    now: datetime,
    expires_at: datetime | None,
    publisher_id: int | None = None,
    told_days: int | None = None,
) -> int:
    """Keep a new token; return its number."""
    values = {
        "user_id": user_id,
        "name": name,
        "digest": digest,
        "scopes": scopes,
        "created_at": now,
        "expires_at": expires_at,
        "publisher_id": publisher_id,
        "told_days": told_days,
    }
    return inserted_id(await session.execute(sa.insert(api_tokens).values(values)))


def _untold(days: int) -> sa.ColumnElement[bool]:
    return sa.or_(api_tokens.c.told_days.is_(None), api_tokens.c.told_days > days)


async def get_ending(session: AsyncSession, *, days: int, now: datetime, limit: int) -> list[ApiToken]:
    """Return tokens that their owners made, which end within so many days, and of which nobody was told so late."""
    ends = api_tokens.c.expires_at.between(now, now + timedelta(days=days))
    statement = sa.select(*_COLUMNS).where(ends, api_tokens.c.publisher_id.is_(None), _untold(days))
    return [ApiToken._make(row) for row in await session.execute(statement.limit(limit))]


async def set_told(session: AsyncSession, token_id: int, *, days: int) -> bool:
    """Note that a token's owner is told now of its end; False if that was done, or it was revoked, meanwhile."""
    untold = sa.and_(api_tokens.c.id == token_id, _untold(days))
    return row_count(await session.execute(sa.update(api_tokens).where(untold).values(told_days=days))) == 1


async def set_last_used(session: AsyncSession, token_id: int, now: datetime, network: str) -> None:
    """Keep that the token was used, and from where."""
    used = {"last_used_at": now, "last_network": network}
    await session.execute(sa.update(api_tokens).where(api_tokens.c.id == token_id).values(used))


async def get_of_user(session: AsyncSession, user_id: int) -> list[ApiToken]:
    """Return a user's tokens, newest first, those that have expired lately included."""
    statement = sa.select(*_COLUMNS).where(api_tokens.c.user_id == user_id).order_by(api_tokens.c.id.desc())
    return [ApiToken._make(row) for row in await session.execute(statement)]


async def count_named(session: AsyncSession, user_id: int) -> int:
    """Return how many tokens a user has that were made by hand, those that have expired lately included."""
    mine = sa.and_(api_tokens.c.user_id == user_id, api_tokens.c.publisher_id.is_(None))
    return await session.scalar(sa.select(sa.func.count()).where(mine)) or 0


async def find_by_digest(session: AsyncSession, digest: str) -> ApiToken | None:
    """Return the token, as the transaction sees it."""
    row = (await session.execute(sa.select(*_COLUMNS).where(api_tokens.c.digest == digest))).first()
    return ApiToken._make(row) if row else None


async def delete_token(session: AsyncSession, user_id: int, token_id: int) -> str | None:
    """Revoke one of a user's tokens; return its name, None if there is none."""
    mine = sa.and_(api_tokens.c.user_id == user_id, api_tokens.c.id == token_id)
    name: str | None = await session.scalar(sa.select(api_tokens.c.name).where(mine))
    if name is None or row_count(await session.execute(sa.delete(api_tokens).where(mine))) == 0:
        return None
    return name


async def delete_of_user(session: AsyncSession, user_id: int) -> int:
    """Revoke all tokens of a user; return how many there were."""
    return row_count(await session.execute(sa.delete(api_tokens).where(api_tokens.c.user_id == user_id)))


async def delete_of_publisher(session: AsyncSession, publisher_id: int) -> None:
    """Revoke what CI jobs got for a trusted publisher."""
    await session.execute(sa.delete(api_tokens).where(api_tokens.c.publisher_id == publisher_id))


async def delete_expired(session: AsyncSession, *, now: datetime, before: datetime) -> int:
    """Forget tokens that ended: those of CI jobs at once, others that ended before the given time; return how many."""
    ended = sa.or_(
        api_tokens.c.expires_at < before,
        sa.and_(api_tokens.c.expires_at < now, api_tokens.c.publisher_id.is_not(None)),
    )
    return row_count(await session.execute(sa.delete(api_tokens).where(ended)))
