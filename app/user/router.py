"""Routes of one's own account."""

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from app.accounts.lifecycle import new_api_key
from app.accounts.sessions import log_out
from app.core.errors import UnauthorizedError
from app.core.http import declare
from app.db import users
from app.deps import PrincipalDep, ResourcesDep, SessionDep, TokenDep
from app.user.schemas import ApiKeyChangedResponse, ApiKeyResponse, LogoutResponse, ProfileResponse

router = APIRouter(tags=["accounts"], responses=declare(UnauthorizedError))
PLACEHOLDER = "0000"
"""What the Flask and Next.js backends wrote into columns that they had nothing for."""


@router.get("/verifytoken", response_class=PlainTextResponse)
async def verify_token(_principal: PrincipalDep) -> PlainTextResponse:
    """Say whether the access token is good."""
    return PlainTextResponse("token-valid")


@router.get("/profile")
async def get_profile(principal: PrincipalDep) -> ProfileResponse:
    """Return who is signed in."""
    account = principal.account
    return ProfileResponse(
        username=account.username,
        bio=account.bio,
        first_name=account.first_name,
        last_name=account.last_name,
        email=account.email,
        image=_image_path(account.image),
        id=account.id,
    )


@router.get("/api-key")
async def get_api_key(principal: PrincipalDep, response: Response) -> ApiKeyResponse:
    """Return the API key, which OpenML's clients and REST API use."""
    response.headers["Cache-Control"] = "no-store"
    return ApiKeyResponse(apikey=principal.account.api_key)


@router.post("/api-key")
async def renew_api_key(
    principal: PrincipalDep, session: SessionDep, response: Response
) -> ApiKeyChangedResponse:
    """Replace the API key. The body, if any, is ignored."""
    response.headers["Cache-Control"] = "no-store"
    api_key = new_api_key()
    await users.set_api_key(session, principal.account.id, api_key=api_key)
    return ApiKeyChangedResponse(apikey=api_key)


@router.post("/logout")
async def logout(token: TokenDep, resources: ResourcesDep) -> LogoutResponse:
    """End the access token, at once and everywhere. One that has expired is ended already."""
    await log_out(resources, token)
    return LogoutResponse()


def _image_path(stored: str) -> str:
    """Return the picture's path from the root, or nothing: relative ones break below /auth/."""
    if stored in ("", PLACEHOLDER):
        return ""
    return stored if stored.startswith(("/", "https://", "http://")) else f"/{stored}"
