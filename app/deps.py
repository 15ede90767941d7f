"""What routes may ask for, as annotated types. The only file that reads `request.state`."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, NamedTuple

import structlog
from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, OAuth2PasswordBearer
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import api_tokens, methods, metrics
from app.core.access import note_user
from app.core.clients import Client, ProxyNetwork, is_trusted
from app.core.errors import (
    AdministratorsOnlyError,
    InsufficientScopeError,
    PasswordNeededError,
    SecondFactorMissingError,
    UnauthorizedError,
)
from app.core.limits import Hit, RateLimiter, hits_from
from app.core.scopes import scopes_of
from app.core.settings import Settings
from app.core.tokens import AccessToken
from app.db.api_tokens import TokenUse, get_account_by_token, set_last_used
from app.db.engine import Database
from app.db.second_factors import get_confirming
from app.db.sessions import get_authenticated_at, get_methods, set_last_seen
from app.db.users import Account, TokenState, get_account, get_account_by_api_key, is_administrator
from app.openml.client import OpenMLClient
from app.openml.fields import is_api_key
from app.resources import Resources

log = structlog.get_logger(__name__)

SEEN_EVERY = timedelta(minutes=5)
"""How exact the "last seen" of a session is; more would be a write for each read."""


FRESH = timedelta(minutes=15)
"""How long it is enough to have shown who one is, for what a stolen token alone must not do."""


def get_resources(request: Request) -> Resources:
    """Return what the lifespan made."""
    resources: Resources = request.scope["state"]["resources"]
    return resources


def get_settings(request: Request) -> Settings:
    """Return the settings."""
    return get_resources(request).settings


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Yield a session that is committed before the answer is sent, or rolled back by an exception."""
    async with get_resources(request).database.session() as session:
        yield session


NO_SESSION = AccessToken(0, "", datetime.min.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC))
"""What a request with an API token has in place of an access token: nothing that asks for a session finds one by it."""


class Principal(NamedTuple):
    """Who sent the request, and with which token."""

    account: Account
    token: AccessToken


class BearerToken(OAuth2PasswordBearer):
    """The access token of the request, expired ones included; nothing is looked up."""

    async def __call__(self, request: Request) -> AccessToken:  # type: ignore[override]  # the base returns text
        """Return what the token says."""
        text = _bearer(request)
        if api_tokens.claims_to_be_one(text):
            await _open_with_api_token(request, text)
        return get_resources(request).tokens.verify(text, accept_expired=True)


class SignedIn(OAuth2PasswordBearer):
    """The user whose live access token came with the request; or an API token, if it opens the route (`opened_by`).

    One SELECT, outside any transaction, and no connection held afterwards (uploads take hours).
    """

    async def __call__(self, request: Request) -> Principal:  # type: ignore[override]  # as above
        """Return the user and the token."""
        resources = get_resources(request)
        text = _bearer(request)
        if api_tokens.claims_to_be_one(text):
            return Principal(await _open_with_api_token(request, text), NO_SESSION)
        token = resources.tokens.verify(text)
        if resources.denylist.knows(token.jti):
            raise _revoked()
        found = await get_account(resources.database.reader, user_id=token.user_id, jti=token.jti)
        if found is None:
            raise UnauthorizedError("This account does not exist any more", error="invalid_token")
        account, state = found
        if state.revoked or _is_cut_off(token, state):
            raise _revoked()
        if not account.active:
            raise UnauthorizedError("This account is not active", error="invalid_token")
        note_user(request.scope, account.id)
        now = resources.database.now()
        if state.last_seen_at and now - state.last_seen_at > SEEN_EVERY:
            async with resources.database.session() as session:
                await set_last_seen(session, token.jti, now)
        return Principal(account, token)


class SignedInOrKey(SignedIn):
    """The user whose access token or API key came with the request; the token, where both did."""

    async def __call__(self, request: Request) -> Account:  # type: ignore[override]  # as above
        """Return the user."""
        api_key = request.headers.get("x-api-key")
        if api_key is None or "authorization" in request.headers:
            return (await super().__call__(request)).account
        resources = get_resources(request)
        guess = hits_from("wrong-key-address", await get_client(request))
        await resources.limits.hit(*guess)
        found = None
        if is_api_key(api_key):
            found = await get_account_by_api_key(resources.database.reader, api_key)
        if found is None or not found.active:
            raise UnauthorizedError("This API key opens no account; GET /api-key shows yours")
        await resources.limits.give_back(*guess)
        note_user(request.scope, found.id)
        return found


def _is_cut_off(token: AccessToken, state: TokenState) -> bool:
    """Say whether the token was issued before all of the user's were made worthless.

    Since then every token has its row; one without may have a time of its own.
    """
    cut_off = state.valid_from
    return cut_off is not None and (token.issued_at <= cut_off or state.last_seen_at is None)


async def _open_with_api_token(request: Request, text: str) -> Account:
    """Return the user of an API token that opens the route; one SELECT, and none for what was mistyped.

    Raises:
        UnauthorizedError: it opens nothing.
        InsufficientScopeError: it opens other routes.
    """
    resources = get_resources(request)
    if not api_tokens.is_whole(text):
        raise _no_token(
            "mistyped",
            "This is no API token: its last characters do not fit the others. Was it copied whole?",
        )
    found = await get_account_by_token(resources.database.reader, api_tokens.digest_of(text))
    if found is None:
        raise _no_token("unknown", "This API token was revoked, or is none of this site")
    account, use = found
    now = resources.database.now()
    if use.expires_at is not None and use.expires_at <= now:
        raise _no_token("expired", "This API token has expired; make another one")
    if not account.active:
        raise _no_token("closed", "This account is not active")
    note_user(request.scope, account.id)
    wanted = scopes_of(request.scope["route"].endpoint)
    if use.scopes.isdisjoint(wanted):
        metrics.API_TOKENS_REFUSED.add("scope")
        raise InsufficientScopeError.for_scopes(wanted)
    await _note_use(request, use, now)
    return account


async def _note_use(request: Request, use: TokenUse, now: datetime) -> None:
    if use.last_used_at is None or now - use.last_used_at > SEEN_EVERY:
        client = await get_client(request)
        async with get_resources(request).database.session() as session:
            await set_last_used(session, use.id, now, client.network)


def _no_token(reason: str, detail: str) -> UnauthorizedError:
    metrics.API_TOKENS_REFUSED.add(reason)
    return UnauthorizedError(detail, error="invalid_token")


def _revoked() -> UnauthorizedError:
    return UnauthorizedError("Token has been revoked", error="invalid_token")


def _bearer(request: Request) -> str:
    """Return the text of the token; the messages are those of the Flask backend."""
    header = request.headers.get("authorization")
    if not header:
        raise UnauthorizedError("Missing Authorization Header")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise UnauthorizedError(
            "Missing 'Bearer' type in 'Authorization' header. Expected 'Authorization: Bearer <JWT>'"
        )
    if not token.strip():
        raise UnauthorizedError("Bad Authorization header. Expected 'Authorization: Bearer <JWT>'")
    return token.strip()


async def get_client(request: Request) -> Client:
    """Return where the request comes from."""
    settings = get_settings(request)
    if settings.environment == "production":
        _warn_of_a_proxy(request, settings.trusted_proxies)
    return Client.of(request, trusted_proxies=settings.trusted_proxies)


@cache
def _say_untrusted() -> None:
    """Say it once in the life of a process: anybody can send the header."""
    log.warning(
        "X-Forwarded-For came from an address that is not in TRUSTED_PROXIES, and was not believed. If that is your "
        "proxy, name it there: until then all its clients count as one. If not, somebody tries to hide."
    )


def _warn_of_a_proxy(request: Request, trusted: Sequence[ProxyNetwork]) -> None:
    peer = request.client.host if request.client else ""
    if "x-forwarded-for" in request.headers and not is_trusted(peer, trusted):
        _say_untrusted()


async def get_viewer_id(request: Request) -> int | None:
    """Return the number of the user whose token or API key came with the request; None where none opens it."""
    viewer = await get_viewer(request)
    return viewer.id if viewer else None


async def get_viewer(request: Request) -> Account | None:
    """Return the user whose token or API key came with the request; None where none opens it."""
    if not {"authorization", "x-api-key"} & set(request.headers):
        return None
    try:
        return await _signed_in_or_key(request)
    except (UnauthorizedError, InsufficientScopeError):
        return None


async def is_signed_in(request: Request, account: Account) -> bool:
    """Say whether the token or API key of a request that may have begun minutes ago still opens the account."""
    return await get_viewer_id(request) == account.id


_signed_in_or_key = SignedInOrKey(tokenUrl="token", scheme_name="SignedIn")


# Dependencies are coroutines: FastAPI would send each plain function to a thread, for the price of a whole read.
async def _resources(request: Request) -> Resources:
    return get_resources(request)


async def _settings(request: Request) -> Settings:
    return get_settings(request)


async def _database(request: Request) -> Database:
    return get_resources(request).database


async def _limits(request: Request) -> RateLimiter:
    return get_resources(request).limits


async def _openml(request: Request) -> OpenMLClient:
    return get_resources(request).openml


ResourcesDep = Annotated[Resources, Depends(_resources)]
SettingsDep = Annotated[Settings, Depends(_settings)]
DatabaseDep = Annotated[Database, Depends(_database)]
LimitsDep = Annotated[RateLimiter, Depends(_limits)]
OpenMLDep = Annotated[OpenMLClient, Depends(_openml)]
SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]
TokenDep = Annotated[AccessToken, Depends(BearerToken(tokenUrl="token", scheme_name="SignedIn"))]
PrincipalDep = Annotated[Principal, Depends(SignedIn(tokenUrl="token"))]


async def require_fresh(database: Database, principal: Principal) -> None:
    """As `get_fresh_principal`, for routes that need it for some of what they do.

    Raises:
        PasswordNeededError: the last time was longer ago; it names the ways to show it again.
    """
    if not await is_fresh(database, principal):
        async with database.session() as session:
            ways = await get_confirming(session, principal.account.id)
        raise PasswordNeededError(methods=[way.field for way in ways])


async def is_fresh(database: Database, principal: Principal) -> bool:
    """Say whether somebody has shown in this session within `FRESH` who they are."""
    at = await get_authenticated_at(database.reader, principal.token.jti)
    return at is not None and database.now() - at <= FRESH


async def get_fresh_principal(principal: PrincipalDep, database: DatabaseDep) -> Principal:
    """Return who is signed in, and has shown it in this session within `FRESH`: at its beginning, or since.

    Raises:
        PasswordNeededError: that was longer ago.
    """
    await require_fresh(database, principal)
    return principal


FreshPrincipalDep = Annotated[Principal, Depends(get_fresh_principal)]


async def require_administrator(principal: PrincipalDep, database: DatabaseDep) -> None:
    """Return if OpenML has who is signed in among its administrators; asked for each request, and never remembered.

    Raises:
        AdministratorsOnlyError: it has not.
    """
    if not await is_administrator(database.reader, principal.account.id):
        raise AdministratorsOnlyError


async def get_administrator(
    _is_one: Annotated[None, Depends(require_administrator)],
    fresh: FreshPrincipalDep,
    settings: SettingsDep,
    database: DatabaseDep,
) -> Principal:
    """Return an administrator whose password is fresh, and who has shown a second factor, where that is asked for.

    Raises:
        SecondFactorMissingError: this session has not seen one.
    """
    if settings.administrators_need_second_factor:
        async with database.session() as session:
            shown = methods.from_text(await get_methods(session, fresh.token.jti) or "")
        if methods.needs_second(shown, methods.SECOND):
            raise SecondFactorMissingError
    return fresh


AdministratorDep = Annotated[Principal, Depends(get_administrator)]
_API_KEY = APIKeyHeader(name="X-API-Key", scheme_name="ApiKey", auto_error=False)


async def get_uploader(
    account: Annotated[Account, Depends(_signed_in_or_key)],
    _shown_on_the_api_page: Annotated[str | None, Depends(_API_KEY)],
) -> Account:
    """Return the user whose access token or API key came with the request."""
    return account


UploaderDep = Annotated[Account, Depends(get_uploader)]


async def get_counted_uploader(account: UploaderDep, limits: LimitsDep) -> Account:
    """Return the user as `get_uploader`, and count the request: each to `/uploads` costs queries, whatever it asks."""
    await limits.hit(Hit("uploads-account", str(account.id)))
    return account


CountedUploaderDep = Annotated[Account, Depends(get_counted_uploader)]
ClientDep = Annotated[Client, Depends(get_client)]
ViewerDep = Annotated[int | None, Depends(get_viewer_id)]
ViewingAccountDep = Annotated[Account | None, Depends(get_viewer)]
