"""Log-ins with a provider: the way there, the way back, and what is asked for in between.

Of a log-in that is under way only digests are kept: nonce and verifier are made of the state, which the provider's
answer brings back, and of a secret that only the browser has, in a cookie.
"""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import linking, mails
from app.accounts.linking import MailNeededError, Settled
from app.accounts.links import digest
from app.accounts.mails import MailRequest
from app.accounts.problems import (
    LinkNotValidError,
    OAuthDisabledError,
    ProviderUnavailableError,
    SignInRefusedError,
    WrongCredentialsError,
)
from app.accounts.sign_in import NewSession, Proof, SignIn, finish
from app.core.clients import Client
from app.core.limits import RateLimiter, hits_from
from app.core.methods import Method
from app.core.providers import Provider
from app.core.settings import Settings
from app.core.tokens import AccessToken
from app.db import linked_accounts, provider_flows, users
from app.db.engine import Database, now_of
from app.db.linked_accounts import LinkedAccount, identity_digest
from app.db.notices import NoticeBoard
from app.db.provider_flows import PendingIdentity, ProviderFlow
from app.db.reader import Reader
from app.db.users import Account
from app.oidc import identities
from app.oidc.errors import GrantRefusedError, OidcError, ProviderAwayError, TokenRefusedError
from app.oidc.identities import Flow, Identity
from app.oidc.issuers import Issuers

log = structlog.get_logger(__name__)

FLOW_LIFETIME = timedelta(minutes=10)
"""How long signing in at the provider may take."""
TICKET_LIFETIME = timedelta(hours=1)
"""How long somebody may think about the address to give."""
SECRET_BYTES = 32
BEGIN_AGAIN = "This log-in is too old, was used already, or began in another browser; begin it again"


@dataclass(frozen=True, slots=True)
class ProviderSignIn:
    """What log-ins with a provider need."""

    sign_in: SignIn
    issuers: Issuers
    notices: NoticeBoard

    @property
    def database(self) -> Database:
        """Where they are kept."""
        return self.sign_in.database

    @property
    def limits(self) -> RateLimiter:
        """Who counts them."""
        return self.sign_in.limits

    @property
    def settings(self) -> Settings:
        """Which providers there are."""
        return self.sign_in.settings


class Begun(NamedTuple):
    """A log-in that has begun: where the browser goes, and what it has to keep meanwhile."""

    address: str
    browser: str


class ProviderAnswer(NamedTuple):
    """What a browser was sent back with, and its cookie; and whether it is to stay signed in."""

    code: str
    state: str
    issuer: str
    browser: str
    stays: bool = False


class AddressNeeded(NamedTuple):
    """An identity whose address has to be shown by a mail: to one that is on its way, or asked for with a ticket."""

    ticket: str | None
    email: str


class Opened(NamedTuple):
    """A session, and whether its account was made just now."""

    session: NewSession
    is_new: bool


def find_provider(providers: Sequence[Provider], provider_id: str) -> Provider:
    """Return the provider of that id.

    Raises:
        OAuthDisabledError: there is none.
    """
    found = next((each for each in providers if each.id == provider_id), None)
    if found is None:
        raise OAuthDisabledError
    return found


def redirect_uri(settings: Settings, provider: Provider) -> str:
    """Return where the provider sends browsers back to, which it has to know letter by letter.

    Each has its own: so no provider can pass an answer off as another's.
    """
    return f"{settings.site_url}/auth/oauth/{provider.id}/callback"


async def begin(
    flows: ProviderSignIn,
    provider: Provider,
    client: Client,
    *,
    user_id: int | None = None,
    mail_token: str | None = None,
) -> Begun:
    """Send a browser to the provider: to sign in, to link an account to that of a user, or to follow a mail.

    Raises:
        LinkNotValidError: the mail's token is unknown or too old.
        ProviderUnavailableError: the provider does not say where to go.
        TooManyRequestsError: too many log-ins begin there.
    """
    await flows.limits.hit(*hits_from("provider-address", client))
    state, browser = (secrets.token_urlsafe(SECRET_BYTES) for _ in range(2))
    flow = _flow(flows.settings, provider, state, browser)
    with _told(provider):
        address = await identities.authorization_address(flows.issuers, provider, flow)
    pending_digest = digest(mail_token) if mail_token is not None else None

    async def keep(session: AsyncSession) -> None:
        now = now_of(session)
        if pending_digest is not None:
            pending = await provider_flows.get_pending(session, pending_digest, now)
            if pending is None or pending.email is None or pending.provider != provider.id:
                raise LinkNotValidError
        kept = ProviderFlow(
            digest(state), digest(browser), provider.id, user_id, pending_digest, now + FLOW_LIFETIME
        )
        await provider_flows.add_flow(session, kept)

    await flows.database.unit(keep)
    return Begun(address, browser)


async def sign_in(
    flows: ProviderSignIn, provider: Provider, answer: ProviderAnswer, client: Client
) -> Opened | AddressNeeded:
    """Open a session for whoever the provider says it is, or say that an address has to be shown before.

    Raises:
        SignInRefusedError: the answer belongs to no log-in of this browser, or is not to be believed.
        ProviderUnavailableError: the provider does not answer.
        ReadOnlyModeError: it would make or link an account, which is not taken now.
        SecondFactorNeededError: the account asks for more.
        WrongCredentialsError: the account is closed.
        TooManyRequestsError: too many answers, or sign-ups, come from there.
    """
    kept, identity = await _come_back(flows, provider, answer, client)
    if kept.user_id is not None:
        raise SignInRefusedError(BEGIN_AGAIN)
    is_known = await _is_linked(flows.database, identity)
    if not is_known:
        await flows.notices.require_writable()
    pending = None if is_known else await _followed(flows, kept, identity)
    email, by_mail = (pending.email or "", True) if pending else (_verified(identity), False)
    if not is_known and not email:
        return await _ask_for_address(flows, provider, identity)
    if not is_known:
        await flows.limits.hit(*hits_from("signup-address", client))
    settled = Settled(0, is_new=False)

    async def prove(session: AsyncSession) -> Proof:
        nonlocal settled
        owner = await linking.find_owner(session, identity)
        if owner is not None:
            settled = Settled(owner, is_new=False)
        elif is_known:
            raise SignInRefusedError(BEGIN_AGAIN)
        else:
            settled = await linking.settle(
                session,
                flows.settings,
                provider,
                identity,
                email=email,
                client=client,
                by_mail=by_mail,
            )
        return Proof(settled.user_id, frozenset({Method.PROVIDER}), stays=answer.stays)

    try:
        signed_in = await finish(flows.sign_in, prove, client)
    except MailNeededError:
        return await _mail_owner(flows, provider, identity, email, client)
    return Opened(signed_in, settled.is_new)


async def link(
    flows: ProviderSignIn, provider: Provider, answer: ProviderAnswer, client: Client, *, user_id: int
) -> LinkedAccount:
    """Link the identity of an answer to the account of the user who asked for that.

    Raises:
        SignInRefusedError: this user began nothing in this browser that it ends, or it is not to be believed.
        LinkedElsewhereError: another account has the identity.
        ProviderUnavailableError: the provider does not answer.
    """
    kept, identity = await _come_back(flows, provider, answer, client)
    if kept.user_id != user_id:
        raise SignInRefusedError(BEGIN_AGAIN)

    async def keep(session: AsyncSession) -> LinkedAccount:
        await users.require_open(session, user_id)
        return await linking.link(session, flows.settings, provider, identity, user_id=user_id, client=client)

    return await flows.database.unit(keep)


async def get_signed_in(reader: Reader, token: AccessToken) -> Account:
    """Return the account that a token was made for just now.

    Raises:
        WrongCredentialsError: it was closed since.
    """
    found = await users.get_account(reader, user_id=token.user_id, jti=token.jti)
    if found is None:
        raise WrongCredentialsError
    return found[0]


async def send_address_mail(database: Database, ticket: str, email: str, client: Client) -> None:
    """Queue the mail that shows that an address is theirs who have the ticket.

    Raises:
        LinkNotValidError: the ticket is unknown or too old.
    """

    async def queue(session: AsyncSession) -> None:
        if await provider_flows.get_pending(session, digest(ticket), now_of(session)) is None:
            raise LinkNotValidError
        await mails.request(session, MailRequest.IDENTITY, email, client, pending=digest(ticket))

    await database.unit(queue)


def _flow(settings: Settings, provider: Provider, state: str, browser: str) -> Flow:
    return Flow(
        state=state,
        nonce=_made_of("nonce", state, browser),
        verifier=_made_of("verifier", state, browser),
        redirect_uri=redirect_uri(settings, provider),
    )


def _made_of(purpose: str, state: str, browser: str) -> str:
    return hashlib.sha256(f"{purpose}\0{state}\0{browser}".encode(errors="surrogatepass")).hexdigest()


async def _come_back(
    flows: ProviderSignIn, provider: Provider, answer: ProviderAnswer, client: Client
) -> tuple[ProviderFlow, Identity]:
    """Return the log-in that an answer ends, which nobody can end again, and who the provider says it is."""
    await flows.limits.hit(*hits_from("provider-address", client))
    kept = await flows.database.unit(lambda session: provider_flows.take_flow(session, digest(answer.state)))
    if (
        kept is None
        or kept.expires_at <= flows.database.now()
        or kept.provider != provider.id
        or kept.browser_digest != digest(answer.browser)
    ):
        raise SignInRefusedError(BEGIN_AGAIN)
    flow = _flow(flows.settings, provider, answer.state, answer.browser)
    with _told(provider):
        identity = await identities.identify(
            flows.issuers, provider, flow, code=answer.code, issuer=answer.issuer
        )
    return kept, identity


async def _is_linked(database: Database, identity: Identity) -> bool:
    async with database.session() as session:
        found = await linked_accounts.find(session, _digest_of(identity))
    return found is not None


def _digest_of(identity: Identity) -> str:
    return identity_digest(identity.issuer, identity.subject)


def _verified(identity: Identity) -> str:
    return linking.email_of(identity) if identity.is_verified else ""


async def _followed(flows: ProviderSignIn, kept: ProviderFlow, identity: Identity) -> PendingIdentity | None:
    """Return what waited for the mail whose link was opened before this log-in; None where it was none.

    Raises:
        SignInRefusedError: the mail was about somebody else at the provider: its reader did not ask for it.
    """
    if kept.pending_digest is None:
        return None
    wanted = kept.pending_digest
    pending = await flows.database.unit(
        lambda session: provider_flows.get_pending(session, wanted, now_of(session))
    )
    if pending is None or pending.identity_digest != _digest_of(identity):
        raise SignInRefusedError(
            "The mail was about another account at this provider. If you did not ask for it, leave it alone"
        )
    return pending


async def _ask_for_address(flows: ProviderSignIn, provider: Provider, identity: Identity) -> AddressNeeded:
    ticket = secrets.token_hex(SECRET_BYTES)
    await flows.database.unit(lambda session: _keep_pending(session, provider, identity, ticket))
    return AddressNeeded(ticket, linking.email_of(identity))


async def _mail_owner(
    flows: ProviderSignIn, provider: Provider, identity: Identity, email: str, client: Client
) -> AddressNeeded:
    ticket = secrets.token_hex(SECRET_BYTES)

    async def keep(session: AsyncSession) -> None:
        await _keep_pending(session, provider, identity, ticket)
        await mails.request(session, MailRequest.IDENTITY, email, client, pending=digest(ticket))

    await flows.database.unit(keep)
    return AddressNeeded(None, email)


async def _keep_pending(session: AsyncSession, provider: Provider, identity: Identity, ticket: str) -> None:
    await provider_flows.add_pending(
        session,
        PendingIdentity(
            digest(ticket), _digest_of(identity), provider.id, None, now_of(session) + TICKET_LIFETIME
        ),
    )


@contextmanager
def _told(provider: Provider) -> Iterator[None]:
    """Write into the log why a provider's answer was of no use, and tell the browser what to do."""
    try:
        yield
    except ProviderAwayError as error:
        log.warning("a provider is away", provider=provider.id, reason=str(error))
        raise ProviderUnavailableError(f"{provider.name} does not answer; try again in a while") from None
    except (GrantRefusedError, TokenRefusedError) as error:
        log.warning("a log-in with a provider is refused", provider=provider.id, reason=str(error))
        raise SignInRefusedError(f"{provider.name}'s answer cannot be believed; begin again") from None
    except OidcError as error:
        log.warning("a provider answers what cannot be used", provider=provider.id, reason=str(error))
        raise ProviderUnavailableError(
            f"{provider.name} answers what this service cannot use; its operators are told by the log"
        ) from None
