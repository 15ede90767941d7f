"""Going on with a session that stays, for pages: their refresh token is a cookie that no script can read."""

from fastapi import APIRouter, Depends, Request, Response

from app.accounts.routes_parts import COOKIE, SETS_COOKIE, RenewalDep, keep, unstored
from app.accounts.schemas_public import TokenResponse
from app.core.bodies import BoundedRoute
from app.core.errors import RefreshTokenNotValidError, TooManyRequestsError
from app.core.http import declare
from app.core.limits import hits_from
from app.deps import ClientDep

router = APIRouter(tags=["accounts"], route_class=BoundedRoute)


@router.post(
    "/session/refresh",
    dependencies=[Depends(unstored)],
    response_model_exclude_none=True,
    responses={**SETS_COOKIE, **declare(RefreshTokenNotValidError, TooManyRequestsError)},
)
async def refresh_session(
    request: Request, renewal: RenewalDep, client: ClientDep, response: Response
) -> TokenResponse:
    """Return a new access token for whoever chose to stay signed in with this browser. Its cookie is replaced."""
    sign_in = renewal.sign_in
    await sign_in.limits.hit(*hits_from("refresh-address", client))
    if str(request.headers.get("cookie", "")).count(f"{COOKIE}=") > 1:
        # A neighbour's page has set one, to have somebody act in the neighbour's account.
        raise RefreshTokenNotValidError("This browser has several cookies for the session; clear them")
    renewed = await renewal.renew(request.cookies.get(COOKIE, ""), client)
    keep(response, renewed, sign_in.settings)
    return TokenResponse(access_token=renewed.access_token, expires_in=sign_in.tokens.lifetime_seconds)
