"""Routes of one's own API tokens; `routes_token` has the one that ends any for whoever has it."""

from typing import Annotated

from fastapi import APIRouter, Path, Response, status

from app.accounts import api_tokens
from app.accounts.problems import AccountLimitError
from app.accounts.routes_token import UNSTORED
from app.accounts.schemas_api_tokens import (
    ApiTokenCreatedResponse,
    ApiTokenRequest,
    ApiTokenRevokedResponse,
    ApiTokensResponse,
)
from app.core.bodies import BoundedRoute
from app.core.errors import NotFoundError, PasswordNeededError, TooManyRequestsError, UnauthorizedError
from app.core.http import BODY_PROBLEMS, declare
from app.core.limits import Hit
from app.deps import ClientDep, FreshPrincipalDep, PrincipalDep, ResourcesDep, SessionDep

router = APIRouter(tags=["accounts"], route_class=BoundedRoute)
LARGEST_ID = 2**63 - 1


@router.get("/tokens", responses=declare(UnauthorizedError))
async def list_api_tokens(principal: PrincipalDep, session: SessionDep) -> ApiTokensResponse:
    """List one's API tokens, newest first: what they are for, and when they were last used. The tokens are nowhere."""
    return ApiTokensResponse(tokens=await api_tokens.list_tokens(session, principal.account.id))


@router.post(
    "/tokens",
    status_code=status.HTTP_201_CREATED,
    responses=declare(
        UnauthorizedError, PasswordNeededError, AccountLimitError, TooManyRequestsError, *BODY_PROBLEMS
    ),
)
async def create_api_token(
    body: ApiTokenRequest,
    principal: FreshPrincipalDep,
    resources: ResourcesDep,
    client: ClientDep,
    response: Response,
) -> ApiTokenCreatedResponse:
    """Make an API token for a program: with a name, scopes, and an end. It is shown this once."""
    await resources.limits.hit(Hit("change-account", str(principal.account.id)))
    response.headers.update(UNSTORED)
    return await resources.database.unit(
        lambda session: api_tokens.create(
            session,
            principal.account,
            body,
            most_days=resources.settings.timings.api_token_days,
            client=client,
        )
    )


@router.delete("/tokens/{token_id}", responses=declare(UnauthorizedError, PasswordNeededError, NotFoundError))
async def revoke_api_token(
    token_id: Annotated[int, Path(ge=1, le=LARGEST_ID)],
    principal: FreshPrincipalDep,
    resources: ResourcesDep,
    client: ClientDep,
) -> ApiTokenRevokedResponse:
    """Revoke one of one's API tokens; whoever has the token itself needs no login for that (`POST /tokens/revoke`)."""
    await resources.database.unit(
        lambda session: api_tokens.revoke(session, principal.account.id, token_id, client)
    )
    return ApiTokenRevokedResponse()
