"""One at a time for each e-mail address: OpenML's table has no unique key on it that two requests would meet at."""

import hashlib

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import upsert
from app.db.tables import address_locks


async def lock_address(session: AsyncSession, email: str) -> None:
    """Lock the address until the transaction ends; other transactions wait, and then see its changes.

    The row is deleted at once, but its lock stays.
    """
    digest = hashlib.sha256(email.casefold().encode()).hexdigest()
    await upsert(session, address_locks, {"address_digest": digest}, update={"address_digest": digest})
    await session.execute(sa.delete(address_locks).where(address_locks.c.address_digest == digest))
