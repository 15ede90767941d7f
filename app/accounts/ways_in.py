"""What opens an account, so that nobody takes the last of it away."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.passwords import is_affordable
from app.db import linked_accounts, passkeys
from app.db.tables import users


async def has_password(session: AsyncSession, user_id: int) -> bool:
    """Return whether any password opens the account."""
    stored = await session.scalar(sa.select(users.c.password).where(users.c.id == user_id)) or ""
    return is_affordable(stored)


async def count_ways_in(session: AsyncSession, user_id: int) -> int:
    """Return how many things open the account whose row is locked: its password, each passkey and linked account."""
    links = await linked_accounts.get_of_user(session, user_id)
    keys = await passkeys.get_of_user(session, user_id)
    return int(await has_password(session, user_id)) + len(links) + len(keys)
