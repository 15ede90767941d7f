"""What routes may ask for, as annotated types. The only file that reads `request.state`."""

from collections.abc import AsyncIterator
from typing import Annotated, NamedTuple

from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import UnauthorizedError
from app.core.settings import Settings
from app.core.tokens import AccessToken
from app.db.users import Account, get_account
from app.resources import Resources


def get_resources(request: Request) -> Resources:
    """Return what the lifespan made."""
    resources: Resources = request.state.resources
    return resources


def get_settings(request: Request) -> Settings:
    """Return the settings."""
    return get_resources(request).settings


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Yield a session that is committed before the answer is sent, or rolled back by an exception."""
    async with get_resources(request).database.session() as session:
        yield session


class Principal(NamedTuple):
    """Who sent the request, and with which token."""

    account: Account
    token: AccessToken


class BearerToken(OAuth2PasswordBearer):
    """The access token of the request, expired ones included; nothing is looked up."""

    async def __call__(self, request: Request) -> AccessToken:  # type: ignore[override]  # the base returns text
        """Return what the token says."""
        return get_resources(request).tokens.verify(_bearer(request), accept_expired=True)


class SignedIn(OAuth2PasswordBearer):
    """The user whose live access token came with the request.

    One SELECT, outside any transaction, and no connection held afterwards (uploads take hours).
    """

    async def __call__(self, request: Request) -> Principal:  # type: ignore[override]  # as above
        """Return the user and the token."""
        resources = get_resources(request)
        token = resources.tokens.verify(_bearer(request))
        found = await get_account(resources.database.reader, user_id=token.user_id, jti=token.jti)
        if found is None:
            raise UnauthorizedError("This account does not exist any more", error="invalid_token")
        account, revoked = found
        if revoked:
            raise UnauthorizedError("Token has been revoked", error="invalid_token")
        if not account.active:
            raise UnauthorizedError("This account is not active", error="invalid_token")
        return Principal(account, token)


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


def get_client_address(request: Request) -> str:
    """Return the address that the server believes the request comes from."""
    return request.client.host if request.client else ""


ResourcesDep = Annotated[Resources, Depends(get_resources)]
SettingsDep = Annotated[Settings, Depends(get_settings)]
SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]
TokenDep = Annotated[AccessToken, Depends(BearerToken(tokenUrl="token"))]
PrincipalDep = Annotated[Principal, Depends(SignedIn(tokenUrl="token"))]
ClientAddressDep = Annotated[str, Depends(get_client_address)]
