"""Queues account mails, each in the transaction of the change it reports."""

import secrets
from datetime import timedelta
from enum import StrEnum
from urllib.parse import urlencode

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import links
from app.accounts.links import LinkPurpose
from app.core.clients import Client
from app.core.settings import Settings
from app.db import account_states, logins, provider_flows
from app.db.engine import now_of
from app.db.logins import Addressee
from app.db.outbox import queue_mail
from app.mail.messages import MailKind


class MailRequest(StrEnum):
    """Mails that anybody can ask for, for any address.

    The request itself only writes a row, the same for every address; the worker finds out whether there is an account,
    and whether it was sent as many mails as it may be. So nobody can tell from an answer, or from its time, and nobody
    can use up what the owner may ask for: a mail that is one too many is not sent, for those before it still work.
    """

    CONFIRMATION = "request:confirmation"
    PASSWORD_RESET = "request:password-reset"  # noqa: S105 - a kind of request
    EMAIL_CHANGE = "request:email-change"
    ALREADY_SIGNED_UP = "request:already-signed-up"
    IDENTITY = "request:identity"
    """Of somebody whom a provider knows; it goes to an address that they say is theirs, with an account or without."""


TO_ANYBODY = frozenset({MailRequest.EMAIL_CHANGE, MailRequest.IDENTITY})
"""Those that go out also where nobody has the address yet."""


async def request(
    session: AsyncSession, kind: MailRequest, address: str, client: Client, **parameters: str | int
) -> None:
    """Queue the question whether a mail is due; whoever asks may use up no more than a share of what all may."""
    parameters["network"] = client.networks[-1].name
    await queue_mail(session, kind, address, **parameters)


async def send_confirmation(session: AsyncSession, settings: Settings, *, user_id: int, email: str) -> None:
    """Queue the mail with a new confirmation link."""
    link = await links.create_link(session, settings, user_id=user_id, purpose=LinkPurpose.CONFIRM)
    await queue_mail(session, MailKind.CONFIRM_EMAIL, email, link=link, hours=links.CONFIRMATION_HOURS)


async def find_addressees(session: AsyncSession, kind: MailRequest, address: str) -> list[Addressee]:
    """Return the accounts that the mail is for; several may share the address."""
    found = await logins.find_addressees(session, address)
    if kind is MailRequest.CONFIRMATION:
        return [each for each in found if not each.active and not await _was_closed(session, each)]
    # The others say something of the address, not of an account.
    return found if kind is MailRequest.PASSWORD_RESET else found[:1]


async def answer(
    session: AsyncSession, settings: Settings, kind: MailRequest, found: Addressee, *, is_one_of_many: bool
) -> None:
    """Queue the mail that was asked for; one of many that share an address says whose account it is about.

    It goes to the address that the account has, never to the one that was typed: databases hold `é` and `e` for
    the same letter, mail servers do not.
    """
    if kind is MailRequest.PASSWORD_RESET:
        account = found.username if is_one_of_many else ""
        await send_reset(session, settings, user_id=found.id, email=found.email, account=account)
    elif kind is MailRequest.CONFIRMATION:
        await send_confirmation(session, settings, user_id=found.id, email=found.email)
    elif kind is MailRequest.ALREADY_SIGNED_UP:
        await queue_mail(session, MailKind.ALREADY_SIGNED_UP, found.email)
    else:
        await queue_mail(session, MailKind.ADDRESS_WANTED, found.email)


async def send_reset(
    session: AsyncSession, settings: Settings, *, user_id: int, email: str, account: str = ""
) -> None:
    """Queue the mail with a link that resets the password; `account` is whose, where several share the address."""
    link = await links.create_link(session, settings, user_id=user_id, purpose=LinkPurpose.RESET_PASSWORD)
    told: dict[str, str | int] = {"link": link, "minutes": links.RESET_MINUTES, "account": account}
    await queue_mail(session, MailKind.RESET_PASSWORD, email, **told)


async def ask_for_password(session: AsyncSession, settings: Settings, *, user_id: int, email: str) -> str:
    """Queue the mail where the owner of an account that was confirmed elsewhere chooses a password; return the link."""
    link = await links.create_link(session, settings, user_id=user_id, purpose=LinkPurpose.RESET_PASSWORD)
    await queue_mail(session, MailKind.CHOOSE_PASSWORD, email, link=link, minutes=links.RESET_MINUTES)
    return link


async def offer_address(session: AsyncSession, settings: Settings, *, user_id: int, email: str) -> None:
    """Queue the mail that asks a new address for confirmation."""
    link = await links.create_link(
        session, settings, user_id=user_id, purpose=LinkPurpose.CHANGE_EMAIL, email=email
    )
    await queue_mail(session, MailKind.CONFIRM_NEW_EMAIL, email, link=link, hours=links.CONFIRMATION_HOURS)


async def offer_identity(session: AsyncSession, settings: Settings, *, pending: str, email: str) -> None:
    """Queue the mail that lets somebody show that an address is theirs, unless nobody waits for that any more."""
    now = now_of(session)
    waiting = await provider_flows.get_pending(session, pending, now)
    provider = next((each for each in settings.providers if waiting and each.id == waiting.provider), None)
    if waiting is None or provider is None:
        return
    token = secrets.token_hex(32)
    until = now + timedelta(hours=links.CONFIRMATION_HOURS)
    mailed = waiting._replace(token_digest=links.digest(token), email=email, expires_at=until)
    await provider_flows.add_pending(session, mailed)
    link = f"{settings.site_url}/auth/oauth/{provider.id}/confirm?{urlencode({'token': token})}"
    await queue_mail(
        session,
        MailKind.CONFIRM_IDENTITY,
        email,
        link=link,
        provider=provider.name,
        hours=links.CONFIRMATION_HOURS,
    )


async def _was_closed(session: AsyncSession, found: Addressee) -> bool:
    """Return whether an account that is not active was so before: then a mail must not open it again."""
    return found.has_logged_in or await account_states.was_ever_open(session, found.id)
