"""What opens an account, so that nobody takes the last of it away."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.problems import LastWayInError
from app.core.passwords import is_affordable
from app.db import linked_accounts, passkeys
from app.db.tables import users


async def has_password(session: AsyncSession, user_id: int) -> bool:
    """Return whether any password opens the account."""
    stored = await session.scalar(sa.select(users.c.password).where(users.c.id == user_id)) or ""
    return is_affordable(stored)


async def require_way_in(session: AsyncSession, user_id: int) -> None:
    """Return if something is left that opens the account, whose row is locked: a password, passkey or linked account.

    To be called in the unit that has taken something away, which is rolled back if that was the last. Of passkeys count
    those whose authenticator has verified its user, as a log-in asks for; of other programs' nobody knows it.

    Raises:
        LastWayInError: nothing is.
    """
    if await has_password(session, user_id) or await linked_accounts.get_of_user(session, user_id):
        return
    if not any(key.user_verified for key in await passkeys.get_of_user(session, user_id)):
        raise LastWayInError
