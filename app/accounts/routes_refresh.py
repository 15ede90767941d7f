"""Going on with a session that stays, for pages: their refresh token is a cookie that no script can read."""

from fastapi import APIRouter, Depends, Request, Response

from app.accounts.problems import RefreshTokenNotValidError
from app.accounts.routes_parts import COOKIE, SETS_COOKIE, RenewalDep, forget, keep, unstored
from app.accounts.schemas_public import TokenResponse
from app.core.bodies import BoundedRoute
from app.core.components import headers
from app.core.errors import TooManyRequestsError
from app.core.http import declare
from app.core.limits import hits_from
from app.deps import ClientDep

_ENDED = declare(RefreshTokenNotValidError)
_ENDED[RefreshTokenNotValidError.status]["headers"] |= headers("Set-Cookie")
router = APIRouter(tags=["accounts"], route_class=BoundedRoute)


@router.post(
    "/session/refresh",
    dependencies=[Depends(unstored)],
    response_model_exclude_none=True,
    responses={**SETS_COOKIE, **_ENDED, **declare(TooManyRequestsError)},
)
async def refresh_session(
    request: Request, renewal: RenewalDep, client: ClientDep, response: Response
) -> TokenResponse:
    """Return a new access token for whoever chose to stay signed in with this browser.

    Its cookie is replaced; or taken away, if it opens nothing any more.
    """
    sign_in = renewal.sign_in
    await sign_in.limits.hit(*hits_from("refresh-address", client))
    if str(request.headers.get("cookie", "")).count(f"{COOKIE}=") > 1:
        # A neighbour's page has set one, to have somebody act in the neighbour's account.
        raise RefreshTokenNotValidError("This browser has several cookies for the session; clear them")
    cookie = request.cookies.get(COOKIE, "")
    try:
        renewed = await renewal.renew(cookie, client)
    except RefreshTokenNotValidError as problem:
        if cookie:
            problem.headers |= _forgetting()
        raise
    keep(response, renewed, sign_in.settings)
    return TokenResponse(access_token=renewed.access_token, expires_in=sign_in.tokens.lifetime_seconds)


def _forgetting() -> dict[str, str]:
    """Return the header that has a browser forget its cookie: one that is set beside an error is lost with it."""
    response = Response()
    forget(response)
    return {"Set-Cookie": response.headers["set-cookie"]}
