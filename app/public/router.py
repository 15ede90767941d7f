"""Routes that need no login."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.security import OAuth2PasswordRequestForm

from app.accounts import links
from app.accounts.lifecycle import AccountExistsError, NewAccount, confirm_account, create_account
from app.accounts.sessions import log_in, normalised
from app.core.errors import (
    LinkNotValidError,
    MalformedBodyError,
    NotConfirmedError,
    TooBusyError,
    ValidationFailedError,
    WrongCredentialsError,
)
from app.core.http import declare
from app.deps import ClientAddressDep, ResourcesDep, SessionDep
from app.public.schemas import (
    ConfirmationResponse,
    LinkRequest,
    LoginFailure,
    LoginRequest,
    LoginResponse,
    SignupRequest,
    SignupResponse,
    TokenResponse,
)

router = APIRouter(tags=["accounts"])
NO_STORE = {"Cache-Control": "no-store"}


@router.post("/signup", responses=declare(MalformedBodyError, ValidationFailedError, TooBusyError))
async def signup(
    body: SignupRequest, resources: ResourcesDep, session: SessionDep, ip_address: ClientAddressDep
) -> SignupResponse:
    """Create an account and mail a link that confirms its address."""
    minimum = resources.settings.password_minimum_length
    if len(body.password) < minimum:
        raise ValidationFailedError.for_fields(
            [{"field": "password", "message": f"Choose a password of at least {minimum} characters."}]
        )
    # Before the session is first used, so that no connection is held meanwhile.
    password_hash = await resources.passwords.hash(normalised(body.password))
    account = NewAccount(
        email=body.email,
        first_name=body.first_name,
        last_name=body.last_name,
        password_hash=password_hash,
        ip_address=ip_address,
    )
    try:
        await create_account(session, account, resources.settings)
    except AccountExistsError:
        return SignupResponse(msg="User already exists")
    return SignupResponse(msg="User created")


@router.post("/confirmation", responses=declare(MalformedBodyError, LinkNotValidError, ValidationFailedError))
async def confirm(body: LinkRequest, session: SessionDep) -> ConfirmationResponse:
    """Confirm the address that a mail went to."""
    await confirm_account(session, links.token_of(body.url))
    return ConfirmationResponse()


@router.post("/login", responses=declare(MalformedBodyError, ValidationFailedError, TooBusyError))
async def login(
    body: LoginRequest, resources: ResourcesDep, response: Response
) -> LoginResponse | LoginFailure:
    """Log in as the SPA does: failures are 200 with a text. Other clients use `POST /token`."""
    response.headers.update(NO_STORE)
    try:
        access_token = await log_in(resources, login=body.email, password=body.password)
    except WrongCredentialsError:
        return LoginFailure(msg="Wrong username or password")
    except NotConfirmedError:
        return LoginFailure(msg="NotConfirmed")
    return LoginResponse(access_token=access_token)


@router.post(
    "/token",
    responses=declare(WrongCredentialsError, NotConfirmedError, ValidationFailedError, TooBusyError),
)
async def create_token(
    form: Annotated[OAuth2PasswordRequestForm, Depends()], resources: ResourcesDep, response: Response
) -> TokenResponse:
    """Log in with an OAuth2 password grant; this is what *Authorize* on this page does."""
    response.headers.update(NO_STORE)
    access_token = await log_in(resources, login=form.username, password=form.password)
    return TokenResponse(access_token=access_token, expires_in=resources.tokens.lifetime_seconds)
