"""What routes of accounts ask for besides `app/deps.py`: the parts that log-ins and confirmations need."""

from typing import Annotated, Any

from fastapi import Depends, Request, Response

from app.accounts.reauthentication import Verifier
from app.accounts.refresh import Renewal
from app.accounts.sign_in import NewSession, SignIn
from app.core.components import headers
from app.core.errors import BadRequestError
from app.core.settings import Settings
from app.db.refresh_families import ABSOLUTE
from app.deps import ResourcesDep

COOKIE = "openml-refresh"
"""The refresh token of a browser, which goes to `POST /session/refresh` alone."""
SETS_COOKIE: dict[int | str, dict[str, Any]] = {200: {"headers": headers("Set-Cookie")}}
"""What a route passes in its `responses` that calls `keep`."""


async def get_sign_in(resources: ResourcesDep) -> SignIn:
    """Return what a log-in needs."""
    return SignIn(
        resources.database, resources.tokens, resources.limits, resources.settings, resources.sealer
    )


SignInDep = Annotated[SignIn, Depends(get_sign_in)]


async def get_verifier(resources: ResourcesDep) -> Verifier:
    """Return what checks who somebody is."""
    return Verifier(
        resources.database,
        resources.passwords,
        resources.limits,
        resources.authenticators,
        resources.sealer,
    )


async def get_renewal(sign_in: SignInDep, resources: ResourcesDep) -> Renewal:
    """Return what it takes to go on with a session."""
    return Renewal(sign_in, resources.denylist)


async def unstored(response: Response) -> None:
    """Let nobody store the answer: it has a token."""
    response.headers["Cache-Control"] = "no-store"


async def refuse_forms_of_other_sites(request: Request) -> None:
    """See to it that a session that stays begins on a page of this site.

    A form of another site would have somebody go on in an account of that site's choice; browsers send what is read as
    a form without asking whether they may.

    Raises:
        BadRequestError: it does not.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise BadRequestError("A session stays in a browser only where it began on a page of this site")


def keep(response: Response, session: NewSession, settings: Settings) -> None:
    """Let the browser keep the refresh token of a session that stays: for one route, and for no script."""
    if session.refresh_token:
        response.set_cookie(
            COOKIE,
            session.refresh_token,
            max_age=int(ABSOLUTE.total_seconds()),
            path="/session",
            secure=settings.site_url.startswith("https:"),
            httponly=True,
            samesite="strict",
        )


def forget(response: Response) -> None:
    """Let the browser forget that token, whether or not it has one."""
    response.delete_cookie(COOKIE, path="/session", httponly=True, samesite="strict")


VerifierDep = Annotated[Verifier, Depends(get_verifier)]
RenewalDep = Annotated[Renewal, Depends(get_renewal)]
