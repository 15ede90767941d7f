"""Statements on `linked_accounts`: who, at which provider, may sign in to which account."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.provider_tables import linked_accounts


class LinkedAccount(NamedTuple):
    """An account at a provider, linked to one here.

    Attributes:
        identity_digest: of issuer and subject, which are compared letter by letter.
        user_id: whose account here.
        provider: the id in the settings; it may be there no more.
        issuer: whose statement it is.
        subject: who it is there.
        label: what they were called there when it was linked.
        created_at: when it was linked.
        last_used_at: when it was last signed in with; None for never.
    """

    identity_digest: str
    user_id: int
    provider: str
    issuer: str
    subject: str
    label: str
    created_at: datetime
    last_used_at: datetime | None


_COLUMNS = tuple(linked_accounts.c[name] for name in LinkedAccount._fields)


def identity_digest(issuer: str, subject: str) -> str:
    """Return the key of an identity: no collation has a say in who is who."""
    return hashlib.sha256(f"{issuer}\0{subject}".encode(errors="surrogatepass")).hexdigest()


async def find(session: AsyncSession, digest: str) -> LinkedAccount | None:
    """Return the link of an identity."""
    statement = sa.select(*_COLUMNS).where(linked_accounts.c.identity_digest == digest)
    row = (await session.execute(statement)).first()
    return LinkedAccount._make(row) if row else None


async def get_of_user(session: AsyncSession, user_id: int) -> Sequence[LinkedAccount]:
    """Return the user's links, the oldest first."""
    statement = (
        sa.select(*_COLUMNS)
        .where(linked_accounts.c.user_id == user_id)
        .order_by(linked_accounts.c.created_at, linked_accounts.c.identity_digest)
    )
    return [LinkedAccount._make(row) for row in await session.execute(statement)]


async def add_link(session: AsyncSession, link: LinkedAccount) -> bool:
    """Insert a link; False if somebody has this identity already, perhaps since a moment ago."""
    try:
        async with session.begin_nested():
            await session.execute(sa.insert(linked_accounts).values(link._asdict()))
    except IntegrityError:
        return False
    return True


async def set_used(session: AsyncSession, digest: str, now: datetime) -> None:
    """Keep when it was last signed in with."""
    statement = sa.update(linked_accounts).where(linked_accounts.c.identity_digest == digest)
    await session.execute(statement.values(last_used_at=now))


async def delete_link(session: AsyncSession, digest: str, *, user_id: int) -> None:
    """Remove a link of the user, if it is there."""
    theirs = sa.and_(linked_accounts.c.identity_digest == digest, linked_accounts.c.user_id == user_id)
    await session.execute(sa.delete(linked_accounts).where(theirs))


async def delete_of_user(session: AsyncSession, user_id: int) -> None:
    """Forget all links of a user."""
    await session.execute(sa.delete(linked_accounts).where(linked_accounts.c.user_id == user_id))
