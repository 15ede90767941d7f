"""Showing once more who one is, during a session, before something that lasts."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit, passkey_use
from app.accounts.audit import AuditKind
from app.accounts.code_proof import checking
from app.accounts.passkey_use import CONFIRM, Question
from app.accounts.problems import PasskeysDisabledError, WrongCredentialsError
from app.accounts.schemas_second_factor import CodeProof
from app.accounts.schemas_signed_in import PasskeyAgain, PasswordAgain, ReauthenticateRequest
from app.accounts.service_passkeys import subject_of
from app.accounts.sign_in import Check
from app.core import methods
from app.core.authenticators import Authenticators
from app.core.clients import Client
from app.core.errors import UnauthorizedError
from app.core.limits import Hit, RateLimiter, hits_from
from app.core.methods import Method
from app.core.passwords import PasswordHasher
from app.core.sealing import Sealer
from app.core.tokens import AccessToken
from app.db import sessions, users
from app.db.engine import Database, now_of


@dataclass(frozen=True, slots=True)
class Verifier:
    """What it takes to check who somebody is: what is stored, who hashes, and who counts what fails."""

    database: Database
    passwords: PasswordHasher
    limits: RateLimiter
    authenticators: Authenticators | None
    """None where there are no passkeys."""
    sealer: Sealer


async def verify_password(verifier: Verifier, *, user_id: int, password: str, client: Client) -> None:
    """Ask a signed-in user for the password once more, before something that cannot be undone.

    Raises:
        WrongCredentialsError: it is wrong.
        TooManyRequestsError: it was wrong too often.
    """
    failures = [
        *hits_from("wrong-password-account-address", client, about=f"id {user_id}"),
        Hit("wrong-password-again", str(user_id)),
    ]
    async with verifier.limits.trying(*failures):
        stored_hash = await users.get_password_hash(verifier.database.reader, user_id)
        if not (await verifier.passwords.verify(password, stored_hash)).ok:
            await verifier.limits.note(*failures)
            raise WrongCredentialsError("The password is wrong")


async def reauthenticate(
    verifier: Verifier, token: AccessToken, body: ReauthenticateRequest, client: Client
) -> datetime:
    """Check what somebody shows, record that for this session, and return the time.

    Raises:
        WrongCredentialsError: it is wrong.
        UnauthorizedError: the session is one of an earlier version, or has ended meanwhile.
        TooManyRequestsError: it was wrong too often.
    """
    check = await _check_of(verifier, token, body, client)
    failure = _counter(token, body)
    async with verifier.limits.trying(failure):
        try:
            return await verifier.database.unit(lambda session: _confirm(session, token, check, client))
        except WrongCredentialsError:
            await verifier.limits.note(failure)
            raise


def _counter(token: AccessToken, body: ReauthenticateRequest) -> Hit:
    """Return what a wrong proof counts against.

    Codes are guessed sooner than passwords, and a session that stays has a month for it: as many a day as at log-ins,
    counted by themselves, so that a thief's guesses keep no owner from signing in.
    """
    if isinstance(body, CodeProof):
        return Hit("second-factor-account", f"again {token.user_id}")
    return Hit("wrong-password-again", str(token.user_id))


async def _check_of(
    verifier: Verifier, token: AccessToken, body: ReauthenticateRequest, client: Client
) -> Check:
    """Return what checks the body in the transaction. Passwords are checked before: no connection waits for a hash."""
    match body:
        case PasswordAgain(password=password):
            await verify_password(verifier, user_id=token.user_id, password=password, client=client)
            return _password_was_right
        case PasskeyAgain(passkey=credential):
            if verifier.authenticators is None:
                raise PasskeysDisabledError
            subject = subject_of(token.user_id, token.jti)
            question = Question(CONFIRM, subject, only_of=token.user_id)
            return await passkey_use.checker(
                verifier.database, verifier.authenticators, credential, question, client
            )
        case CodeProof(typed=typed):
            return checking(verifier.sealer, typed, client)


async def _password_was_right(_session: AsyncSession, _user_id: int) -> frozenset[Method]:
    return frozenset({Method.PASSWORD})


async def _confirm(session: AsyncSession, token: AccessToken, check: Check, client: Client) -> datetime:
    await users.require_open(session, token.user_id)
    before = await sessions.get_methods(session, token.jti)
    if before is None:
        raise UnauthorizedError("This session cannot be confirmed; sign in again", error="invalid_token")
    shown = frozenset(await check(session, token.user_id))
    now = now_of(session)
    await sessions.set_reauthenticated(
        session, token.jti, methods.as_text(methods.from_text(before) | shown), now
    )
    kind = AuditKind.PASSWORD_GIVEN if Method.PASSWORD in shown else AuditKind.CONFIRMED_AGAIN
    await audit.write(session, token.user_id, kind, client)
    return now
