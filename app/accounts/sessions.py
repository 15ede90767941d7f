"""Logging in and out."""

from datetime import datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit
from app.accounts.audit import AuditKind
from app.core.errors import NotConfirmedError, WrongCredentialsError
from app.core.limits import Hit
from app.core.tokens import AccessToken
from app.core.visitor import Visitor
from app.db import account_states, audit_events, revoked_tokens, sessions, users
from app.db.engine import call_after_commit, now_of
from app.db.users import Credentials
from app.resources import Resources

NOBODY = 0
"""The user number under which failed logins to accounts that do not exist are written down: they cost the same."""


async def log_in(resources: Resources, *, login: str, password: str, visitor: Visitor) -> str:
    """Return an access token for the user of that name or e-mail address.

    No connection is held while the hash is computed. An unknown name costs a hash as well, and meets the same limits.

    Raises:
        WrongCredentialsError: no such user, or another password.
        NotConfirmedError: the password is right, but the address was never confirmed.
        TooManyRequestsError: too many attempts.
        TooBusyError: too many logins wait.
    """
    login = login.strip()
    await _limit_attempts(resources, login, visitor)
    credentials = await users.get_credentials(resources.database, login)
    failures = await _counters_of_failure(resources, login, credentials, visitor)
    async with resources.limits.trying(*failures):
        stored_hash = credentials.password_hash if credentials else resources.passwords.dummy_for(login)
        verification = await resources.passwords.verify(password, stored_hash)
        if credentials is None or not verification.ok:
            await resources.limits.note(*failures)
            await _note_failure(resources, credentials, visitor)
            raise WrongCredentialsError
    if not credentials.active:
        raise NotConfirmedError
    return await resources.database.unit(
        lambda session: _open_session(resources, session, credentials, verification.new_hash, visitor)
    )


async def _open_session(
    resources: Resources,
    session: AsyncSession,
    credentials: Credentials,
    new_hash: str | None,
    visitor: Visitor,
) -> str:
    """Issue a token, unless the password was changed or the account closed while the hash was computed.

    Raises:
        WrongCredentialsError: it was.
    """
    if not await users.note_login(session, credentials, now_of(session)):
        raise WrongCredentialsError
    # Only now: a token that is younger than a reset must have been earned after it. Nor may it seem older.
    cut_off = await account_states.get_valid_from(session, credentials.id)
    text, token = resources.tokens.issue(credentials.id, after=cut_off)
    await sessions.add_session(session, token, **visitor._asdict())
    await audit.write(session, credentials.id, AuditKind.LOGGED_IN, visitor)
    # Accounts of other servers may lack the row without which OpenML refuses every upload.
    await users.add_to_members(session, credentials.id)
    if new_hash:
        await users.upgrade_password_hash(
            session, credentials.id, old_hash=credentials.password_hash, new_hash=new_hash
        )
    return text


async def log_out(resources: Resources, token: AccessToken, visitor: Visitor) -> None:
    """Refuse the token from now on, in every worker."""
    if token.expires_at <= resources.database.now():
        return
    await resources.database.unit(lambda session: _log_out(resources, session, token, visitor))


async def _log_out(resources: Resources, session: AsyncSession, token: AccessToken, visitor: Visitor) -> None:
    await end_session(resources, session, token.user_id, token.jti, ends_at=token.expires_at)
    await audit.write(session, token.user_id, AuditKind.LOGGED_OUT, visitor)


async def end_session(
    resources: Resources, session: AsyncSession, user_id: int, jti: str, *, ends_at: datetime
) -> None:
    """Refuse one token of the user from now on."""
    await revoked_tokens.add_revoked_token(session, jti=jti, user_id=user_id, expires_at=ends_at)
    call_after_commit(session, partial(resources.denylist.add, jti, ends_at))


async def end_all_sessions(session: AsyncSession, user_id: int) -> None:
    """Refuse every token that the user has so far, also one that another machine's clock has made seem later."""
    await users.lock_user(session, user_id)
    now = now_of(session)
    await account_states.end_tokens(session, user_id, now)
    await revoked_tokens.add_later_tokens(session, user_id, now)


async def verify_again(resources: Resources, user_id: int, password: str, visitor: Visitor) -> None:
    """Ask a signed-in user for the password once more, before something that cannot be undone.

    Raises:
        WrongCredentialsError: it is wrong.
        TooManyRequestsError: it was wrong too often.
    """
    failure = Hit("wrong-password-account-address", f"id {user_id} {visitor.network}")
    async with resources.limits.trying(failure):
        stored_hash = await users.get_password_hash(resources.database.reader, user_id)
        if not (await resources.passwords.verify(password, stored_hash)).ok:
            await resources.limits.note(failure)
            raise WrongCredentialsError("The password is wrong")


async def _limit_attempts(resources: Resources, login: str, visitor: Visitor) -> None:
    await resources.limits.hit(
        Hit("login-account-address", f"{login} {visitor.network}"),
        Hit("login-address", visitor.network),
        Hit("login-everybody"),
    )


async def _counters_of_failure(
    resources: Resources, login: str, credentials: Credentials | None, visitor: Visitor
) -> list[Hit]:
    """Return what a wrong password counts against: the name as it was typed, whether or not somebody has it.

    Guesses from elsewhere must not keep an owner out: where somebody has logged in before, or has just reset the
    password by mail, only guesses from that address count.
    """
    here = Hit("wrong-password-account-address", f"{login} {visitor.network}")
    at_home = await audit_events.has_event(
        resources.database.reader,
        credentials.id if credentials else NOBODY,
        visitor.ip_address,
        kinds=(AuditKind.LOGGED_IN, AuditKind.PASSWORD_RESET),
    )
    return [here] if at_home else [here, Hit("wrong-password-account", login)]


async def _note_failure(resources: Resources, credentials: Credentials | None, visitor: Visitor) -> None:
    async with resources.database.session() as session:
        user_id = credentials.id if credentials else NOBODY
        await audit.write(session, user_id, AuditKind.LOGIN_FAILED, visitor)
