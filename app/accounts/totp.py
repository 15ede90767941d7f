"""Codes of authenticator apps: an offered secret counts once a first code confirms it, and each code is taken once."""

import json
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import totp
from app.core.errors import ValidationFailedError
from app.core.qr_code import QrCode, draw
from app.core.sealing import Sealer, UnsealableError
from app.db import totp_secrets
from app.db.engine import Database, now_of
from app.db.totp_secrets import TotpSecret

log = structlog.get_logger(__name__)

OFFER_LIFETIME = timedelta(minutes=15)
"""How long an offered secret can be confirmed: time to install an app."""
RESEALED_AT_ONCE = 200


class Offer(NamedTuple):
    """A secret that nothing keeps but the client, until it is confirmed.

    Attributes:
        text: the secret as people type it.
        uri: the same as apps read it.
        qr_code: the same as phones see it.
        enrolment: the same, sealed for this user and for a while, to be sent back with the first code.
        expires_at: when that is over.
    """

    text: str
    uri: str
    qr_code: QrCode
    enrolment: str
    expires_at: datetime


def make_offer(sealer: Sealer, user_id: int, *, account: str, issuer: str, now: datetime) -> Offer:
    """Return a new secret. Drawing its code takes some milliseconds."""
    secret, expires_at = totp.new_secret(), now + OFFER_LIFETIME
    uri = totp.provisioning_uri(secret, issuer=issuer, account=account)
    claims = json.dumps({"secret": secret.hex(), "expires_at": expires_at.isoformat()})
    enrolment = sealer.seal(claims.encode(), context=_context_of_offer(user_id))
    return Offer(totp.as_text(secret), uri, draw(uri), enrolment, expires_at)


async def enrol(session: AsyncSession, sealer: Sealer, user_id: int, *, enrolment: str, code: str) -> None:
    """Keep an offered secret, in place of an earlier one, if the code is one of it.

    Raises:
        ValidationFailedError: it is not, or the offer is too old or somebody else's.
    """
    now = now_of(session)
    secret = _opened_offer(sealer, user_id, enrolment, now)
    step = totp.matching_step(secret, code, now)
    if step is None:
        raise _refusal(
            "code", "This is not the code that your app shows now. Is the clock of your phone right?"
        )
    sealed = sealer.seal(secret, context=_context(user_id))
    await totp_secrets.set_secret(session, TotpSecret(user_id, sealed, created_at=now, last_step=step))


async def take_code(session: AsyncSession, sealer: Sealer, user_id: int, code: str) -> bool:
    """Use the code up; False if it is not one of these 90 seconds, or it or a later one was taken before."""
    found = await totp_secrets.get_secret(session, user_id)
    if found is None:
        return False
    try:
        secret = sealer.open(found.sealed, context=_context(user_id))
    except UnsealableError:
        log.warning(
            "a secret of an authenticator app cannot be read; was APP_SECRET_KEY changed?", user=user_id
        )
        return False
    step = totp.matching_step(secret, code, now_of(session))
    return step is not None and await totp_secrets.use_step(session, user_id, step)


async def reseal(database: Database, sealer: Sealer) -> None:
    """Seal what an earlier secret sealed with the one that seals now, so that the earlier one may go."""
    last = 0
    while True:
        async with database.session() as session:
            found = await totp_secrets.get_others_than(
                session, sealer.key_id, after=last, limit=RESEALED_AT_ONCE
            )
        if not found:
            return
        for each in found:
            await database.unit(partial(_reseal_one, sealer=sealer, found=each))
        last = found[-1].user_id


async def _reseal_one(session: AsyncSession, *, sealer: Sealer, found: TotpSecret) -> None:
    try:
        secret = sealer.open(found.sealed, context=_context(found.user_id))
    except UnsealableError:
        return  # Told when its owner needs it; `openml-web doctor` tells of all.
    new = sealer.seal(secret, context=_context(found.user_id))
    await totp_secrets.replace_sealed(session, found.user_id, old=found.sealed, new=new)


def _opened_offer(sealer: Sealer, user_id: int, enrolment: str, now: datetime) -> bytes:
    try:
        claims = json.loads(sealer.open(enrolment, context=_context_of_offer(user_id)))
    except UnsealableError:
        raise _refusal("enrolment", "This is no offer for your account; ask for a new one.") from None
    if datetime.fromisoformat(claims["expires_at"]) <= now:
        raise _refusal("enrolment", "This took too long; ask for a new one.")
    return bytes.fromhex(claims["secret"])


def _context(user_id: int) -> str:
    return f"totp {user_id}"


def _context_of_offer(user_id: int) -> str:
    return f"totp offer {user_id}"


def _refusal(field: str, message: str) -> ValidationFailedError:
    return ValidationFailedError.for_fields([{"field": field, "message": message}])
