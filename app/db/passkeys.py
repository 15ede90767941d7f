"""Statements on `passkeys`, and on those that other programs keep in `user_passkeys`: one list of both.

A passkey of another program has a negative number here: its own, with a minus.
"""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import foreign_passkeys
from app.db.engine import row_count
from app.db.passkey_tables import passkey_owners, passkeys


class PasskeyExistsError(Exception):
    """The credential is registered already, for this account or another."""


class Passkey(NamedTuple):
    """A credential of an account; `credential_id` and `public_key` are base64url."""

    id: int
    user_id: int
    credential_id: str
    public_key: str
    sign_count: int
    transports: tuple[str, ...]
    name: str
    aaguid: str
    backup_eligible: bool | None
    backed_up: bool | None
    user_verified: bool
    created_at: datetime | None
    last_used_at: datetime | None


class NewPasskey(NamedTuple):
    """What is kept of a credential when it is registered."""

    credential_id: str
    public_key: str
    sign_count: int
    transports: tuple[str, ...]
    name: str
    aaguid: str
    backup_eligible: bool
    backed_up: bool
    user_verified: bool


class Use(NamedTuple):
    """What is kept of a passkey that was used."""

    sign_count: int
    backed_up: bool
    user_verified: bool
    at: datetime


_COLUMNS = tuple(passkeys.c[name] for name in Passkey._fields)


def digest_of(credential_id: str) -> str:
    """Return what a credential is found by."""
    return hashlib.sha256(credential_id.encode()).hexdigest()


async def find(session: AsyncSession, credential_id: str) -> list[Passkey]:
    """Return the passkeys with this id: one, unless another program has registered it as well."""
    statement = sa.select(*_COLUMNS).where(passkeys.c.credential_digest == digest_of(credential_id))
    ours = [_passkey(row) for row in await session.execute(statement)]
    return [*ours, *map(_foreign, await foreign_passkeys.find(session, credential_id))]


async def get_of_user(session: AsyncSession, user_id: int) -> list[Passkey]:
    """Return the user's passkeys, those of other programs last."""
    statement = sa.select(*_COLUMNS).where(passkeys.c.user_id == user_id).order_by(passkeys.c.id)
    ours = [_passkey(row) for row in await session.execute(statement)]
    return [*ours, *map(_foreign, await foreign_passkeys.get_of_user(session, user_id))]


async def get_one(session: AsyncSession, user_id: int, passkey_id: int) -> Passkey | None:
    """Return a passkey of the user's."""
    return next((found for found in await get_of_user(session, user_id) if found.id == passkey_id), None)


async def add(
    session: AsyncSession,
    user_id: int,
    new: NewPasskey,
    *,
    created_at: datetime,
    last_used_at: datetime | None = None,
) -> None:
    """Keep a passkey.

    Raises:
        PasskeyExistsError: some account has it already.
    """
    if await find(session, new.credential_id):
        raise PasskeyExistsError
    values = {
        **new._asdict(),
        "transports": ",".join(new.transports),
        "user_id": user_id,
        "credential_digest": digest_of(new.credential_id),
        "created_at": created_at,
        "last_used_at": last_used_at,
    }
    try:
        async with session.begin_nested():
            await session.execute(sa.insert(passkeys).values(values))
    except IntegrityError as error:
        raise PasskeyExistsError from error


async def note_use(session: AsyncSession, passkey: Passkey, use: Use) -> None:
    """Keep the counter, the backup state and the time of a use, and that the user was verified."""
    if passkey.id < 0:
        await foreign_passkeys.note_use(session, -passkey.id, sign_count=use.sign_count, at=use.at)
        return
    values: dict[str, Any] = {
        "sign_count": use.sign_count,
        "backed_up": use.backed_up,
        "last_used_at": use.at,
    }
    if use.user_verified:
        values["user_verified"] = True
    await session.execute(sa.update(passkeys).where(passkeys.c.id == passkey.id).values(values))


async def rename(session: AsyncSession, user_id: int, passkey_id: int, name: str) -> bool:
    """Give a passkey another name; False if the user has no such one."""
    if passkey_id < 0:
        return await foreign_passkeys.rename(session, user_id, -passkey_id, name)
    mine = sa.and_(passkeys.c.id == passkey_id, passkeys.c.user_id == user_id)
    return row_count(await session.execute(sa.update(passkeys).where(mine).values(name=name))) == 1


async def delete(session: AsyncSession, passkey: Passkey) -> None:
    """Forget a passkey, whoever registered it."""
    if passkey.id < 0:
        await foreign_passkeys.delete(session, -passkey.id)
    else:
        await session.execute(sa.delete(passkeys).where(passkeys.c.id == passkey.id))


async def delete_credential(session: AsyncSession, user_id: int, credential_id: str) -> None:
    """Forget the user's passkey with this id, if it is there."""
    for found in await find(session, credential_id):
        if found.user_id == user_id:
            await delete(session, found)


async def delete_of_user(session: AsyncSession, user_id: int) -> int:
    """Forget all passkeys of a user, and by what name authenticators knew them; return how many there were."""
    count = row_count(await session.execute(sa.delete(passkeys).where(passkeys.c.user_id == user_id)))
    await session.execute(sa.delete(passkey_owners).where(passkey_owners.c.user_id == user_id))
    return count + await foreign_passkeys.delete_of_user(session, user_id)


async def get_handle(session: AsyncSession, user_id: int) -> str | None:
    """Return what authenticators know the user by, as base64url; None if they know nobody yet."""
    statement = sa.select(passkey_owners.c.handle).where(passkey_owners.c.user_id == user_id)
    return await session.scalar(statement)


async def make_handle(session: AsyncSession, user_id: int) -> str:
    """Return what authenticators shall know the user by, whose row is locked: the same for all their passkeys."""
    handle = await get_handle(session, user_id)
    if handle is None:
        handle = secrets.token_urlsafe(32)
        await session.execute(sa.insert(passkey_owners).values(user_id=user_id, handle=handle))
    return handle


async def is_second_factor(session: AsyncSession, user_id: int) -> bool:
    """Say whether one of the user's passkeys is to be asked for after the password."""
    statement = sa.select(passkey_owners.c.is_second_factor).where(passkey_owners.c.user_id == user_id)
    return bool(await session.scalar(statement))


async def set_second_factor(session: AsyncSession, user_id: int, *, required: bool) -> None:
    """Choose whether one of the user's passkeys, whose row is locked, is to be asked for after the password."""
    await make_handle(session, user_id)
    mine = sa.update(passkey_owners).where(passkey_owners.c.user_id == user_id)
    await session.execute(mine.values(is_second_factor=required))


def old_handle(user_id: int) -> str:
    """Return what the programs before this one told authenticators: the number in ASCII, as base64url."""
    return urlsafe_b64encode(str(user_id).encode()).rstrip(b"=").decode()


def _passkey(row: Sequence[Any]) -> Passkey:
    found = Passkey._make(row)
    return found._replace(transports=tuple(filter(None, str(found.transports).split(","))))


def _foreign(found: foreign_passkeys.ForeignPasskey) -> Passkey:
    return Passkey(
        **{**found._asdict(), "id": -found.id},
        aaguid="",
        backup_eligible=None,
        backed_up=None,
        user_verified=False,
    )
