"""Whose account an identity of a provider opens: the linked one, a new one, or one whose owner is asked by mail."""

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit, lifecycle, mails, undo
from app.accounts.audit import AuditKind, Deed, Hand
from app.accounts.lifecycle import NewAccount
from app.accounts.mails import MailRequest
from app.accounts.problems import LinkedElsewhereError, SignInRefusedError
from app.accounts.undo import UndoKind
from app.accounts.ways_in import require_way_in
from app.core.addresses import are_same
from app.core.clients import Client
from app.core.errors import NotFoundError
from app.core.passwords import NO_PASSWORD
from app.core.providers import Provider
from app.core.settings import Settings
from app.core.validated_strings import Email, PersonName
from app.db import address_locks, linked_accounts, logins, provider_flows, users
from app.db.engine import now_of
from app.db.linked_accounts import LinkedAccount, identity_digest
from app.db.second_factors import get_factors
from app.oidc.identities import Identity

MOST_LINKS = 10
"""Accounts at providers that one account here may have."""
_EMAIL, _NAME = TypeAdapter(Email), TypeAdapter(PersonName)


class MailNeededError(Exception):
    """An open account has the address: its owner has to open a mail before it is linked."""


class Settled(NamedTuple):
    """Whose account it is, and whether it was made just now."""

    user_id: int
    is_new: bool


def email_of(identity: Identity) -> str:
    """Return the address that a provider names, in the spelling that accounts have; empty where it is none for us."""
    try:
        return _EMAIL.validate_python(identity.email)
    except ValidationError:
        return ""


async def find_owner(session: AsyncSession, identity: Identity) -> int | None:
    """Return whose linked account it is, with that user's row locked; and keep that it was used.

    Nothing that the provider says of the address or the name is taken over: those change hands.
    """
    digest = identity_digest(identity.issuer, identity.subject)
    link = await linked_accounts.find(session, digest)
    if link is None:
        return None
    await users.lock_user(session, link.user_id)
    # Its owner may have taken it away while we waited for the row.
    if await linked_accounts.find(session, digest) is None:
        return None
    await linked_accounts.set_used(session, digest, now_of(session))
    return link.user_id


async def settle(
    session: AsyncSession,
    settings: Settings,
    provider: Provider,
    identity: Identity,
    *,
    email: str,
    client: Client,
    by_mail: bool,
) -> Settled:
    """Return whose account an identity opens that is linked to none, and link it.

    Args:
        session: of the log-in.
        settings: of the installation.
        provider: the one that has said so.
        identity: what it has said.
        email: an address that is theirs: the provider says so, or they have opened a mail.
        client: where they are.
        by_mail: whether they have opened a mail.

    Raises:
        MailNeededError: an open account has the address, and no mail was opened.
        SignInRefusedError: the account with that address is closed, or there are several.
    """
    await address_locks.lock_address(session, email)
    # Databases hold `é` and `e` for one letter: of what they find, only this very address counts.
    holders = [each for each in await logins.find_addressees(session, email) if are_same(each.email, email)]
    is_open = [each for each in holders if each.active]
    if len(is_open) > 1:
        raise SignInRefusedError(
            "Several accounts have your address. Sign in with a password, and link this one there."
        )
    if is_open and not by_mail:
        raise MailNeededError
    if is_open and await get_factors(session, is_open[0].id):
        # Whoever reads the mailbox must not get a way in that stays, with half of what the account asks for.
        raise SignInRefusedError(
            "Your account has a second factor. Sign in as you did before, and link this one at /auth/security."
        )
    user_id = is_open[0].id if is_open else await _open_account(session, settings, identity, email, client)
    await users.lock_user(session, user_id)
    await link(session, settings, provider, identity, user_id=user_id, client=client, tells=bool(is_open))
    return Settled(user_id, is_new=not is_open)


async def _open_account(
    session: AsyncSession, settings: Settings, identity: Identity, email: str, client: Client
) -> int:
    """Return the number of an account of that address, which nobody but its owner has a way into."""
    first, last = _names(identity, email)
    waiting = await mails.find_addressees(session, MailRequest.CONFIRMATION, email)
    taken_over = next((each for each in waiting if are_same(each.email, email)), None)
    if taken_over is not None:
        await lifecycle.take_over(session, taken_over.id, first_name=first, last_name=last, client=client)
        return taken_over.id
    if await logins.is_taken(session, email):
        raise SignInRefusedError("The account with your address is closed; write to us.")
    account = NewAccount(email, email, first, last, NO_PASSWORD)
    return await lifecycle.create_account(session, account, settings, client, is_confirmed=True)


async def link(
    session: AsyncSession,
    settings: Settings,
    provider: Provider,
    identity: Identity,
    *,
    user_id: int,
    client: Client,
    tells: bool = True,
) -> LinkedAccount:
    """Link an identity to the account of a user, whose row is locked, and tell its owner with a way to undo it.

    Raises:
        LinkedElsewhereError: another account has it.
        SignInRefusedError: the account has as many as may be.
    """
    links = await linked_accounts.get_of_user(session, user_id)
    digest = identity_digest(identity.issuer, identity.subject)
    if found := next((each for each in links if each.identity_digest == digest), None):
        return found
    if len(links) >= MOST_LINKS:
        raise SignInRefusedError(f"{MOST_LINKS} accounts are linked; take one away first.")
    made = LinkedAccount(
        digest, user_id, provider.id, identity.issuer, identity.subject, identity.label, now_of(session), None
    )
    if not await linked_accounts.add_link(session, made):
        raise LinkedElsewhereError
    await provider_flows.delete_pending(session, digest)
    what = f"{provider.name} account {identity.label}"
    await audit.write(session, user_id, AuditKind.ACCOUNT_LINKED, client, detail=what)
    if tells:
        await undo.tell(
            session,
            settings,
            user_id=user_id,
            kind=UndoKind.ACCOUNT_LINKED,
            before={"identity": digest},
            to=await users.get_email(session, user_id) or "",
            what=f"The {what} was linked: whoever has it may sign in as you",
        )
    return made


async def unlink(
    session: AsyncSession, settings: Settings, *, user_id: int, digest: str, client: Client
) -> None:
    """Take a linked account away from a user.

    Raises:
        NotFoundError: there is no such one.
        LastWayInError: nothing else opens the account.
    """
    await users.require_open(session, user_id)
    links = await linked_accounts.get_of_user(session, user_id)
    found = next((each for each in links if each.identity_digest == digest), None)
    if found is None:
        raise NotFoundError("There is no such linked account; it may be gone already.")
    await linked_accounts.delete_link(session, digest, user_id=user_id)
    await require_way_in(session, user_id)
    what = f"{found.provider} account {found.label}"
    await audit.write(session, user_id, AuditKind.ACCOUNT_UNLINKED, client, detail=what)
    await undo.tell(
        session,
        settings,
        user_id=user_id,
        kind=UndoKind.ACCOUNT_UNLINKED,
        before=as_json(found),
        to=await users.get_email(session, user_id) or "",
        what=f"The {what} was taken away: it opens your account no more",
    )


async def unlink_by_hand(session: AsyncSession, link: LinkedAccount, by: Hand) -> None:
    """Take a linked account away for an operator; its owner gets a mail, and may choose a password by mail."""
    await users.lock_user(session, link.user_id)
    await linked_accounts.delete_link(session, link.identity_digest, user_id=link.user_id)
    what = f"{link.provider} account {link.label}"
    await audit.write_deed(session, link.user_id, Deed.ACCOUNT_UNLINKED, by, detail=what)


def as_json(link: LinkedAccount) -> dict[str, str]:
    """Return what `undoing` brings a link back by."""
    return {name: str(getattr(link, name)) for name in ("provider", "issuer", "subject", "label")}


def _names(identity: Identity, email: str) -> Sequence[str]:
    """Return first and last name as a sign-up takes them, or what stands before the @."""
    first, last = (_name_or_none(name) for name in (identity.first_name, identity.last_name))
    return first or last or email.partition("@")[0][:50], (last or "") if first else ""


def _name_or_none(name: str) -> str | None:
    try:
        return _NAME.validate_python(name)
    except ValidationError:
        return None
