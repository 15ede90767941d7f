"""Statements on `account_states`: what we must know of an account and the shared `users` has no column for."""

from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clients import Client
from app.core.methods import Method
from app.db.engine import now_of, upsert
from app.db.second_factors import FACTORS, STAND_INS, USER_ID
from app.db.tables import account_states, audit_events, users, users_groups

FORGOTTEN_AFTER = timedelta(days=30)
"""How old an account is whose log-in is not taken for its first one, whether or not an earlier one is still known."""


async def end_tokens(session: AsyncSession, user_id: int, now: datetime) -> None:
    """Make every access token that the user has so far worthless, in every worker."""
    await _set(session, user_id, "tokens_valid_from", now)


class LoginState(NamedTuple):
    """What a new session depends on."""

    tokens_valid_from: datetime | None
    """When the user's tokens were last made worthless."""
    is_in_a_group: bool
    is_new_device: bool
    """Whether it is not the first log-in, but the first from this network with this kind of device."""
    factors: frozenset[Method]
    """The second factors that the account has."""
    stand_ins: frozenset[Method]
    """What it has to take the place of one of them."""


_LOGGED_IN = sa.exists().where(
    audit_events.c.user_id == USER_ID,
    audit_events.c.kind.in_([sa.literal_column("'logged in'"), sa.literal_column("'went on elsewhere'")]),
)
# Events of earlier versions name no device.
_FROM_HERE = _LOGGED_IN.where(
    audit_events.c.network == sa.bindparam("network"),
    sa.func.coalesce(audit_events.c.device, sa.bindparam("device")) == sa.bindparam("device"),
)
_IS_OLD = sa.exists().where(users.c.id == USER_ID, users.c.created_on < sa.bindparam("new_since"))
_LOGIN_STATE = sa.select(
    sa.select(account_states.c.tokens_valid_from)
    .where(account_states.c.user_id == USER_ID)
    .scalar_subquery(),
    sa.exists().where(users_groups.c.user_id == USER_ID),
    sa.and_(sa.not_(_FROM_HERE), sa.or_(_LOGGED_IN, _IS_OLD)),
    *FACTORS.values(),
    *STAND_INS.values(),
)


async def get_login_state(session: AsyncSession, user_id: int, client: Client) -> LoginState:
    """Return what a new session of the user depends on, in one round trip."""
    parameters = {
        "user_id": user_id,
        "network": client.network,
        "device": client.device,
        "new_since": int((now_of(session) - FORGOTTEN_AFTER).timestamp()),
    }
    valid_from, is_in_a_group, is_new, *has = (await session.execute(_LOGIN_STATE, parameters)).one()
    there = {method for method, is_there in zip((*FACTORS, *STAND_INS), has, strict=True) if is_there}
    return LoginState(
        valid_from,
        bool(is_in_a_group),
        bool(is_new),
        factors=frozenset(there & FACTORS.keys()),
        stand_ins=frozenset(there & STAND_INS.keys()),
    )


async def set_deactivated(session: AsyncSession, user_id: int, at: datetime | None) -> None:
    """Keep when an operator closed the account, or that it is open again."""
    await _set(session, user_id, "deactivated_at", at)


async def set_confirmed(session: AsyncSession, user_id: int, at: datetime) -> None:
    """Keep that the account was opened once."""
    await _set(session, user_id, "confirmed_at", at)
    await set_signup_browser(session, user_id, None)


async def set_signup_browser(session: AsyncSession, user_id: int, browser_digest: str | None) -> None:
    """Keep which browser signed up, or that it does not matter any more."""
    await _set(session, user_id, "signup_browser", browser_digest)


async def get_signup_browser(session: AsyncSession, user_id: int) -> str | None:
    """Return the digest of the browser that signed up; None if it does not matter."""
    return await session.scalar(
        sa.select(account_states.c.signup_browser).where(account_states.c.user_id == user_id)
    )


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
