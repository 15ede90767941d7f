"""Creating and confirming an account."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import links
from app.accounts.links import LinkPurpose
from app.core.clock import utc_now
from app.core.settings import Settings
from app.core.wakeups import OUTBOX
from app.db import account_tokens, outbox, users
from app.db.engine import wake_after_commit
from app.mail.messages import MailKind


class AccountExistsError(Exception):
    """Somebody has this e-mail address already."""


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What somebody who signs up tells us; the password is hashed already."""

    email: str
    first_name: str
    last_name: str
    password_hash: str
    ip_address: str


def new_api_key() -> str:
    """Return a key in the shape that OpenML's servers accept: 32 lower-case hexadecimal digits."""
    return secrets.token_hex(16)


async def create_account(session: AsyncSession, account: NewAccount, settings: Settings) -> int:
    """Insert the account and, in the same transaction, the mail that lets its owner confirm it.

    Raises:
        AccountExistsError: the address is taken.
    """
    if await users.is_taken(session, account.email):
        raise AccountExistsError
    try:
        async with session.begin_nested():
            user_id = await users.add_user(
                session,
                email=account.email,
                password_hash=account.password_hash,
                first_name=account.first_name,
                last_name=account.last_name,
                api_key=new_api_key(),
                ip_address=account.ip_address,
                active=not settings.send_email,
                now=utc_now(),
            )
    except IntegrityError as error:
        # A request beside this one was faster. (128 random bits do not collide.)
        raise AccountExistsError from error
    if settings.send_email:
        await send_confirmation(session, user_id=user_id, email=account.email, settings=settings)
    else:
        await users.add_to_members(session, user_id)
    return user_id


async def send_confirmation(session: AsyncSession, *, user_id: int, email: str, settings: Settings) -> None:
    """Queue the mail with a new confirmation link."""
    now = utc_now()
    link = await links.create_link(
        session,
        site_url=settings.site_url,
        user_id=user_id,
        purpose=LinkPurpose.CONFIRM,
        lifetime=timedelta(hours=settings.confirmation_hours),
        now=now,
    )
    parameters = {"link": link, "hours": settings.confirmation_hours}
    await outbox.add_mail(
        session, kind=MailKind.CONFIRM_EMAIL, recipient=email, parameters=parameters, now=now
    )
    wake_after_commit(session, OUTBOX)


async def confirm_account(session: AsyncSession, token: str) -> None:
    """Activate the account whose confirmation link holds `token`.

    The SPA posts each link twice; the second time finds nothing to do and says so kindly.

    Raises:
        LinkNotValidError: the token confirms nothing.
    """
    known = await account_tokens.get_token(
        session, token_digest=links.digest(token), purpose=LinkPurpose.CONFIRM
    )
    if known is not None and known.used_at is not None and known.owner_active:
        return
    found = await links.redeem(session, token=token, purpose=LinkPurpose.CONFIRM, now=utc_now())
    await users.set_active(session, found.user_id)
    await users.add_to_members(session, found.user_id)
