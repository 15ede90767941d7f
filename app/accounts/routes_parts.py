"""What routes of accounts ask for besides `app/deps.py`: the parts that log-ins and confirmations need."""

import secrets
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from app.accounts.links import CONFIRMATION_HOURS, digest
from app.accounts.reauthentication import Verifier
from app.accounts.refresh import Renewal
from app.accounts.sign_in import NewSession, SignIn
from app.core.components import headers
from app.core.errors import BadRequestError
from app.core.settings import Settings
from app.db.refresh_families import ABSOLUTE
from app.deps import ResourcesDep, SettingsDep

COOKIE = "openml-refresh"
"""The refresh token of a browser, which goes to `POST /session/refresh` alone."""
SIGN_UP = "openml-sign-up"
"""What tells the browser that signed up from the one that confirms the address."""
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


def cookie_name(name: str, settings: Settings) -> str:
    """Return the name of a cookie that ties something to a browser; by https no other host of the domain can set it."""
    return f"__Host-{name}" if settings.site_url.startswith("https:") else name


async def get_sign_up_browser(request: Request, response: Response, settings: SettingsDep) -> str:
    """Return a digest of the secret of the browser that signs up, which it keeps until the address is confirmed."""
    name = cookie_name(SIGN_UP, settings)
    secret = request.cookies.get(name) or secrets.token_hex(32)
    response.set_cookie(
        name,
        secret,
        max_age=CONFIRMATION_HOURS * 3600,
        path="/",
        secure=settings.site_url.startswith("https:"),
        httponly=True,
        samesite="strict",
    )
    return digest(secret)


async def get_confirming_browser(request: Request, settings: SettingsDep) -> str | None:
    """Return the same of the browser that confirms an address; None where it is not known which browser signed up.

    What is no browser says not whence it asks. A frontend on another site is given no cookie.
    """
    if request.headers.get("sec-fetch-site") != "same-origin":
        return None
    return digest(request.cookies.get(cookie_name(SIGN_UP, settings), ""))


def forget(response: Response) -> None:
    """Let the browser forget that token, whether or not it has one."""
    response.delete_cookie(COOKIE, path="/session", httponly=True, samesite="strict")


VerifierDep = Annotated[Verifier, Depends(get_verifier)]
RenewalDep = Annotated[Renewal, Depends(get_renewal)]
SignUpBrowserDep = Annotated[str, Depends(get_sign_up_browser)]
ConfirmingBrowserDep = Annotated[str | None, Depends(get_confirming_browser)]
