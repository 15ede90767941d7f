"""Statements on `sign_in_tickets`: log-ins whose second factor is still due, of which only digests are stored."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import row_count
from app.db.reader import Reader, ReadStatement, moment_of
from app.db.sign_in_tables import sign_in_tickets


class Ticket(NamedTuple):
    """A log-in that is half done."""

    ticket_digest: str
    user_id: int
    methods: str
    stays: bool
    expires_at: datetime


_ADD = sa.insert(sign_in_tickets)
_BY_DIGEST = ReadStatement(
    sa.select(*(sign_in_tickets.c[name] for name in Ticket._fields)).where(
        sign_in_tickets.c.ticket_digest == sa.bindparam("ticket_digest")
    ),
    by_key=True,
)


async def add(session: AsyncSession, ticket: Ticket) -> None:
    """Store a new one."""
    await session.execute(_ADD, ticket._asdict())


async def get(reader: Reader, ticket_digest: str) -> Ticket | None:
    """Return the ticket, also one that is too old."""
    row = await reader.first(_BY_DIGEST, {"ticket_digest": ticket_digest})
    if row is None:
        return None
    return Ticket(str(row[0]), int(row[1]), str(row[2]), bool(row[3]), moment_of(row[4]))


async def use(session: AsyncSession, ticket_digest: str) -> bool:
    """Remove the ticket; False if it is not there any more."""
    this = sa.delete(sign_in_tickets).where(sign_in_tickets.c.ticket_digest == ticket_digest)
    return row_count(await session.execute(this)) == 1


async def delete_of_user(session: AsyncSession, user_id: int) -> None:
    """Make all tickets of a user worthless."""
    await session.execute(sa.delete(sign_in_tickets).where(sign_in_tickets.c.user_id == user_id))


async def delete_expired(session: AsyncSession, now: datetime) -> None:
    """Forget tickets that are too old."""
    await session.execute(sa.delete(sign_in_tickets).where(sign_in_tickets.c.expires_at < now))
