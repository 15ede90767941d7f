"""People, as administrators and operators see them, and what these do to accounts: one service for all their tools."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit, lifecycle, links, mails, second_factor
from app.accounts.api_tokens import list_tokens
from app.accounts.audit import Deed, Hand
from app.accounts.lifecycle import AccountDeletedError
from app.accounts.links import LinkPurpose
from app.accounts.service_passkeys import list_passkeys
from app.admin.schemas import (
    AdminEventResponse,
    AdminLinkedAccountResponse,
    AdminSessionResponse,
    AdminUploadResponse,
    MailResponse,
    PeopleResponse,
    PersonLineResponse,
    PersonResponse,
    ReportResponse,
)
from app.core.addresses import as_shown
from app.core.errors import AdministratorsOnlyError, BadRequestError, NotFoundError
from app.core.settings import Settings
from app.db import account_states, audit_events, linked_accounts, outbox, people, reports, sessions, users
from app.db.engine import now_of
from app.db.outbox import queue_mail
from app.db.reader import Reader
from app.mail.messages import MailKind

SHOWN = 50
"""Rows of each kind that a story has."""
FOUND = 50
TOLD_AGAIN = timedelta(days=1)
"""How often a user is told that the same administrator looks at their account."""


async def find(session: AsyncSession, text: str) -> PeopleResponse:
    """Return users of whose names or addresses the text is a part, or whose number it is."""
    found = await people.find_people(session, text, limit=FOUND)
    return PeopleResponse(users=[PersonLineResponse(**person._asdict()) for person in found])


async def show(session: AsyncSession, reader: Reader, user_id: int, by: Hand) -> PersonResponse:
    """Return a user's account with its sessions, events, mails, uploads and reports; the access is recorded for them.

    Raises:
        NotFoundError: there never was such a user.
    """
    email = await _require(session, user_id)
    account = await users.get_personal_data(session, user_id)
    await _tell_of_look(session, user_id, by)
    return PersonResponse(
        account={**account, "email": as_shown(account["email"])},
        state=await _state(session, user_id),
        administrator=await users.is_administrator(reader, user_id),
        second_factor=await second_factor.get_status(session, user_id),
        linked_accounts=[
            AdminLinkedAccountResponse.model_validate(link, from_attributes=True)
            for link in await linked_accounts.get_of_user(session, user_id)
        ],
        passkeys=await list_passkeys(session, user_id),
        api_tokens=await list_tokens(session, user_id),
        sessions=[
            AdminSessionResponse.model_validate(login, from_attributes=True)
            for login in await sessions.get_live_sessions(session, user_id, now_of(session))
        ],
        events=[
            AdminEventResponse(**event._asdict())
            for event in await audit_events.get_events(session, user_id, limit=SHOWN)
        ],
        mails=[
            MailResponse.model_validate(mail, from_attributes=True)
            for mail in await outbox.list_mails(session, recipient=email, state="", limit=SHOWN)
        ],
        uploads=[
            AdminUploadResponse(**line._asdict())
            for line in await people.find_uploads(session, user_id=user_id, limit=SHOWN)
        ],
        reports=[
            ReportResponse(**report._asdict())
            for report in await reports.get_of_user(session, user_id, limit=SHOWN)
        ],
    )


async def require_ordinary(session: AsyncSession, reader: Reader, user_id: int, by: Hand) -> None:
    """Return if this actor may change the account.

    Nobody can lock out themselves or each other: administrators' accounts are changed by operators only.

    Raises:
        NotFoundError: there never was such a user.
        AdministratorsOnlyError: it is an administrator's.
    """
    await _require(session, user_id)
    if by.administrator_id is not None and await users.is_administrator(reader, user_id):
        raise AdministratorsOnlyError(
            "This is an administrator's account: operators change it, with openml-web user at the command line."
        )


async def open_account(session: AsyncSession, user_id: int, by: Hand, reason: str) -> None:
    """Open an account that was closed, or was never confirmed.

    Raises:
        BadRequestError: it was deleted, which is for good.
    """
    try:
        await lifecycle.activate(session, user_id, by, reason=reason)
    except AccountDeletedError:
        raise _deleted() from None


async def confirm(session: AsyncSession, user_id: int, by: Hand, reason: str) -> None:
    """Confirm the address of a new account, where the mail did not arrive.

    Raises:
        BadRequestError: it is open, was closed on purpose, or was deleted.
    """
    try:
        done = await lifecycle.confirm_by_hand(session, user_id, by, reason=reason)
    except AccountDeletedError:
        raise _deleted() from None
    if not done:
        raise BadRequestError("This account needs no confirmation: it is open, or was closed on purpose.")


async def close(session: AsyncSession, user_id: int, by: Hand, reason: str) -> None:
    """Close an account until somebody opens it again.

    Raises:
        BadRequestError: it was deleted.
    """
    try:
        await lifecycle.deactivate(session, user_id, by, reason=reason)
    except AccountDeletedError:
        raise _deleted() from None


async def send_mail(
    session: AsyncSession, settings: Settings, user_id: int, by: Hand, *, kind: str, reason: str
) -> None:
    """Send a mail with a new link to the account's own address; who sends it never sees the link.

    Raises:
        BadRequestError: the account is in no need of it, or was closed.
    """
    email = await _require(session, user_id)
    state = await _state(session, user_id)
    if kind == "confirmation" and state == "not confirmed":
        await mails.send_confirmation(session, settings, user_id=user_id, email=email)
    elif kind == "password-reset" and state == "open":
        link = await links.create_link(session, settings, user_id=user_id, purpose=LinkPurpose.RESET_PASSWORD)
        await queue_mail(
            session, MailKind.RESET_PASSWORD, email, link=link, minutes=links.RESET_MINUTES, account=""
        )
    else:
        raise BadRequestError(f"There is no mail of this kind for an account that is {state}.")
    await audit.write_deed(session, user_id, Deed.MAIL_SENT, by, detail=f"{kind}: {reason}")


async def _require(session: AsyncSession, user_id: int) -> str:
    """Return the user's address."""
    email = await users.get_email(session, user_id)
    if email is None:
        raise NotFoundError("There is no such user.")
    return email


async def _state(session: AsyncSession, user_id: int) -> str:
    if not await users.lock_if_there(session, user_id):
        return "deleted"
    if await users.is_active(session, user_id):
        return "open"
    return "closed" if await account_states.was_ever_open(session, user_id) else "not confirmed"


async def _tell_of_look(session: AsyncSession, user_id: int, by: Hand) -> None:
    if by.administrator_id is None or by.administrator_id == user_id:
        return
    known = await audit_events.has_been(
        session,
        user_id,
        kind=f"{Deed.LOOKED_AT} by {by.who}",
        administrator_id=by.administrator_id,
        since=now_of(session) - TOLD_AGAIN,
    )
    if not known:
        await audit.write_deed(session, user_id, Deed.LOOKED_AT, by)


def _deleted() -> BadRequestError:
    return BadRequestError("This account was deleted, which is for good.")
