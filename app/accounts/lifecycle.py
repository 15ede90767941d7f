"""The life of an account: created, confirmed, changed, closed."""

import re
import secrets
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import api_tokens, audit, links, mails, undo
from app.accounts.audit import AuditKind, Deed, Hand
from app.accounts.links import LinkPurpose
from app.accounts.mails import MailRequest
from app.accounts.problems import LinkNotValidError
from app.accounts.sessions import end_all_sessions
from app.accounts.undo import UndoKind
from app.core.addresses import as_shown
from app.core.clients import Client
from app.core.passwords import NO_PASSWORD
from app.core.settings import Settings
from app.db import (
    account_states,
    account_tokens,
    address_locks,
    logins,
    passkeys,
    provider_flows,
    users,
)
from app.db.account_tokens import AccountToken
from app.db.engine import now_of
from app.db.outbox import queue_mail
from app.mail.messages import MailKind


class AccountExistsError(Exception):
    """The e-mail address belongs to another account."""


class AccountDeletedError(Exception):
    """The account was deleted, which is for good."""


@dataclass(frozen=True, slots=True)
class NewAccount:
    """The fields of a new account; the password is already hashed."""

    username: str
    email: str
    first_name: str
    last_name: str
    password_hash: str
    browser_digest: str | None = None
    """Of the browser that signs up: only where it confirms the address as well, the password is surely its owner's."""


class Confirmed(NamedTuple):
    """What a link has confirmed, and where a password is to be chosen, if the one of the sign-up does not count."""

    purpose: LinkPurpose
    choose_password: str | None = None


def new_api_key() -> str:
    """Return a key in the shape that OpenML's servers accept: 32 lower-case hexadecimal digits."""
    return secrets.token_hex(16)


async def create_account(
    session: AsyncSession,
    account: NewAccount,
    settings: Settings,
    client: Client,
    *,
    by: Hand | None = None,
    is_confirmed: bool = False,
) -> int:
    """Insert the account and, unless somebody else makes it, the mail that lets its owner confirm it.

    None is needed where `is_confirmed`: its owner has shown otherwise that the address is theirs.

    Raises:
        AccountExistsError: the address is taken.
    """
    await address_locks.lock_address(session, account.email)
    if await logins.is_taken(session, account.email):
        raise AccountExistsError
    active = by is not None or is_confirmed or not settings.send_email
    try:
        async with session.begin_nested():
            user_id = await users.add_user(
                session,
                username=account.username,
                email=account.email,
                password_hash=account.password_hash,
                first_name=account.first_name,
                last_name=account.last_name,
                api_key=new_api_key(),
                ip_address=client.ip_address,
                active=active,
                now=now_of(session),
            )
    except IntegrityError as error:
        # A request beside this one was faster. (128 random bits do not collide.)
        raise AccountExistsError from error
    if by is None:
        await audit.write(session, user_id, AuditKind.SIGNED_UP, client)
    else:
        await audit.write_deed(session, user_id, Deed.CREATED, by)
    if is_confirmed:
        await _open(session, user_id)
        await audit.write(session, user_id, AuditKind.CONFIRMED, client)
    elif active:
        await users.add_to_members(session, user_id)
    else:
        await account_states.set_signup_browser(session, user_id, account.browser_digest)
        await mails.send_confirmation(session, settings, user_id=user_id, email=account.email)
    return user_id


async def free_username(session: AsyncSession, email: str, *, always_random: bool) -> str:
    """Return a user name made of the address, which nobody has.

    `always_random` is for services that do not tell whether somebody has signed up already.
    """
    stem = re.sub(r"[^a-z0-9._-]", "", email.partition("@")[0].lower())[:80] or "user"
    name = f"{stem}-{secrets.token_hex(3)}" if always_random else stem
    while await logins.is_taken(session, name):
        name = f"{stem}-{secrets.token_hex(3)}"
    return name


async def take_over(
    session: AsyncSession, user_id: int, *, first_name: str, last_name: str, client: Client
) -> None:
    """Give an account that waits for its confirmation to whoever has shown that its address is theirs.

    Somebody else may have signed up with it, to have a way in once its owner has confirmed it: nothing that they chose
    or got is left. No password opens it, its key is new, its links and sessions have ended.
    """
    await users.lock_user(session, user_id)
    await void(session, user_id)
    await users.set_new_password(session, user_id, NO_PASSWORD)
    await _open(session, user_id)
    await users.set_api_key(session, user_id, api_key=new_api_key())
    await users.set_profile(session, user_id, {"first_name": first_name, "last_name": last_name, "bio": ""})
    await audit.write(session, user_id, AuditKind.CONFIRMED, client)


async def confirm(
    session: AsyncSession, settings: Settings, token: str, client: Client, *, browser: str | None
) -> Confirmed:
    """Confirm what a link was mailed for, and return it: the address of a new account, or a change of address.

    The SPA posts each link twice; the second request changes nothing and succeeds. `browser` is the digest of the
    browser that opened the link, as `NewAccount` has it; None where a program did.

    Raises:
        LinkNotValidError: the token confirms nothing.
    """
    found = await links.find(session, token)
    if found is None:
        raise LinkNotValidError
    if found.used_at is not None:
        await _require_confirmed(session, found)
    elif found.purpose == LinkPurpose.CHANGE_EMAIL:
        change = await links.redeem(session, token, LinkPurpose.CHANGE_EMAIL)
        await _confirm_change(session, settings, change, client)
    elif found.purpose == LinkPurpose.APPROVE_EMAIL:
        change = await links.redeem(session, token, LinkPurpose.APPROVE_EMAIL)
        await _offer_address(session, change.user_id, change.email or "", client)
    else:
        signup = await links.redeem(session, token, LinkPurpose.CONFIRM)
        return Confirmed(LinkPurpose.CONFIRM, await _activate(session, settings, signup, client, browser))
    return Confirmed(LinkPurpose(found.purpose))


async def request_email_change(
    session: AsyncSession, *, user_id: int, old: str, new: str, client: Client
) -> None:
    """Queue the mail that asks the new address for confirmation, and the notice to the old one.

    Neither the answer nor the mails show the requester whether another account has the address; that account's owner
    gets a mail. Only the latest change counts, and none once the account is closed or its password reset.
    """
    await _offer_address(session, user_id, new, client)
    await queue_mail(session, MailKind.EMAIL_CHANGE_REQUESTED, old, new_email=_veiled(new))


async def ask_before_email_change(
    session: AsyncSession, settings: Settings, *, user_id: int, old: str, new: str, client: Client
) -> None:
    """As `request_email_change`, for a session that was not confirmed lately: the old address is asked first."""
    await _forget_email_changes(session, user_id, latest=None)
    link = await links.create_link(
        session, settings, user_id=user_id, purpose=LinkPurpose.APPROVE_EMAIL, email=new
    )
    await audit.write(session, user_id, AuditKind.EMAIL_CHANGE_REQUESTED, client)
    await queue_mail(
        session,
        MailKind.APPROVE_EMAIL_CHANGE,
        old,
        new_email=_veiled(new),
        link=link,
        hours=links.CONFIRMATION_HOURS,
    )


async def _offer_address(session: AsyncSession, user_id: int, new: str, client: Client) -> None:
    change = secrets.token_hex(16)
    await _forget_email_changes(session, user_id, latest=change)
    await audit.write(session, user_id, AuditKind.EMAIL_CHANGE_REQUESTED, client)
    await mails.request(session, MailRequest.EMAIL_CHANGE, new, client, user_id=user_id, change=change)


async def reset_password(session: AsyncSession, token: str, password_hash: str, client: Client) -> None:
    """Give the account of a reset link a new password, and end whatever the old one opened or made: API tokens, too.

    Raises:
        LinkNotValidError: the token resets nothing.
    """
    found = await links.redeem(session, token, LinkPurpose.RESET_PASSWORD)
    await users.set_new_password(session, found.user_id, password_hash)
    await account_states.set_signup_browser(session, found.user_id, None)
    ended = await void_all(session, found.user_id)
    await audit.write(session, found.user_id, AuditKind.PASSWORD_RESET, client)
    if email := await users.get_email(session, found.user_id):
        await queue_mail(session, MailKind.PASSWORD_CHANGED, email, tokens=ended)


async def change_password(
    session: AsyncSession, settings: Settings, user_id: int, password_hash: str, client: Client
) -> None:
    """Give the account a new password for whoever is signed in, and end all its sessions; a link undoes it.

    Raises:
        UnauthorizedError: the account was closed meanwhile.
    """
    await users.require_open(session, user_id)
    await users.set_new_password(session, user_id, password_hash)
    await void(session, user_id)
    await audit.write(session, user_id, AuditKind.PASSWORD_CHANGED, client)
    if email := await users.get_email(session, user_id):
        link = await undo.offer(session, settings, user_id=user_id, kind=UndoKind.PASSWORD, before={})
        await queue_mail(session, MailKind.PASSWORD_CHANGED, email, link=link, days=undo.LIFETIME.days)


async def activate(session: AsyncSession, user_id: int, by: Hand, *, reason: str = "") -> None:
    """Activate an account for an administrator or operator, confirmed or not.

    Raises:
        AccountDeletedError: there is nobody left to open it for.
    """
    if not await users.lock_if_there(session, user_id):
        raise AccountDeletedError
    await account_states.set_deactivated(session, user_id, None)
    await users.set_active(session, user_id, active=True)
    await users.add_to_members(session, user_id)
    await audit.write_deed(session, user_id, Deed.ACTIVATED, by, detail=reason)


async def deactivate(session: AsyncSession, user_id: int, by: Hand, *, reason: str = "") -> None:
    """Close an account until somebody opens it again by `activate`: no mail link does, and no token or key works here.

    API tokens and trusted publishers are removed: whoever opens it again may know nothing of who made them.

    Raises:
        AccountDeletedError: there is nothing left to close.
    """
    if not await users.lock_if_there(session, user_id):
        raise AccountDeletedError
    await account_states.set_deactivated(session, user_id, now_of(session))
    await users.set_active(session, user_id, active=False)
    await void_all(session, user_id)
    await audit.write_deed(session, user_id, Deed.DEACTIVATED, by, detail=reason)


async def end_sessions(session: AsyncSession, user_id: int, by: Hand, *, reason: str = "") -> None:
    """End every session of somebody else's account."""
    await end_all_sessions(session, user_id)
    await audit.write_deed(session, user_id, Deed.SESSIONS_ENDED, by, detail=reason)


async def confirm_by_hand(session: AsyncSession, user_id: int, by: Hand, *, reason: str = "") -> bool:
    """Confirm the address of an account that nobody ever confirmed; False if it is open, or was closed on purpose.

    Raises:
        AccountDeletedError: there is nobody left to confirm it for.
    """
    if not await users.lock_if_there(session, user_id):
        raise AccountDeletedError
    if await users.is_active(session, user_id) or await account_states.was_ever_open(session, user_id):
        return False
    await _open(session, user_id)
    await audit.write_deed(session, user_id, Deed.CONFIRMED, by, detail=reason)
    return True


async def _activate(
    session: AsyncSession, settings: Settings, found: AccountToken, client: Client, browser: str | None
) -> str | None:
    """Open the account; return where its owner chooses a password, if that of the sign-up may be somebody else's.

    Who signs up with another's address waits for its owner to open the link, in a browser of theirs.
    """
    if await account_states.is_deactivated(session, found.user_id):
        raise LinkNotValidError
    signed_up_in = await account_states.get_signup_browser(session, found.user_id)
    await _open(session, found.user_id)
    await audit.write(session, found.user_id, AuditKind.CONFIRMED, client)
    if browser is None or signed_up_in is None or signed_up_in == browser:
        return None
    await users.set_new_password(session, found.user_id, NO_PASSWORD)
    email = await users.get_email(session, found.user_id) or ""
    return await mails.ask_for_password(session, settings, user_id=found.user_id, email=email)


async def _open(session: AsyncSession, user_id: int) -> None:
    # Another program may have let somebody register one before the address was known to be theirs.
    await passkeys.delete_of_user(session, user_id)
    await users.set_active(session, user_id, active=True)
    await users.add_to_members(session, user_id)
    await account_states.set_confirmed(session, user_id, now_of(session))


async def _confirm_change(
    session: AsyncSession, settings: Settings, found: AccountToken, client: Client
) -> None:
    """Set the new address, unless another account has taken it since the request."""
    new, old = found.email or "", await users.get_email(session, found.user_id)
    await address_locks.lock_address(session, new)
    if old is None or await logins.is_taken(session, new, but_not=found.user_id):
        raise LinkNotValidError
    if not await users.set_email(session, found.user_id, new):
        raise LinkNotValidError
    await void(session, found.user_id)
    await audit.write(session, found.user_id, AuditKind.EMAIL_CHANGED, client)
    link = await undo.offer(
        session,
        settings,
        user_id=found.user_id,
        kind=UndoKind.EMAIL,
        before={"email": old},
        kept_email=old,
    )
    days, veiled = undo.LIFETIME.days, _veiled(new)
    await queue_mail(session, MailKind.EMAIL_CHANGED, old, new_email=veiled, link=link, days=days)


async def _require_confirmed(session: AsyncSession, found: AccountToken) -> None:
    """Accept a used token again while its effect still holds."""
    if found.purpose == LinkPurpose.CHANGE_EMAIL:
        still = await users.get_email(session, found.user_id) == found.email
    elif found.purpose == LinkPurpose.APPROVE_EMAIL:
        still = await account_states.get_email_change(session, found.user_id) is not None
    else:
        still = found.purpose == LinkPurpose.CONFIRM and await users.is_active(session, found.user_id)
    if not still:
        raise LinkNotValidError


async def void(session: AsyncSession, user_id: int) -> None:
    """End every session, and invalidate every link that was mailed or is queued, but for those that undo.

    Of mails about identities at providers as well: somebody who could read the mailbox may have kept one for later.
    """
    await end_all_sessions(session, user_id)
    await provider_flows.delete_of_user(session, user_id, await users.get_email(session, user_id) or "")
    await account_tokens.delete_unused(session, user_id)
    await account_states.set_email_change(session, user_id, None)


async def void_all(session: AsyncSession, user_id: int) -> int:
    """As `void`, and remove API tokens and trusted publishers; return how many there were of both."""
    await void(session, user_id)
    return await api_tokens.forget_programs(session, user_id)


async def _forget_email_changes(session: AsyncSession, user_id: int, *, latest: str | None) -> None:
    """Invalidate links of earlier changes of address; the worker creates one for the latest only."""
    for purpose in (LinkPurpose.APPROVE_EMAIL, LinkPurpose.CHANGE_EMAIL):
        await account_tokens.delete_unused(session, user_id, purpose=purpose)
    await account_states.set_email_change(session, user_id, latest)


def _veiled(email: str) -> str:
    """Return a masked address, which its owner can recognise: `a…@example.org`."""
    name, _, domain = as_shown(email).rpartition("@")
    return f"{name[:1]}…@{domain}"
