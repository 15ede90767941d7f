"""Statements on `account_states`: what we must know of an account and the shared `users` has no column for."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import upsert
from app.db.tables import account_states, users_groups


async def end_tokens(session: AsyncSession, user_id: int, now: datetime) -> None:
    """Make every access token that the user has so far worthless, in every worker."""
    await _set(session, user_id, "tokens_valid_from", now)


class LoginState(NamedTuple):
    """What a new token depends on."""

    tokens_valid_from: datetime | None
    """When the user's tokens were last made worthless."""
    is_in_a_group: bool


_USER_ID: sa.BindParameter[int] = sa.bindparam("user_id")
_LOGIN_STATE = sa.select(
    sa.select(account_states.c.tokens_valid_from)
    .where(account_states.c.user_id == _USER_ID)
    .scalar_subquery(),
    sa.exists().where(users_groups.c.user_id == _USER_ID),
)


async def get_login_state(session: AsyncSession, user_id: int) -> LoginState:
    """Return what a new token of the user depends on, in one round trip."""
    valid_from, is_in_a_group = (await session.execute(_LOGIN_STATE, {"user_id": user_id})).one()
    return LoginState(valid_from, bool(is_in_a_group))


async def set_deactivated(session: AsyncSession, user_id: int, at: datetime | None) -> None:
    """Keep when an operator closed the account, or that it is open again."""
    await _set(session, user_id, "deactivated_at", at)


async def set_confirmed(session: AsyncSession, user_id: int, at: datetime) -> None:
    """Keep that the account was opened once."""
    await _set(session, user_id, "confirmed_at", at)


async def was_ever_open(session: AsyncSession, user_id: int) -> bool:
    """Return whether the account was open earlier, so that its present state was set on purpose."""
    columns = (account_states.c.confirmed_at, account_states.c.deactivated_at)
    row = (await session.execute(sa.select(*columns).where(account_states.c.user_id == user_id))).first()
    return row is not None and any(row)


async def is_deactivated(session: AsyncSession, user_id: int) -> bool:
    """Say whether an operator has closed the account."""
    statement = sa.select(account_states.c.deactivated_at).where(account_states.c.user_id == user_id)
    return await session.scalar(statement) is not None


async def set_email_change(session: AsyncSession, user_id: int, change: str | None) -> None:
    """Record the latest requested change of address, or that none is valid any more."""
    await _set(session, user_id, "email_change", change)


async def get_email_change(session: AsyncSession, user_id: int) -> str | None:
    """Return the latest requested change of address, None if none is valid."""
    return await session.scalar(
        sa.select(account_states.c.email_change).where(account_states.c.user_id == user_id)
    )


async def _set(session: AsyncSession, user_id: int, column: str, value: datetime | str | None) -> None:
    await upsert(session, account_states, {"user_id": user_id, column: value}, update={column: value})
