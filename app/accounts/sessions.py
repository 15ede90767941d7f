"""Logging in and out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit, devices, typed_codes
from app.accounts.audit import AuditKind
from app.accounts.code_proof import checking
from app.accounts.problems import NotConfirmedError, SecondFactorNeededError, WrongCredentialsError
from app.accounts.sign_in import NewSession, Proof, SignIn, finish, finish_at_once
from app.core import metrics
from app.core.clients import Client
from app.core.denylist import Denylist
from app.core.errors import TooManyRequestsError
from app.core.limits import Hit, RateLimiter, hits_from
from app.core.methods import Method
from app.core.passwords import PasswordHasher
from app.core.tokens import AccessToken
from app.db import (
    account_states,
    logins,
    refresh_families,
    revoked_tokens,
    sessions,
    sign_in_tickets,
    users,
)
from app.db.engine import Database, call_after_commit, now_of
from app.db.logins import Credentials
from app.db.reader import Reader

Match = tuple[Credentials, str | None]
"""An account whose password was given, and the hash to store from now on, if it is another."""
NOBODY = 0
"""The user number under which failed logins to accounts that do not exist are written down: they cost the same."""


async def log_in(
    sign_in: SignIn,
    passwords: PasswordHasher,
    *,
    login: str,
    password: str,
    client: Client,
    code: str | None = None,
    stays: bool = False,
    asks_again: bool = True,
) -> NewSession:
    """Open a session for the user of that name or e-mail address.

    No connection is held while the hash is computed. An unknown name costs a hash as well, and meets the same limits.

    Args:
        sign_in: what log-ins need.
        passwords: what verifies the password.
        login: the name or address.
        password: the password, and behind it a code where `code` is None.
        client: where the request comes from.
        code: that of the second factor, if it came by itself.
        stays: whether a session that stays was asked for.
        asks_again: whether the client can ask for a second factor; else a mail says how to send it with the password.

    Raises:
        WrongCredentialsError: no such user, another password, or a wrong code.
        NotConfirmedError: the password is right, but the address was never confirmed.
        SecondFactorNeededError: the password is right, and something else is missing.
        TooManyRequestsError: too many attempts.
        TooBusyError: too many logins wait.
    """
    with _counted():
        found, code = await _prove_password(
            sign_in, passwords, login=login.strip(), password=password, code=code, client=client
        )
    credentials, new_hash = found
    proof = Proof(
        credentials.id, frozenset({Method.PASSWORD}), credentials.password_hash, new_hash, stays=stays
    )
    if code is not None:
        return await finish_at_once(sign_in, proof, checking(sign_in.sealer, code, client), client)

    async def prove(_session: AsyncSession) -> Proof:
        return proof

    try:
        return await finish(sign_in, prove, client)
    except SecondFactorNeededError:
        if not asks_again:
            await sign_in.database.unit(lambda session: devices.tell_of_miss(session, credentials.id, client))
        raise


async def _prove_password(
    sign_in: SignIn,
    passwords: PasswordHasher,
    *,
    login: str,
    password: str,
    code: str | None,
    client: Client,
) -> tuple[Match, str | None]:
    """Return the account whose password it is, and the code that came with it.

    Raises:
        WrongCredentialsError: it is nobody's.
        NotConfirmedError: it is that of an account that is not open.
        TooManyRequestsError: too many attempts.
    """
    database, limits = sign_in.database, sign_in.limits
    await _limit_attempts(limits, login, client)
    candidates = await logins.find_logins(database, login)
    failures = await _counters_of_failure(database.reader, login, candidates, client)
    async with limits.trying(*failures):
        found = await _matching(passwords, login, candidates, password)
        # Whoever has no second factor, or no account, costs the second hash as well.
        if found is None and code is None and (typed := typed_codes.split(password)):
            found, code = await _matching(passwords, login, candidates, typed.password), typed.code
        if found is None:
            await limits.note(*failures)
            await database.unit(lambda session: _note_failure(session, candidates, client))
            raise WrongCredentialsError
    if not found[0].active:
        raise NotConfirmedError
    return found, code


@contextmanager
def _counted() -> Iterator[None]:
    """Count in the metrics why a password opens nothing; what comes after it `finish` counts."""
    try:
        yield
    except WrongCredentialsError:
        metrics.LOGINS.add("wrong")
        raise
    except NotConfirmedError:
        metrics.LOGINS.add("unconfirmed")
        raise
    except TooManyRequestsError:
        metrics.LOGINS.add("refused")
        raise


async def _matching(
    passwords: PasswordHasher, login: str, candidates: Sequence[Credentials], password: str
) -> Match | None:
    """Return the account whose password it is, an open one if there are several, and the hash to store from now on."""
    if not candidates:
        await passwords.verify(password, passwords.dummy_for(login))
    matching: Match | None = None
    for candidate in candidates:
        verification = await passwords.verify(password, candidate.password_hash)
        if verification.ok and (matching is None or candidate.active):
            matching = candidate, verification.new_hash
        if verification.ok and candidate.active:
            break
    return matching


async def log_out(database: Database, denylist: Denylist, token: AccessToken, client: Client) -> None:
    """Revoke the token in every process, and end the session that stays of which it is a part."""
    await database.unit(lambda session: _log_out(denylist, session, token, client))


async def _log_out(denylist: Denylist, session: AsyncSession, token: AccessToken, client: Client) -> None:
    is_there = await users.lock_if_there(session, token.user_id)
    is_live = token.expires_at > now_of(session)
    family_id = await sessions.get_family(session, token.jti)
    if is_live:
        await end_session(denylist, session, token.user_id, token.jti, ends_at=token.expires_at)
    if family_id:
        await end_family(denylist, session, token.user_id, family_id)
    if is_there and (is_live or family_id):
        await audit.write(session, token.user_id, AuditKind.LOGGED_OUT, client)


async def end_session(
    denylist: Denylist, session: AsyncSession, user_id: int, jti: str, *, ends_at: datetime
) -> None:
    """Revoke one of the user's tokens."""
    await revoked_tokens.add_revoked_token(session, jti=jti, user_id=user_id, expires_at=ends_at)
    call_after_commit(session, partial(denylist.add, jti, ends_at))


async def end_family(denylist: Denylist, session: AsyncSession, user_id: int, family_id: str) -> None:
    """End a session that stays, and all access tokens that were made of it."""
    await refresh_families.delete(session, family_id)
    for jti, ends_at in await sessions.get_tokens_of(session, family_id, now_of(session)):
        await end_session(denylist, session, user_id, jti, ends_at=ends_at)


async def end_all_sessions(session: AsyncSession, user_id: int) -> None:
    """Refuse every token that the user has so far, also one that another machine's clock has made seem later."""
    await users.lock_user(session, user_id)
    await sign_in_tickets.delete_of_user(session, user_id)
    await refresh_families.delete_of_user(session, user_id)
    now = now_of(session)
    await account_states.end_tokens(session, user_id, now)
    await revoked_tokens.add_later_tokens(session, user_id, now)


async def _limit_attempts(limits: RateLimiter, login: str, client: Client) -> None:
    await limits.hit(
        *hits_from("login-account-address", client, about=login),
        *hits_from("login-address", client),
        Hit("login-everybody"),
    )


async def _counters_of_failure(
    reader: Reader, login: str, candidates: Sequence[Credentials], client: Client
) -> list[Hit]:
    """Return what a wrong password counts against, whether or not somebody has the name.

    An account counts by its number, for the database takes several spellings for its name. Guesses from elsewhere must
    not keep an owner out: in networks where somebody has logged in before, or has just reset the password by mail, only
    guesses at that account count.
    """
    name = f"id {candidates[0].id}" if candidates else login
    here = hits_from("wrong-password-account-address", client, about=name)
    if await audit.has_been_here(reader, candidates[0].id if candidates else NOBODY, client):
        return here
    return [*here, Hit("wrong-password-account", name), *hits_from("wrong-password-address", client)]


async def _note_failure(session: AsyncSession, candidates: Sequence[Credentials], client: Client) -> None:
    for user_id in [candidate.id for candidate in candidates] or [NOBODY]:
        # An account that was deleted meanwhile has no trail any more.
        if user_id == NOBODY or await users.lock_if_there(session, user_id):
            await audit.write(session, user_id, AuditKind.LOGIN_FAILED, client)
