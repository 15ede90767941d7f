"""Accounts that were signed up here and never confirmed.

Other servers write the same table. An account counts only if our own trail says that it was made by signing up here and
that nothing else ever happened to it but asking for links; and if nothing of theirs stands in its row.
"""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import account_tokens as tokens
from app.db import audit_events, outbox, passkeys, sessions
from app.db.engine import row_count
from app.db.tables import account_states, account_tokens, task_requests, users, users_groups
from app.db.tables import audit_events as events
from app.db.upload_tables import uploads

SIGNED_UP = "signed up"
HARMLESS = (SIGNED_UP, "login failed", "password reset")
"""Kinds of events (app/accounts/audit.py) that an account may have and never have been open."""


def _is_unconfirmed(before: datetime) -> sa.ColumnElement[bool]:
    """Return the condition on `users`: never open, never used, made here, and older than that."""
    happened = sa.select(sa.literal(1)).where(events.c.user_id == users.c.id)
    state = sa.select(sa.literal(1)).where(
        account_states.c.user_id == users.c.id,
        sa.or_(account_states.c.confirmed_at.is_not(None), account_states.c.deactivated_at.is_not(None)),
    )
    elsewhere = [
        sa.select(sa.literal(1)).where(table.c.user_id == users.c.id)
        for table in (users_groups, uploads, task_requests)
    ]
    # A link that was asked for lately may still be followed.
    link = sa.select(sa.literal(1)).where(
        account_tokens.c.user_id == users.c.id, account_tokens.c.expires_at > before
    )
    return sa.and_(
        sa.func.coalesce(users.c.active, 0) == 0,
        sa.func.coalesce(users.c.last_login, 0) == 0,
        users.c.created_on < int(before.timestamp()),
        # Set by the PHP server, when it makes an account or closes one.
        users.c.activation_code.is_(None),
        users.c.activation_selector.is_(None),
        happened.where(events.c.kind == SIGNED_UP, events.c.at < before).exists(),
        ~happened.where(events.c.kind.not_in(HARMLESS)).exists(),
        ~state.exists(),
        ~link.exists(),
        *(~each.exists() for each in elsewhere),
    )


async def get_ids(session: AsyncSession, *, before: datetime, limit: int) -> Sequence[int]:
    """Return the numbers of some of them that were made before that."""
    statement = sa.select(users.c.id).where(_is_unconfirmed(before)).order_by(users.c.id).limit(limit)
    return (await session.scalars(statement)).all()


async def remove(session: AsyncSession, user_id: int, *, before: datetime) -> bool:
    """Remove the account and all that waits for it; False if it was confirmed meanwhile."""
    here = sa.and_(users.c.id == user_id, _is_unconfirmed(before))
    email = await session.scalar(sa.select(users.c.email).where(here).with_for_update())
    if email is None:
        return False
    # First, for a table of another program may refer to the account.
    await passkeys.delete_of_user(session, user_id)
    if row_count(await session.execute(sa.delete(users).where(here))) != 1:
        return False
    await tokens.delete_of_user(session, user_id)
    await audit_events.delete_of_user(session, user_id)
    await sessions.delete_sessions(session, user_id)
    await session.execute(sa.delete(account_states).where(account_states.c.user_id == user_id))
    await outbox.forget_recipient(session, email)
    return True
