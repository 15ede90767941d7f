"""How every log-in ends, whatever it began with: in a session, or in a ticket for the second factor."""

import secrets
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit, devices, refresh_tokens
from app.accounts.audit import AuditKind
from app.accounts.links import digest
from app.accounts.problems import SecondFactorNeededError, TicketNotValidError, WrongCredentialsError
from app.core import methods, metrics
from app.core.clients import Client
from app.core.errors import UnauthorizedError
from app.core.limits import Hit, RateLimiter, hits_from
from app.core.methods import Method, needs_second
from app.core.sealing import Sealer
from app.core.settings import Settings
from app.core.tokens import TokenSigner
from app.db import account_states, logins, sessions, sign_in_tickets, users
from app.db.account_states import LoginState
from app.db.engine import Database, now_of
from app.db.sign_in_tickets import Ticket

TICKET_LIFETIME = timedelta(minutes=5)
"""How long the second factor may take: a phone has to be found, and its code read."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """What log-ins need: where they are written down, who signs their tokens, and who counts what fails."""

    database: Database
    tokens: TokenSigner
    limits: RateLimiter
    settings: Settings
    sealer: Sealer


class Proof(NamedTuple):
    """What somebody has shown.

    Attributes:
        user_id: whose account they may open.
        methods: by what they have shown that.
        password_hash: the hash that the password fitted; the log-in fails if the account has another one by now.
        new_hash: the one to keep from now on, if it is another.
        stays: whether a session that stays was asked for.
    """

    user_id: int
    methods: frozenset[Method]
    password_hash: str | None = None
    new_hash: str | None = None
    stays: bool = False


class NewSession(NamedTuple):
    """A new session."""

    access_token: str
    refresh_token: str | None = None


Prove = Callable[[AsyncSession], Awaitable[Proof]]
"""Says in the transaction of the log-in what was shown, locking the user's row first; whatever it writes is rolled back
with a log-in that fails."""
Check = Callable[[AsyncSession, int], Awaitable[Collection[Method]]]
"""Checks a second factor of the user, whose row is locked, and returns what was shown by it."""


async def finish(sign_in: SignIn, prove: Prove, client: Client) -> NewSession:
    """Open a session for whoever `prove` says was there.

    Raises:
        SecondFactorNeededError: the account has a second factor, and none was shown; it has the ticket.
        WrongCredentialsError: the account is closed, or has another password by now.
    """
    ended = await sign_in.database.unit(lambda session: _finish(sign_in, session, prove, client))
    if isinstance(ended, SecondFactorNeededError):
        metrics.LOGINS.add("second_factor")
        raise ended
    metrics.LOGINS.add("ok")
    return ended


async def find_ticket(database: Database, ticket: str) -> Ticket:
    """Return the log-in that the ticket belongs to.

    Raises:
        TicketNotValidError: there is none, or it is too old.
    """
    found = await sign_in_tickets.get(database.reader, digest(ticket))
    if found is None or found.expires_at <= database.now():
        raise TicketNotValidError
    return found


async def finish_second(sign_in: SignIn, ticket: str, check: Check, client: Client) -> NewSession:
    """Open the session of a log-in that lacked a second factor.

    Raises:
        TicketNotValidError: the ticket is unknown, used, or too old.
        WrongCredentialsError: `check` says that it is wrong.
        TooManyRequestsError: it was wrong too often, for this ticket or this account.
    """
    found = await find_ticket(sign_in.database, ticket)

    async def prove(session: AsyncSession) -> Proof:
        try:
            await users.require_open(session, found.user_id)
        except UnauthorizedError as error:
            raise TicketNotValidError from error
        if not await sign_in_tickets.use(session, found.ticket_digest):
            raise TicketNotValidError
        shown = frozenset(await check(session, found.user_id))
        return Proof(found.user_id, methods.from_text(found.methods) | shown, stays=found.stays)

    of_ticket = Hit("second-factor-ticket", found.ticket_digest)
    return await _finish_counted(sign_in, found.user_id, [of_ticket], prove, client)


async def finish_at_once(sign_in: SignIn, proof: Proof, check: Check, client: Client) -> NewSession:
    """Open the session of somebody who has shown the first factor, and shows the second in the same request.

    Raises:
        WrongCredentialsError: `check` says that it is wrong.
        TooManyRequestsError: it was wrong too often for this account.
    """

    async def prove(session: AsyncSession) -> Proof:
        await users.lock_user(session, proof.user_id)
        return proof._replace(methods=proof.methods | frozenset(await check(session, proof.user_id)))

    return await _finish_counted(sign_in, proof.user_id, [], prove, client)


async def _finish_counted(
    sign_in: SignIn, user_id: int, hits: list[Hit], prove: Prove, client: Client
) -> NewSession:
    """Finish a log-in with its second factor, and count those that fail against the account.

    Guesses from elsewhere must not keep an owner out: from networks where somebody has logged in before, only guesses
    from there count. Whoever reads the mailbox has a new password from any network: all of these share their guesses.
    """
    failures = [*hits, *hits_from("second-factor-account-address", client, about=f"id {user_id}")]
    reader = sign_in.database.reader
    if not await audit.has_been_here(reader, user_id, client, [AuditKind.LOGGED_IN]):
        is_by_mail = await audit.has_been_here(reader, user_id, client, [AuditKind.PASSWORD_RESET])
        failures.append(Hit("second-factor-account", f"reset {user_id}" if is_by_mail else str(user_id)))
    async with sign_in.limits.trying(*failures):
        try:
            return await finish(sign_in, prove, client)
        except WrongCredentialsError:
            metrics.LOGINS.add("wrong_factor")
            await sign_in.limits.note(*failures)
            await sign_in.database.unit(lambda session: _note_failure(session, user_id, client))
            raise


async def _finish(
    sign_in: SignIn, session: AsyncSession, prove: Prove, client: Client
) -> NewSession | SecondFactorNeededError:
    """End the log-in. That a second factor is missing is returned: the ticket would be rolled back with an error."""
    proof = await prove(session)
    if not await logins.note_login(session, proof.user_id, proof.password_hash, now_of(session)):
        raise WrongCredentialsError
    # Only now: a token that is younger than a reset must have been earned after it. Nor may it seem older.
    state = await account_states.get_login_state(session, proof.user_id, client)
    if proof.new_hash and proof.password_hash:
        await users.upgrade_password_hash(
            session, proof.user_id, old_hash=proof.password_hash, new_hash=proof.new_hash
        )
    if needs_second(proof.methods, state.factors):
        return await _ask_for_second(session, proof, state)
    return await _open(sign_in, session, proof, state, client)


async def _open(
    sign_in: SignIn, session: AsyncSession, proof: Proof, state: LoginState, client: Client
) -> NewSession:
    text, token = sign_in.tokens.issue(proof.user_id, after=state.tokens_valid_from)
    shown, family_id, refresh_token = methods.as_text(proof.methods), None, None
    if proof.stays:
        family_id, refresh_token = await refresh_tokens.begin(session, proof.user_id, shown, client)
    await sessions.add_session(session, token, shown, **client._asdict(), family_id=family_id)
    # Accounts of other servers may lack the row without which OpenML refuses every upload.
    if not state.is_in_a_group:
        await users.add_to_members(session, proof.user_id)
    if state.is_new_device:
        await devices.tell(session, sign_in.settings, proof.user_id, client)
    await audit.write(session, proof.user_id, AuditKind.LOGGED_IN, client)
    return NewSession(text, refresh_token)


async def replace(
    tokens: TokenSigner, session: AsyncSession, user_id: int, shown: frozenset[Method], client: Client
) -> NewSession:
    """Open a session in place of one that has just ended with all others of its user.

    To be called in that transaction; `shown` is by what the old one began.
    """
    state = await account_states.get_login_state(session, user_id, client)
    text, token = tokens.issue(user_id, after=state.tokens_valid_from)
    await sessions.add_session(session, token, methods.as_text(shown), **client._asdict())
    return NewSession(text)


async def _ask_for_second(session: AsyncSession, proof: Proof, state: LoginState) -> SecondFactorNeededError:
    ticket = secrets.token_hex(32)
    kept = Ticket(
        digest(ticket),
        proof.user_id,
        methods.as_text(proof.methods),
        stays=proof.stays,
        expires_at=now_of(session) + TICKET_LIFETIME,
    )
    await sign_in_tickets.add(session, kept)
    ways = (state.factors | state.stand_ins) - proof.methods
    fields = sorted(way.field for way in ways)
    return SecondFactorNeededError(
        ticket=ticket, methods=fields, expires_in=int(TICKET_LIFETIME.total_seconds())
    )


async def _note_failure(session: AsyncSession, user_id: int, client: Client) -> None:
    if await users.lock_if_there(session, user_id):
        await audit.write(session, user_id, AuditKind.SECOND_FACTOR_FAILED, client)
        await devices.tell_of_miss(session, user_id, client)
