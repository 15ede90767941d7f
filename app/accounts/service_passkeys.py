"""Passkeys: registered, listed, renamed, removed by their owner; and used to sign in (`passkey_use`)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit, undo
from app.accounts.audit import AuditKind, Deed, Hand
from app.accounts.passkey_ceremony import (
    ALGORITHMS,
    CeremonyError,
    Registration,
    challenge_of,
    to_base64url,
    verify_registration,
)
from app.accounts.passkey_names import NAMES, UNNAMED, name_for
from app.accounts.problems import AccountLimitError
from app.accounts.schemas_passkeys import (
    Algorithm,
    CreationOptions,
    Descriptor,
    PasskeyRequest,
    PasskeyResponse,
    RelyingPartyEntity,
    Selection,
    UserEntity,
)
from app.accounts.undo import UndoKind
from app.accounts.ways_in import require_way_in
from app.core.addresses import as_shown
from app.core.authenticators import Authenticators
from app.core.challenges import LIFETIME
from app.core.clients import Client
from app.core.errors import BadRequestError, NotFoundError, ValidationFailedError
from app.core.settings import Settings
from app.db import passkeys, spent_challenges, users
from app.db.engine import now_of
from app.db.foreign_passkeys import KNOWN_TRANSPORTS
from app.db.passkeys import NewPasskey, Passkey, PasskeyExistsError
from app.db.users import Account

REGISTER = "register a passkey"
"""The purpose of a challenge."""
MOST_OF_USER = 30
TIMEOUT_MILLISECONDS = int(LIFETIME.total_seconds() * 1000)
NO_CHALLENGE = "Registration challenge not found"
FOREIGN_NAME = (
    "Use letters without accents, digits and signs (ASCII): another program of OpenML keeps this passkey, and can hold "
    "no others."
)


class Verified(NamedTuple):
    """A passkey that was made for a challenge, and until when that could be answered."""

    new: NewPasskey
    challenge: bytes
    ends_at: datetime


def subject_of(user_id: int, jti: str) -> str:
    """Return who may answer a challenge that is given to a session: its user, in that session."""
    return f"{user_id} {jti}"


async def creation_options(
    session: AsyncSession, authenticators: Authenticators, account: Account, subject: str
) -> CreationOptions:
    """Return what a browser needs to make a passkey for the account.

    Raises:
        AccountLimitError: it has as many as one may have.
        UnauthorizedError: it was closed meanwhile.
    """
    await users.require_open(session, account.id)
    found = await passkeys.get_of_user(session, account.id)
    _require_room(found)
    return CreationOptions(
        rp=RelyingPartyEntity(id=authenticators.party.id),
        user=UserEntity(
            id=await passkeys.make_handle(session, account.id),
            name=as_shown(account.email),
            displayName=f"{account.first_name} {account.last_name}".strip() or as_shown(account.username),
        ),
        challenge=to_base64url(authenticators.challenges.issue(REGISTER, subject)),
        pubKeyCredParams=[Algorithm(alg=number) for number in ALGORITHMS],
        timeout=TIMEOUT_MILLISECONDS,
        excludeCredentials=[described(passkey) for passkey in found],
        authenticatorSelection=Selection(residentKey="preferred", userVerification="preferred"),
    )


async def verify(
    authenticators: Authenticators, account: Account, subject: str, body: PasskeyRequest
) -> Verified:
    """Return the passkey that the user's authenticator has made; nothing is kept yet.

    Raises:
        BadRequestError: the challenge is none of ours for this session, or the answer is not good.
    """
    try:
        challenge = challenge_of(body.credential.response.clientDataJSON)
        ends_at = authenticators.challenges.end_of(challenge, REGISTER, subject)
        if ends_at is None:
            raise BadRequestError(NO_CHALLENGE)
        made = await authenticators.checks.run_for(
            account.id, verify_registration, body.credential, challenge, authenticators.party
        )
    except CeremonyError as error:
        raise BadRequestError(f"Verification failed: {error}") from None
    return Verified(_new_passkey(made, body), challenge, ends_at)


async def keep(
    session: AsyncSession, settings: Settings, account: Account, verified: Verified, client: Client
) -> None:
    """Keep a passkey, and tell its owner by mail, who can undo it for a week.

    Raises:
        BadRequestError: its challenge was answered before, or some account has it already.
    """
    await users.require_open(session, account.id)
    new = verified.new
    if not await spent_challenges.spend(session, verified.challenge, ends_at=verified.ends_at):
        raise BadRequestError(NO_CHALLENGE)
    _require_room(await passkeys.get_of_user(session, account.id))
    try:
        await passkeys.add(session, account.id, new, created_at=now_of(session))
    except PasskeyExistsError:
        raise BadRequestError("Verification failed: this passkey is registered already") from None
    await audit.write(session, account.id, AuditKind.PASSKEY_ADDED, client, detail=new.name)
    await undo.tell(
        session,
        settings,
        user_id=account.id,
        kind=UndoKind.PASSKEY_ADDED,
        before={"credential_id": new.credential_id},
        to=account.email,
        what=f"A passkey was added: {new.name}.",
    )


async def list_passkeys(session: AsyncSession, user_id: int) -> list[PasskeyResponse]:
    """Return the user's passkeys."""
    return [
        PasskeyResponse(
            id=found.id,
            deviceName=found.name or UNNAMED,
            createdAt=found.created_at,
            lastUsedAt=found.last_used_at,
            authenticator=NAMES.get(found.aaguid, ""),
            synced=found.backed_up,
        )
        for found in await passkeys.get_of_user(session, user_id)
    ]


async def rename(session: AsyncSession, user_id: int, passkey_id: int, name: str, client: Client) -> None:
    """Give a passkey another name.

    Raises:
        NotFoundError: the user has no such one.
        ValidationFailedError: another program's table has it, which holds ASCII alone.
    """
    await users.require_open(session, user_id)
    if passkey_id < 0 and not name.isascii():
        raise ValidationFailedError.for_fields([{"field": "deviceName", "message": FOREIGN_NAME}])
    if not await passkeys.rename(session, user_id, passkey_id, name):
        raise NotFoundError("Passkey not found")
    await audit.write(session, user_id, AuditKind.PASSKEY_RENAMED, client, detail=name)


async def remove(
    session: AsyncSession, settings: Settings, account: Account, passkey_id: int, client: Client
) -> Passkey:
    """Remove a passkey, and tell its owner by mail, who can undo it for a week.

    Raises:
        NotFoundError: the user has no such one.
        LastWayInError: nothing else opens the account.
    """
    await users.require_open(session, account.id)
    found = await passkeys.get_of_user(session, account.id)
    removed = next((passkey for passkey in found if passkey.id == passkey_id), None)
    if removed is None:
        raise NotFoundError("Passkey not found")
    await passkeys.delete(session, removed)
    await require_way_in(session, account.id)
    name = removed.name or UNNAMED
    await audit.write(session, account.id, AuditKind.PASSKEY_REMOVED, client, detail=name)
    await undo.tell(
        session,
        settings,
        user_id=account.id,
        kind=UndoKind.PASSKEY_REMOVED,
        before=kept_of(removed),
        to=account.email,
        what=f"A passkey was removed: {name}.",
    )
    return removed


async def remove_by_hand(session: AsyncSession, user_id: int, by: Hand, *, only: int | None) -> bool:
    """Remove one of the user's passkeys for an operator, or all; False if there is none. The owner gets a mail."""
    await users.lock_user(session, user_id)
    found = await passkeys.get_of_user(session, user_id)
    removed = [passkey for passkey in found if only in {None, passkey.id}]
    for passkey in removed:
        await passkeys.delete(session, passkey)
    if removed:
        names = ", ".join(passkey.name or UNNAMED for passkey in removed)
        await audit.write_deed(session, user_id, Deed.PASSKEYS_REMOVED, by, detail=names)
    return bool(removed)


async def choose_second_factor(
    session: AsyncSession, settings: Settings, account: Account, client: Client, *, required: bool
) -> None:
    """Choose whether a passkey is asked for after the password, and tell the owner by mail, who can undo it.

    Raises:
        BadRequestError: the account has no passkey that could be asked for.
    """
    await users.require_open(session, account.id)
    if required and not any(found.id > 0 for found in await passkeys.get_of_user(session, account.id)):
        raise BadRequestError("Add a passkey first.")
    before = await passkeys.is_second_factor(session, account.id)
    if before == required:
        return
    await passkeys.set_second_factor(session, account.id, required=required)
    kind, words = (
        (AuditKind.PASSKEY_ASKED_FOR, "is asked for")
        if required
        else (AuditKind.PASSKEY_NOT_ASKED_FOR, "is no longer asked for")
    )
    await audit.write(session, account.id, kind, client)
    await undo.tell(
        session,
        settings,
        user_id=account.id,
        kind=UndoKind.PASSKEY_SECOND,
        before={"required": before},
        to=account.email,
        what=f"A passkey {words} after the password.",
    )


async def choose_as_before(session: AsyncSession, user_id: int, before: Mapping[str, Any]) -> None:
    """Undo a choice of whether a passkey is asked for."""
    await passkeys.set_second_factor(session, user_id, required=bool(before["required"]))


def kept_of(passkey: Passkey) -> dict[str, Any]:
    """Return what brings a removed passkey back, as JSON: nothing of it is a secret."""
    times = {"created_at": passkey.created_at, "last_used_at": passkey.last_used_at}
    return {
        **{name: value for name, value in passkey._asdict().items() if name not in {"id", "user_id"}},
        **{name: moment and moment.isoformat() for name, moment in times.items()},
    }


async def forget_added(session: AsyncSession, user_id: int, before: Mapping[str, Any]) -> None:
    """Undo that a passkey was added."""
    await passkeys.delete_credential(session, user_id, str(before["credential_id"]))


async def bring_back(session: AsyncSession, user_id: int, before: Mapping[str, Any]) -> None:
    """Undo that a passkey was removed, unless it is there again, or somebody else's by now."""
    new = NewPasskey(
        credential_id=before["credential_id"],
        public_key=before["public_key"],
        sign_count=before["sign_count"],
        transports=tuple(before["transports"]),
        name=before["name"] or UNNAMED,
        aaguid=before["aaguid"],
        backup_eligible=bool(before["backup_eligible"]),
        backed_up=bool(before["backed_up"]),
        user_verified=bool(before.get("user_verified")),
    )
    created, used = (
        datetime.fromisoformat(text) if text else None
        for text in (before["created_at"], before["last_used_at"])
    )
    try:
        await passkeys.add(session, user_id, new, created_at=created or now_of(session), last_used_at=used)
    except PasskeyExistsError:
        return


def described(passkey: Passkey) -> Descriptor:
    """Return a passkey as browsers know it."""
    return Descriptor(id=passkey.credential_id, transports=list(passkey.transports))


def _new_passkey(made: Registration, body: PasskeyRequest) -> NewPasskey:
    return NewPasskey(
        **made._asdict(),
        transports=tuple(sorted(KNOWN_TRANSPORTS.intersection(body.credential.response.transports))),
        name=name_for(body.deviceName, made.aaguid),
    )


def _require_room(found: list[Passkey]) -> None:
    if len(found) >= MOST_OF_USER:
        raise AccountLimitError(
            f"An account may have {MOST_OF_USER} passkeys; remove one that you do not use."
        )
