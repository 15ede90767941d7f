"""Statements on log-ins with a provider that are under way, and on identities that wait for an address."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import row_count
from app.db.provider_tables import pending_identities, provider_flows


class ProviderFlow(NamedTuple):
    """A browser that was sent to a provider, and has not come back.

    Attributes:
        state_digest: of the state that the answer has to have.
        browser_digest: of the secret that only this browser has.
        provider: where it was sent.
        user_id: whose account the identity is to be linked to; None for a log-in.
        pending_digest: the identity whose mail link was opened before; None for any other log-in.
        expires_at: when nobody need come back any more.
    """

    state_digest: str
    browser_digest: str
    provider: str
    user_id: int | None
    pending_digest: str | None
    expires_at: datetime


class PendingIdentity(NamedTuple):
    """Somebody who has shown who they are at a provider, and has yet to show that an address is theirs.

    Attributes:
        token_digest: of the ticket in a page, or of the token in a mail.
        identity_digest: who it is there (`linked_accounts.identity_digest`).
        provider: the id of the provider.
        email: the address that the mail went to; None for a ticket.
        expires_at: until when it counts.
    """

    token_digest: str
    identity_digest: str
    provider: str
    email: str | None
    expires_at: datetime


_FLOW = tuple(provider_flows.c[name] for name in ProviderFlow._fields)
_PENDING = tuple(pending_identities.c[name] for name in PendingIdentity._fields)


async def add_flow(session: AsyncSession, flow: ProviderFlow) -> None:
    """Keep that a browser was sent to a provider."""
    await session.execute(sa.insert(provider_flows).values(flow._asdict()))


async def take_flow(session: AsyncSession, state_digest: str) -> ProviderFlow | None:
    """Return the flow and forget it: whoever comes second finds none, in whatever browser."""
    mine = provider_flows.c.state_digest == state_digest
    row = (await session.execute(sa.select(*_FLOW).where(mine))).first()
    if row is None or row_count(await session.execute(sa.delete(provider_flows).where(mine))) != 1:
        return None
    return ProviderFlow._make(row)


async def add_pending(session: AsyncSession, pending: PendingIdentity) -> None:
    """Keep an identity until its address is known."""
    await session.execute(sa.insert(pending_identities).values(pending._asdict()))


async def get_pending(session: AsyncSession, token_digest: str, now: datetime) -> PendingIdentity | None:
    """Return an identity that waits, unless it has waited too long."""
    alive = sa.and_(pending_identities.c.token_digest == token_digest, pending_identities.c.expires_at > now)
    row = (await session.execute(sa.select(*_PENDING).where(alive))).first()
    return PendingIdentity._make(row) if row else None


async def delete_pending(session: AsyncSession, identity_digest: str) -> None:
    """Forget what waits of an identity: every ticket and every mail."""
    theirs = pending_identities.c.identity_digest == identity_digest
    await session.execute(sa.delete(pending_identities).where(theirs))


async def delete_of_user(session: AsyncSession, user_id: int, email: str) -> None:
    """Forget the links that a user has begun, and the identities that their address was mailed about."""
    await session.execute(sa.delete(provider_flows).where(provider_flows.c.user_id == user_id))
    await session.execute(sa.delete(pending_identities).where(pending_identities.c.email == email))


async def delete_expired(session: AsyncSession, now: datetime) -> int:
    """Forget what has ended; return how many."""
    ended = 0
    for table in (provider_flows, pending_identities):
        ended += row_count(await session.execute(sa.delete(table).where(table.c.expires_at < now)))
    return ended
