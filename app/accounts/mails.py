"""Queueing the mails of accounts; each goes out if the transaction does."""

from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import links
from app.accounts.links import LinkPurpose
from app.core.settings import Settings
from app.core.wakeups import OUTBOX
from app.db import account_states, outbox, users
from app.db.engine import now_of, wake_after_commit
from app.db.users import Addressee
from app.mail.messages import MailKind


class MailRequest(StrEnum):
    """Mails that anybody can ask for, for any address.

    The request itself only writes a row, the same for every address; the worker finds out whether there is an
    account, and whether it has had enough mails. So nobody can tell from an answer, or from its time, and nobody can
    use up what the owner may ask for: a mail that is one too many is not sent, for those before it still work.
    """

    CONFIRMATION = "request:confirmation"
    PASSWORD_RESET = "request:password-reset"  # noqa: S105 - a kind of request
    EMAIL_CHANGE = "request:email-change"
    ALREADY_SIGNED_UP = "request:already-signed-up"


async def send(session: AsyncSession, kind: MailKind, recipient: str, **parameters: str | int) -> None:
    """Queue a mail."""
    await outbox.add_mail(session, kind=kind, recipient=recipient, parameters=parameters, now=now_of(session))
    wake_after_commit(session, OUTBOX)


async def request(session: AsyncSession, kind: MailRequest, address: str, **parameters: int) -> None:
    """Queue the question whether a mail is due."""
    await outbox.add_mail(session, kind=kind, recipient=address, parameters=parameters, now=now_of(session))
    wake_after_commit(session, OUTBOX)


async def send_confirmation(session: AsyncSession, settings: Settings, *, user_id: int, email: str) -> None:
    """Queue the mail with a new confirmation link."""
    link = await links.create_link(session, settings, user_id=user_id, purpose=LinkPurpose.CONFIRM)
    await send(session, MailKind.CONFIRM_EMAIL, email, link=link, hours=settings.confirmation_hours)


async def find_addressee(session: AsyncSession, kind: MailRequest, address: str) -> Addressee | None:
    """Return the account that a mail is due to, if there is one."""
    found = await users.get_by_email(session, address)
    if found is None or kind is not MailRequest.CONFIRMATION:
        return found
    closed = found.active or await _was_closed(session, found.id, logged_in=found.has_logged_in)
    return None if closed else found


async def answer(session: AsyncSession, settings: Settings, kind: MailRequest, found: Addressee) -> None:
    """Queue the mail that was asked for.

    It goes to the address that the account has, never to the one that was typed: databases hold `é` and `e` for
    the same letter, mail servers do not.
    """
    if kind is MailRequest.PASSWORD_RESET:
        link = await links.create_link(
            session, settings, user_id=found.id, purpose=LinkPurpose.RESET_PASSWORD
        )
        await send(session, MailKind.RESET_PASSWORD, found.email, link=link, minutes=settings.reset_minutes)
    elif kind is MailRequest.CONFIRMATION:
        await send_confirmation(session, settings, user_id=found.id, email=found.email)
    elif kind is MailRequest.ALREADY_SIGNED_UP:
        await send(session, MailKind.ALREADY_SIGNED_UP, found.email)
    else:
        await send(session, MailKind.ADDRESS_WANTED, found.email)


async def offer_address(session: AsyncSession, settings: Settings, *, user_id: int, email: str) -> None:
    """Queue the mail that asks at a new address whether it wants to be this account's."""
    link = await links.create_link(
        session, settings, user_id=user_id, purpose=LinkPurpose.CHANGE_EMAIL, email=email
    )
    await send(session, MailKind.CONFIRM_NEW_EMAIL, email, link=link, hours=settings.confirmation_hours)


async def _was_closed(session: AsyncSession, user_id: int, *, logged_in: bool) -> bool:
    """Say whether an account that is not active was so before: then a mail must not open it again."""
    return logged_in or await account_states.was_ever_open(session, user_id)
