"""A passkey that is used: to sign in without a name, after a password, and to confirm who is there."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit
from app.accounts.audit import AuditKind
from app.accounts.passkey_ceremony import (
    Assertion,
    CeremonyError,
    challenge_of,
    to_base64url,
    verify_assertion,
)
from app.accounts.problems import WrongCredentialsError
from app.accounts.schemas_passkeys import AuthenticationCredential, RequestOptions
from app.accounts.service_passkeys import TIMEOUT_MILLISECONDS, described
from app.accounts.sign_in import Check, NewSession, Proof, SignIn, find_ticket, finish, finish_second
from app.core.authenticators import Authenticators
from app.core.clients import Client
from app.core.errors import BadRequestError, NotFoundError
from app.core.methods import Method
from app.db import passkeys, spent_challenges, users
from app.db.engine import Database, now_of
from app.db.outbox import queue_mail
from app.db.passkeys import Passkey, Use
from app.mail.messages import MailKind

SIGN_IN = "sign in with a passkey"
SECOND = "second factor"
CONFIRM = "confirm with a passkey"
"""Purposes of challenges: what is signed for one is nothing for the others."""
NOT_RECOGNIZED = "Passkey not recognized"
NO_CHALLENGE = "Authentication challenge not found"
FAILED = "Authentication failed: {}"
NOT_VERIFIED = (
    "the authenticator did not ask for your PIN, finger or face. Sign in with your password; this passkey can be its "
    "second step."
)
COPIED = (
    "its counter has gone back, as that of a copy would. Use another way to sign in, and remove this passkey; we have "
    "written you a mail."
)


class Question(NamedTuple):
    """What is asked of a passkey.

    Attributes:
        purpose: what for: one of the three.
        subject: who may answer, as the challenge has it.
        only_of: whose passkey it has to be; None: anybody's.
        must_name_user: whether the authenticator has to name the user, for nobody else did.
    """

    purpose: str
    subject: str = ""
    only_of: int | None = None
    must_name_user: bool = False


class SignedAnswer(NamedTuple):
    """A good signature, of a passkey that was there a moment ago.

    Attributes:
        passkey: as it was then.
        said: what the authenticator said with it.
        challenge: what was answered.
        ends_at: until when it could have been.
    """

    passkey: Passkey
    said: Assertion
    challenge: bytes
    ends_at: datetime

    @property
    def methods(self) -> frozenset[Method]:
        """What was shown."""
        return frozenset({Method.PASSKEY, *([Method.MULTIPLE] if self.said.user_verified else [])})


def request_options(
    authenticators: Authenticators, purpose: str, subject: str = "", known: Sequence[Passkey] = ()
) -> RequestOptions:
    """Return what a browser needs to have a passkey sign: one of those, or any that the authenticator has.

    A second factor need not verify its user: the password has done that.
    """
    return RequestOptions(
        challenge=to_base64url(authenticators.challenges.issue(purpose, subject)),
        timeout=TIMEOUT_MILLISECONDS,
        rpId=authenticators.party.id,
        allowCredentials=[described(passkey) for passkey in known],
        userVerification="preferred" if purpose == SECOND else "required",
    )


async def log_in(
    sign_in: SignIn,
    authenticators: Authenticators,
    credential: AuthenticationCredential,
    client: Client,
    *,
    stays: bool = False,
) -> tuple[int, NewSession]:
    """Open a session, one that stays if that was asked for, for the account that the passkey belongs to.

    Return the account's number as well.

    Raises:
        BadRequestError: the challenge is unknown or was answered before, or the answer is not good.
        NotFoundError: nobody has this passkey.
        NotConfirmedError: the account was never confirmed.
        WrongCredentialsError: the account is closed.
    """
    answer = await _answer(
        sign_in.database, authenticators, credential, Question(SIGN_IN, must_name_user=True), client
    )
    if not answer.said.user_verified:
        raise BadRequestError(FAILED.format(NOT_VERIFIED))
    user_id = answer.passkey.user_id

    async def prove(session: AsyncSession) -> Proof:
        await users.lock_user(session, user_id)
        await _use(session, answer)
        return Proof(user_id, answer.methods, stays=stays)

    return user_id, await finish(sign_in, prove, client)


async def log_in_second(
    sign_in: SignIn,
    authenticators: Authenticators,
    credential: AuthenticationCredential,
    ticket: str,
    client: Client,
) -> NewSession:
    """Open the session of a log-in that lacked a second factor.

    Raises:
        TicketNotValidError: the ticket is unknown, used, or too old.
        WrongCredentialsError: the answer is not good; it is counted.
    """
    found = await find_ticket(sign_in.database, ticket)
    question = Question(SECOND, found.ticket_digest, only_of=found.user_id)
    check = await checker(sign_in.database, authenticators, credential, question, client)
    return await finish_second(sign_in, ticket, check, client)


async def checker(
    database: Database,
    authenticators: Authenticators,
    credential: AuthenticationCredential,
    question: Question,
    client: Client,
) -> Check:
    """Return what says in a transaction what the user has shown: the signature is checked before, and counted in there.

    The check raises `WrongCredentialsError` where nothing was shown.
    """
    try:
        answer = await _answer(database, authenticators, credential, question, client)
        if question.purpose == CONFIRM and not answer.said.user_verified:
            raise BadRequestError(FAILED.format(NOT_VERIFIED))
    except (BadRequestError, NotFoundError) as problem:
        return _saying_no(problem.detail)

    async def check(session: AsyncSession, _user_id: int) -> frozenset[Method]:
        try:
            await _use(session, answer)
        except BadRequestError as problem:
            raise WrongCredentialsError(problem.detail) from None
        return answer.methods

    return check


def _saying_no(detail: str) -> Check:
    async def check(_session: AsyncSession, _user_id: int) -> frozenset[Method]:
        raise WrongCredentialsError(detail)

    return check


async def _answer(
    database: Database,
    authenticators: Authenticators,
    credential: AuthenticationCredential,
    question: Question,
    client: Client,
) -> SignedAnswer:
    """Return whose passkey has answered; nothing is written yet, unless its counter went back.

    Raises:
        BadRequestError: the challenge is none of ours for this, the answer is not good, or it may be that of a copy.
        NotFoundError: nobody has this passkey, or not whom the question is for.
    """
    try:
        challenge = challenge_of(credential.response.clientDataJSON)
        ends_at = authenticators.challenges.end_of(challenge, question.purpose, question.subject)
        if ends_at is None:
            raise BadRequestError(NO_CHALLENGE)
        async with database.session() as session:
            passkey = await _find(session, credential, question)
        said = await authenticators.checks.run_for(
            passkey.user_id,
            verify_assertion,
            credential,
            challenge,
            authenticators.party,
            public_key=passkey.public_key,
        )
    except CeremonyError as error:
        raise BadRequestError(FAILED.format(error)) from None
    answer = SignedAnswer(passkey, said, challenge, ends_at)
    if went_back(passkey, said.sign_count):
        raise await database.unit(lambda session: _tell_of_copy(session, answer, client))
    return answer


def went_back(passkey: Passkey, sign_count: int) -> bool:
    """Say whether a copy of the authenticator may be in use (WebAuthn, 6.1.1); synced passkeys do not count at all."""
    return (sign_count > 0 or passkey.sign_count > 0) and sign_count <= passkey.sign_count


async def _find(session: AsyncSession, credential: AuthenticationCredential, question: Question) -> Passkey:
    """Return the passkey, of which the authenticator must name the user if it names one (WebAuthn, 7.2, step 6)."""
    found = await passkeys.find(session, credential.id)
    # Two accounts with one credential: another program has let somebody register what is not theirs.
    if len({passkey.user_id for passkey in found}) != 1:
        raise NotFoundError(NOT_RECOGNIZED)
    user_id, named = found[0].user_id, credential.response.userHandle
    if question.only_of not in {None, user_id}:
        raise NotFoundError(NOT_RECOGNIZED)
    if named or question.must_name_user:
        handles = {await passkeys.get_handle(session, user_id), passkeys.old_handle(user_id)}
        if named not in handles:
            raise NotFoundError(NOT_RECOGNIZED)
    return found[0]


async def _use(session: AsyncSession, answer: SignedAnswer) -> None:
    """Spend the challenge, and keep the use of a passkey whose owner's row is locked.

    Raises:
        BadRequestError: the challenge was answered before, or the passkey is another one by now.
    """
    if not await spent_challenges.spend(session, answer.challenge, ends_at=answer.ends_at):
        raise BadRequestError(NO_CHALLENGE)
    passkey = await passkeys.get_one(session, answer.passkey.user_id, answer.passkey.id)
    if passkey is None or passkey.public_key != answer.passkey.public_key:
        raise BadRequestError(NOT_RECOGNIZED)
    if went_back(passkey, answer.said.sign_count):
        raise BadRequestError(FAILED.format("it was used elsewhere in this moment"))
    said = answer.said
    use = Use(said.sign_count, said.backed_up, user_verified=said.user_verified, at=now_of(session))
    await passkeys.note_use(session, passkey, use)


async def _tell_of_copy(session: AsyncSession, answer: SignedAnswer, client: Client) -> BadRequestError:
    """Write down and mail that a copy of a passkey may be in use, and return the problem to be answered."""
    user_id, name = answer.passkey.user_id, answer.passkey.name
    is_there = await users.lock_if_there(session, user_id)
    # The same answer sent twice has the counter of the first time, and is no copy.
    if not await spent_challenges.spend(session, answer.challenge, ends_at=answer.ends_at):
        return BadRequestError(NO_CHALLENGE)
    if is_there and (email := await users.get_email(session, user_id)):
        await audit.write(session, user_id, AuditKind.PASSKEY_COPIED, client, detail=name)
        await queue_mail(session, MailKind.PASSKEY_COPIED, email, name=name)
    return BadRequestError(FAILED.format(COPIED))
