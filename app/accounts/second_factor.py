"""What an owner changes of their second factors, and what operators may do for one who has lost them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit, recovery_codes, totp, undo
from app.accounts.audit import AuditKind, Deed, Hand
from app.accounts.schemas_second_factor import (
    ExportedFactorResponse,
    FactorResetResponse,
    SecondFactorStatusResponse,
)
from app.accounts.undo import UndoKind
from app.core.clients import Client
from app.core.errors import BadRequestError, NotFoundError
from app.core.methods import Method
from app.core.sealing import Sealer
from app.core.settings import Settings
from app.core.totp import start_of
from app.db import factor_resets, passkeys, totp_secrets, users
from app.db import recovery_codes as kept_codes
from app.db.engine import Database, now_of
from app.db.factor_resets import FactorReset
from app.db.outbox import queue_mail
from app.db.second_factors import get_factors
from app.db.totp_secrets import TotpSecret
from app.db.users import Account
from app.mail.messages import MailKind

log = structlog.get_logger(__name__)

RESET_DELAY = timedelta(hours=24)
"""Between an operator's word and the removal: long enough for an owner who did not ask to read the mail."""
RESETS_AT_ONCE = 100


async def get_status(session: AsyncSession, user_id: int) -> SecondFactorStatusResponse:
    """Return what the account asks for after the password."""
    secret = await totp_secrets.get_secret(session, user_id)
    reset = await factor_resets.get_reset(session, user_id)
    return SecondFactorStatusResponse(
        app_since=secret.created_at if secret else None,
        recovery_codes_left=await kept_codes.count_codes(session, user_id),
        reset=FactorResetResponse.model_validate(reset, from_attributes=True) if reset else None,
    )


async def list_exported(session: AsyncSession, user_id: int) -> list[ExportedFactorResponse]:
    """Return a user's second factors without their secrets."""
    found = []
    if secret := await totp_secrets.get_secret(session, user_id):
        used = start_of(secret.last_step)
        found.append(_exported("authenticator app", secret.created_at, last_used_at=used))
    if made_at := await kept_codes.get_made_at(session, user_id):
        left = await kept_codes.count_codes(session, user_id)
        found.append(_exported("recovery codes", made_at, left=left))
    if Method.PASSKEY in await get_factors(session, user_id):
        keys = await passkeys.get_of_user(session, user_id)
        uses = [key.last_used_at for key in keys if key.last_used_at]
        found.append(_exported("passkey", None, last_used_at=max(uses, default=None), left=len(keys)))
    return found


def _exported(
    kind: Literal["authenticator app", "recovery codes", "passkey"],
    since: datetime | None,
    *,
    last_used_at: datetime | None = None,
    left: int | None = None,
) -> ExportedFactorResponse:
    return ExportedFactorResponse(kind=kind, since=since, last_used_at=last_used_at, left=left)


async def enrol(
    session: AsyncSession,
    settings: Settings,
    sealer: Sealer,
    account: Account,
    *,
    enrolment: str,
    code: str,
    client: Client,
) -> Sequence[str]:
    """Turn codes of an app on, or take another phone for the one before; return new recovery codes, if none are left.

    Raises:
        ValidationFailedError: the code is none of what was offered, or the offer is too old.
        UnauthorizedError: the account was closed meanwhile.
    """
    await users.require_open(session, account.id)
    before = await _kept(session, account.id)
    await totp.enrol(session, sealer, account.id, enrolment=enrolment, code=code)
    codes = [] if before["codes"] else await recovery_codes.replace(session, account.id)
    await audit.write(session, account.id, AuditKind.APP_ADDED, client)
    await _tell(session, settings, account, before, "An authenticator app was set up")
    return codes


async def remove(session: AsyncSession, settings: Settings, account: Account, client: Client) -> None:
    """Turn codes of an app off.

    Raises:
        NotFoundError: none is set up.
        UnauthorizedError: the account was closed meanwhile.
    """
    await users.require_open(session, account.id)
    before = await _kept(session, account.id)
    if not await totp_secrets.delete_secret(session, account.id):
        raise NotFoundError("No authenticator app is set up.")
    if not await get_factors(session, account.id):
        await kept_codes.set_codes(session, account.id, [], now_of(session))
        await factor_resets.delete_of_user(session, account.id)
    await audit.write(session, account.id, AuditKind.APP_REMOVED, client)
    await _tell(session, settings, account, before, "The authenticator app was removed")


async def renew_codes(
    session: AsyncSession, settings: Settings, account: Account, client: Client
) -> Sequence[str]:
    """Replace the recovery codes.

    Raises:
        BadRequestError: the account has no second factor that they could take the place of.
        UnauthorizedError: the account was closed meanwhile.
    """
    await users.require_open(session, account.id)
    if not await get_factors(session, account.id):
        raise BadRequestError("Set up a second factor first; recovery codes take its place.")
    before = {"codes": await kept_codes.get_digests(session, account.id)}
    codes = await recovery_codes.replace(session, account.id)
    await audit.write(session, account.id, AuditKind.RECOVERY_CODES_MADE, client)
    await _tell(session, settings, account, before, "New recovery codes were made")
    return codes


async def restore(session: AsyncSession, user_id: int, before: Mapping[str, Any]) -> None:
    """Undo a change: bring back what was before it."""
    if "app" in before and before["app"] is None:
        await totp_secrets.delete_of_user(session, user_id)
    elif "app" in before:
        sealed, last_step = before["app"]
        # No code that was taken since, of whichever secret, is taken again.
        now_there = await totp_secrets.get_secret(session, user_id)
        last_step = max(last_step, now_there.last_step if now_there else 0)
        await totp_secrets.set_secret(session, TotpSecret(user_id, sealed, now_of(session), last_step))
    await kept_codes.set_codes(session, user_id, before["codes"], now_of(session))
    if before.get("passkey"):
        await passkeys.set_second_factor(session, user_id, required=True)
    await factor_resets.delete_of_user(session, user_id)


# --- by operators, for whoever has lost everything


async def ask_for_reset(
    session: AsyncSession, settings: Settings, user_id: int, by: Hand, *, reason: str
) -> FactorReset:
    """Have the account's second factors removed after `RESET_DELAY`, and tell its owner, who can stop it by a link.

    Raises:
        NotFoundError: the account was deleted.
        BadRequestError: it has no second factor.
    """
    if not await users.lock_if_there(session, user_id):
        raise NotFoundError("There is no such user.")
    if not await get_factors(session, user_id):
        raise BadRequestError("This account has no second factor.")
    now = now_of(session)
    reset = await factor_resets.add_reset(session, FactorReset(user_id, by.who, now, now + RESET_DELAY))
    await audit.write_deed(session, user_id, Deed.FACTOR_RESET_BEGUN, by, detail=reason)
    if email := await users.get_email(session, user_id):
        before = await _kept(session, user_id)
        link = await undo.offer(
            session, settings, user_id=user_id, kind=UndoKind.SECOND_FACTOR, before=before
        )
        told = {"who": by.who, "reason": reason, "due": f"{reset.due_at:%Y-%m-%d %H:%M} UTC", "link": link}
        await queue_mail(session, MailKind.FACTOR_RESET, email, **told)
    return reset


async def stop_reset(session: AsyncSession, account: Account, client: Client) -> None:
    """Keep the second factors that somebody was about to remove.

    Raises:
        NotFoundError: nobody is.
        UnauthorizedError: the account was closed meanwhile.
    """
    await users.require_open(session, account.id)
    if not await factor_resets.delete_reset(session, account.id):
        raise NotFoundError("Nobody is about to remove your second factors.")
    await audit.write(session, account.id, AuditKind.FACTOR_RESET_STOPPED, client)


async def carry_out_resets(database: Database, settings: Settings) -> None:
    """Remove second factors whose removal was asked for, and which nobody has stopped in time."""
    async with database.session() as session:
        due = await factor_resets.get_due(session, now_of(session), limit=RESETS_AT_ONCE)
    for reset in due:
        await database.unit(partial(_carry_out, settings=settings, reset=reset))


async def _carry_out(session: AsyncSession, *, settings: Settings, reset: FactorReset) -> None:
    user_id = reset.user_id
    if not await users.lock_if_there(session, user_id) or not await factor_resets.delete_reset(
        session, user_id
    ):
        return
    before = {**await _kept(session, user_id), "passkey": await passkeys.is_second_factor(session, user_id)}
    await totp_secrets.delete_of_user(session, user_id)
    await passkeys.set_second_factor(session, user_id, required=False)
    await kept_codes.set_codes(session, user_id, [], now_of(session))
    await audit.write(session, user_id, AuditKind.FACTORS_REMOVED, Client("", reset.asked_by))
    log.info("second factors removed", user=user_id, by=reset.asked_by)
    if email := await users.get_email(session, user_id):
        what = "Your second factors were removed, as was said a day ago"
        await undo.tell(
            session,
            settings,
            user_id=user_id,
            kind=UndoKind.SECOND_FACTOR,
            before=before,
            to=email,
            what=what,
        )


async def _kept(session: AsyncSession, user_id: int) -> dict[str, Any]:
    """Return what undoing a change needs: the secret as it is sealed, and digests."""
    secret = await totp_secrets.get_secret(session, user_id)
    return {
        "app": (secret.sealed, secret.last_step) if secret else None,
        "codes": await kept_codes.get_digests(session, user_id),
    }


async def _tell(
    session: AsyncSession, settings: Settings, account: Account, before: Mapping[str, Any], what: str
) -> None:
    await undo.tell(
        session,
        settings,
        user_id=account.id,
        kind=UndoKind.SECOND_FACTOR,
        before=before,
        to=account.email,
        what=what,
    )
