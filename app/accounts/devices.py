"""Tells owners by mail of log-ins from where nobody logged in before, and of those that lacked a second factor."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit, undo
from app.accounts.audit import AuditKind
from app.accounts.undo import UndoKind
from app.core.clients import Client
from app.core.settings import Settings
from app.db import audit_events, users
from app.db.engine import now_of
from app.db.outbox import queue_mail
from app.mail.messages import MailKind

TOLD_AT_MOST = 5
"""Mails a day to one owner: phones change their networks, and whoever gets too many mails reads none."""

MISSES_TOLD_EVERY = timedelta(days=1)
"""How often an owner is told that somebody has the password and no second factor."""


async def tell(session: AsyncSession, settings: Settings, user_id: int, client: Client) -> None:
    """Queue the mail, unless its owner had enough of them today."""
    now = now_of(session)
    told = await audit_events.count_since(
        session, user_id, kind=AuditKind.NEW_DEVICE, since=now - timedelta(days=1)
    )
    email = await users.get_email(session, user_id)
    if told >= TOLD_AT_MOST or not email:
        return
    link = await undo.offer(session, settings, user_id=user_id, kind=UndoKind.LOGIN, before={})
    await queue_mail(
        session,
        MailKind.NEW_DEVICE,
        email,
        device=client.device,
        address=client.ip_address,
        at=f"{now:%Y-%m-%d %H:%M} UTC",
        link=link,
        days=undo.LIFETIME.days,
    )
    await audit.write(session, user_id, AuditKind.NEW_DEVICE, client)


async def tell_of_miss(session: AsyncSession, user_id: int, client: Client) -> None:
    """Tell the owner that somebody gave the password and no right second factor, unless they were told today."""
    since = now_of(session) - MISSES_TOLD_EVERY
    told = await audit_events.count_since(session, user_id, kind=AuditKind.TOLD_OF_MISS, since=since)
    email = await users.get_email(session, user_id)
    if told or not email:
        return
    await queue_mail(
        session, MailKind.SECOND_FACTOR_MISSED, email, device=client.device, address=client.ip_address
    )
    await audit.write(session, user_id, AuditKind.TOLD_OF_MISS, client)
