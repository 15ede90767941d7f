"""Undoes changes of an account, by the link that was mailed when they were made."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit, lifecycle, mails, second_factor, service_passkeys
from app.accounts.audit import AuditKind
from app.accounts.links import digest
from app.accounts.problems import LinkNotValidError
from app.accounts.undo import UndoKind
from app.core.clients import Client
from app.core.passwords import NO_PASSWORD
from app.core.settings import Settings
from app.db import account_changes, linked_accounts, users
from app.db.engine import now_of
from app.db.linked_accounts import LinkedAccount, identity_digest

log = structlog.get_logger(__name__)

Before = Mapping[str, Any]


async def _nothing(_session: AsyncSession, _user_id: int, _before: Before) -> None:
    """A log-in changes nothing, and a password is never brought back: whoever changed it may know the old one."""


async def _restore_email(session: AsyncSession, user_id: int, before: Before) -> None:
    """Bring the address back, which nobody could take here meanwhile (`logins.is_taken`)."""
    try:
        async with session.begin_nested():
            await users.restore_email(session, user_id, str(before["email"]))
    except IntegrityError as error:
        # Another server gave it to somebody, and the table takes no address twice.
        raise LinkNotValidError("Another account has your address by now; please write to us") from error


async def _unlink(session: AsyncSession, user_id: int, before: Before) -> None:
    await linked_accounts.delete_link(session, str(before["identity"]), user_id=user_id)


async def _link_again(session: AsyncSession, user_id: int, before: Before) -> None:
    """Link the account at the provider again, unless it opens another account by now."""
    told = {name: str(before[name]) for name in ("provider", "issuer", "subject", "label")}
    digest_of_it = identity_digest(told["issuer"], told["subject"])
    link = LinkedAccount(digest_of_it, user_id, **told, created_at=now_of(session), last_used_at=None)
    if not await linked_accounts.add_link(session, link):
        log.info("a linked account was not brought back: it opens another account by now", user=user_id)


UNDO: Mapping[UndoKind, Callable[[AsyncSession, int, Before], Awaitable[None]]] = {
    UndoKind.LOGIN: _nothing,
    UndoKind.PASSWORD: _nothing,
    UndoKind.EMAIL: _restore_email,
    UndoKind.ACCOUNT_LINKED: _unlink,
    UndoKind.ACCOUNT_UNLINKED: _link_again,
    UndoKind.PASSKEY_ADDED: service_passkeys.forget_added,
    UndoKind.PASSKEY_REMOVED: service_passkeys.bring_back,
    UndoKind.PASSKEY_SECOND: service_passkeys.choose_as_before,
    UndoKind.SECOND_FACTOR: second_factor.restore,
}
"""What undoes each kind of change, given what was before. It bears that the account has changed since."""


async def undo(session: AsyncSession, settings: Settings, token: str, client: Client) -> None:
    """Undo the change of a link and all later ones, end sessions and API tokens, and ask for a new password by mail.

    Whoever made the change may know the password, and has read the API key: the key is another one from now on, and no
    password opens the account until its owner chooses one.

    Raises:
        LinkNotValidError: the link is unknown, used or too old; or somebody else has the address by now.
    """
    found = await account_changes.get(session, digest(token))
    if found is None or found.expires_at <= now_of(session):
        raise LinkNotValidError
    if not await users.lock_if_there(session, found.user_id):
        raise LinkNotValidError
    taken = await account_changes.take_since(session, found)
    if not taken:
        raise LinkNotValidError  # Somebody else used it in this moment.
    for change in taken:
        await UNDO[UndoKind(change.kind)](session, found.user_id, change.before)
    await users.set_new_password(session, found.user_id, NO_PASSWORD)
    await lifecycle.void_all(session, found.user_id)
    if await users.is_active(session, found.user_id):
        await users.set_api_key(session, found.user_id, api_key=lifecycle.new_api_key())
    await audit.write(session, found.user_id, AuditKind.UNDONE, client)
    if email := await users.get_email(session, found.user_id):
        await mails.send_reset(session, settings, user_id=found.user_id, email=email)
