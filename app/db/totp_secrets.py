"""Statements on `totp_secrets`: one secret for each account that an authenticator app shows codes for."""

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import row_count, upsert
from app.db.factor_tables import totp_secrets


class TotpSecret(NamedTuple):
    """A row; `sealed` is encrypted."""

    user_id: int
    sealed: str
    created_at: datetime
    last_step: int


_COLUMNS = tuple(totp_secrets.c[name] for name in TotpSecret._fields)


async def get_secret(session: AsyncSession, user_id: int) -> TotpSecret | None:
    """Return the user's secret, None if there is none."""
    row = (await session.execute(sa.select(*_COLUMNS).where(totp_secrets.c.user_id == user_id))).first()
    return TotpSecret._make(row) if row else None


async def set_secret(session: AsyncSession, secret: TotpSecret) -> None:
    """Keep a user's secret in place of the one before."""
    values: dict[str, Any] = secret._asdict()
    await upsert(
        session, totp_secrets, values, update={name: values[name] for name in values if name != "user_id"}
    )


async def use_step(session: AsyncSession, user_id: int, step: int) -> bool:
    """Note that the code of this step was taken; False if that one, or a later one, was taken before."""
    earlier = sa.and_(totp_secrets.c.user_id == user_id, totp_secrets.c.last_step < step)
    return (
        row_count(await session.execute(sa.update(totp_secrets).where(earlier).values(last_step=step))) == 1
    )


async def delete_secret(session: AsyncSession, user_id: int) -> bool:
    """Forget the user's secret; False if there is none."""
    statement = sa.delete(totp_secrets).where(totp_secrets.c.user_id == user_id)
    return row_count(await session.execute(statement)) == 1


async def get_others_than(session: AsyncSession, key_id: str, *, after: int, limit: int) -> list[TotpSecret]:
    """Return secrets that were sealed with another key than this one, by their users' numbers from `after` on."""
    statement = (
        sa.select(*_COLUMNS)
        .where(totp_secrets.c.user_id > after, ~totp_secrets.c.sealed.startswith(f"{key_id}."))
        .order_by(totp_secrets.c.user_id)
        .limit(limit)
    )
    return [TotpSecret._make(row) for row in await session.execute(statement)]


async def replace_sealed(session: AsyncSession, user_id: int, *, old: str, new: str) -> None:
    """Keep the same secret, sealed with another key, unless another secret has taken its place."""
    same = sa.and_(totp_secrets.c.user_id == user_id, totp_secrets.c.sealed == old)
    await session.execute(sa.update(totp_secrets).where(same).values(sealed=new))


async def delete_of_user(session: AsyncSession, user_id: int) -> None:
    """Forget the user's secret, if there is one."""
    await session.execute(sa.delete(totp_secrets).where(totp_secrets.c.user_id == user_id))
