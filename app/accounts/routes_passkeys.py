"""Routes of passkeys: those that OpenML's sites know (`/auth/passkey/…`), and a few more."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response, status

from app.accounts import passkey_use, service_passkeys
from app.accounts.passkey_use import CONFIRM, SECOND, SIGN_IN, request_options
from app.accounts.problems import (
    AccountLimitError,
    LastWayInError,
    NotConfirmedError,
    PasskeysDisabledError,
    TicketNotValidError,
    WrongCredentialsError,
)
from app.accounts.routes_parts import SETS_COOKIE, SignInDep, keep
from app.accounts.schemas_passkeys import (
    CreationOptions,
    PasskeyRequest,
    PasskeyResponse,
    RegisteredResponse,
    RemovedResponse,
    RemoveRequest,
    RenamedResponse,
    RenameRequest,
    RequestOptions,
    SecondFactorRequest,
    SecondFactorResponse,
    SecondOptionsRequest,
    SecondRequest,
    SignedInResponse,
    SignInRequest,
)
from app.accounts.schemas_public import TokenResponse
from app.accounts.service_passkeys import subject_of
from app.accounts.sign_in import find_ticket
from app.core.addresses import as_shown
from app.core.authenticators import Authenticators
from app.core.bodies import BoundedRoute
from app.core.errors import (
    BadRequestError,
    NotFoundError,
    PasswordNeededError,
    TooBusyError,
    TooManyRequestsError,
    UnauthorizedError,
)
from app.core.http import BODY_PROBLEMS, declare
from app.core.limits import Hit, hits_from
from app.db import passkeys
from app.db.users import get_account
from app.deps import (
    ClientDep,
    DatabaseDep,
    FreshPrincipalDep,
    LimitsDep,
    Principal,
    PrincipalDep,
    ResourcesDep,
    SessionDep,
)


async def get_authenticators(resources: ResourcesDep) -> Authenticators:
    """Return what checks passkeys.

    Raises:
        PasskeysDisabledError: they are switched off, which is said to everybody, signed in or not.
    """
    if resources.authenticators is None:
        raise PasskeysDisabledError
    return resources.authenticators


AuthenticatorsDep = Annotated[Authenticators, Depends(get_authenticators)]
router = APIRouter(
    tags=["accounts"],
    dependencies=[Depends(get_authenticators)],
    responses=declare(PasskeysDisabledError),
    route_class=BoundedRoute,
)
NO_STORE = {"Cache-Control": "no-store"}


def _subject(principal: Principal) -> str:
    return subject_of(principal.account.id, principal.token.jti)


# --- one's own


@router.post(
    "/auth/passkey/register-options",
    responses=declare(UnauthorizedError, PasswordNeededError, AccountLimitError, TooManyRequestsError),
)
async def passkey_creation_options(
    authenticators: AuthenticatorsDep,
    principal: FreshPrincipalDep,
    database: DatabaseDep,
    limits: LimitsDep,
    response: Response,
) -> CreationOptions:
    """Return what a browser needs to make a passkey for one's account."""
    response.headers.update(NO_STORE)
    await limits.hit(Hit("change-account", str(principal.account.id)))
    return await database.unit(
        lambda session: service_passkeys.creation_options(
            session, authenticators, principal.account, _subject(principal)
        )
    )


@router.post(
    "/auth/passkey/register-verify",
    status_code=status.HTTP_201_CREATED,
    responses=declare(
        *BODY_PROBLEMS,
        UnauthorizedError,
        PasswordNeededError,
        BadRequestError,
        AccountLimitError,
        TooBusyError,
    ),
)
async def register_passkey(
    body: PasskeyRequest,
    authenticators: AuthenticatorsDep,
    principal: FreshPrincipalDep,
    resources: ResourcesDep,
    client: ClientDep,
) -> RegisteredResponse:
    """Keep the passkey that a browser has made, with a name; its owner gets a mail."""
    account = principal.account
    verified = await service_passkeys.verify(authenticators, account, _subject(principal), body)
    await resources.database.unit(
        lambda session: service_passkeys.keep(session, resources.settings, account, verified, client)
    )
    return RegisteredResponse()


@router.get("/auth/passkey/list", responses=declare(UnauthorizedError))
async def list_passkeys(principal: PrincipalDep, session: SessionDep) -> list[PasskeyResponse]:
    """List one's passkeys. Those with negative numbers another program of OpenML's has registered."""
    return await service_passkeys.list_passkeys(session, principal.account.id)


@router.post(
    "/auth/passkey/rename",
    responses=declare(*BODY_PROBLEMS, UnauthorizedError, PasswordNeededError, NotFoundError),
)
async def rename_passkey(
    body: RenameRequest, principal: FreshPrincipalDep, database: DatabaseDep, client: ClientDep
) -> RenamedResponse:
    """Give one of one's passkeys another name."""
    await database.unit(
        lambda session: service_passkeys.rename(
            session, principal.account.id, body.passkeyId, body.deviceName, client
        )
    )
    return RenamedResponse()


@router.post(
    "/auth/passkey/remove",
    responses=declare(*BODY_PROBLEMS, UnauthorizedError, PasswordNeededError, NotFoundError, LastWayInError),
)
async def remove_passkey(
    body: RemoveRequest,
    authenticators: AuthenticatorsDep,
    principal: FreshPrincipalDep,
    resources: ResourcesDep,
    client: ClientDep,
) -> RemovedResponse:
    """Remove one of one's passkeys; its owner gets a mail, and can undo it for a week."""
    removed = await resources.database.unit(
        lambda session: service_passkeys.remove(
            session, resources.settings, principal.account, body.passkeyId, client
        )
    )
    return RemovedResponse(credentialId=removed.credential_id, rpId=authenticators.party.id)


@router.get("/auth/passkey/second-factor", responses=declare(UnauthorizedError))
async def get_passkey_second_factor(principal: PrincipalDep, session: SessionDep) -> SecondFactorResponse:
    """Say whether a passkey is asked for after one's password."""
    required = await passkeys.is_second_factor(session, principal.account.id)
    return SecondFactorResponse(required=required)


@router.post(
    "/auth/passkey/second-factor",
    responses=declare(*BODY_PROBLEMS, UnauthorizedError, PasswordNeededError, BadRequestError),
)
async def set_passkey_second_factor(
    body: SecondFactorRequest, principal: FreshPrincipalDep, resources: ResourcesDep, client: ClientDep
) -> SecondFactorResponse:
    """Choose whether a passkey is asked for after one's password; its owner gets a mail."""
    await resources.database.unit(
        lambda session: service_passkeys.choose_second_factor(
            session, resources.settings, principal.account, client, required=body.required
        )
    )
    return SecondFactorResponse(required=body.required)


@router.post("/auth/passkey/confirm-options", responses=declare(UnauthorizedError, TooManyRequestsError))
async def passkey_confirm_options(
    authenticators: AuthenticatorsDep, principal: PrincipalDep, session: SessionDep, response: Response
) -> RequestOptions:
    """Return what a browser needs to confirm with one of one's passkeys (`POST /reauthenticate`)."""
    response.headers.update(NO_STORE)
    known = await passkeys.get_of_user(session, principal.account.id)
    return request_options(authenticators, CONFIRM, _subject(principal), known)


# --- signing in


@router.get("/auth/passkey/login-options", responses=declare(TooManyRequestsError))
async def passkey_sign_in_options(
    authenticators: AuthenticatorsDep, limits: LimitsDep, client: ClientDep, response: Response
) -> RequestOptions:
    """Return what a browser needs to sign in with any passkey it has: the same for everybody, but for the challenge."""
    response.headers.update(NO_STORE)
    await limits.hit(*hits_from("passkey-options-address", client))
    return request_options(authenticators, SIGN_IN)


@router.post(
    "/auth/passkey/login-verify",
    responses={
        **SETS_COOKIE,
        **declare(
            *BODY_PROBLEMS,
            BadRequestError,
            WrongCredentialsError,
            NotConfirmedError,
            NotFoundError,
            TooBusyError,
            TooManyRequestsError,
        ),
    },
)
async def passkey_sign_in(
    body: SignInRequest,
    authenticators: AuthenticatorsDep,
    sign_in: SignInDep,
    client: ClientDep,
    response: Response,
) -> SignedInResponse:
    """Sign in with a passkey, whose authenticator has verified its user; neither name nor password is asked for."""
    response.headers.update(NO_STORE)
    await sign_in.limits.hit(*hits_from("login-address", client), Hit("login-everybody"))
    user_id, signed_in = await passkey_use.log_in(
        sign_in, authenticators, body.credential, client, stays=body.stay
    )
    found = await get_account(sign_in.database.reader, user_id=user_id, jti="")
    if found is None:
        raise WrongCredentialsError
    account, _ = found
    keep(response, signed_in, sign_in.settings)
    return SignedInResponse(
        access_token=signed_in.access_token,
        id=account.id,
        username=as_shown(account.username),
        email=as_shown(account.email),
        image=account.image,
        apikey=account.api_key,
        firstName=account.first_name,
        lastName=account.last_name,
    )


@router.post(
    "/sign-in/passkey/options", responses=declare(*BODY_PROBLEMS, TicketNotValidError, TooManyRequestsError)
)
async def passkey_second_options(
    body: SecondOptionsRequest,
    authenticators: AuthenticatorsDep,
    resources: ResourcesDep,
    client: ClientDep,
    response: Response,
) -> RequestOptions:
    """Return what a browser needs to show a passkey after the password."""
    response.headers.update(NO_STORE)
    await resources.limits.hit(*hits_from("passkey-options-address", client))
    ticket = await find_ticket(resources.database, body.ticket)
    async with resources.database.session() as session:
        known = await passkeys.get_of_user(session, ticket.user_id)
    return request_options(authenticators, SECOND, ticket.ticket_digest, known)


@router.post(
    "/sign-in/passkey",
    response_model_exclude_none=True,
    responses={
        **SETS_COOKIE,
        **declare(
            *BODY_PROBLEMS, TicketNotValidError, WrongCredentialsError, TooBusyError, TooManyRequestsError
        ),
    },
)
async def passkey_sign_in_second(
    body: SecondRequest,
    authenticators: AuthenticatorsDep,
    sign_in: SignInDep,
    client: ClientDep,
    response: Response,
) -> TokenResponse:
    """Finish a log-in with a passkey after the password."""
    response.headers.update(NO_STORE)
    await sign_in.limits.hit(*hits_from("login-address", client), Hit("login-everybody"))
    signed_in = await passkey_use.log_in_second(sign_in, authenticators, body.credential, body.ticket, client)
    keep(response, signed_in, sign_in.settings)
    return TokenResponse(access_token=signed_in.access_token, expires_in=sign_in.tokens.lifetime_seconds)
