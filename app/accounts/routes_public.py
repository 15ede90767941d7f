"""Routes that need no login."""

from dataclasses import replace

from fastapi import APIRouter, Depends, Response, status

from app.accounts import lifecycle, links, undoing
from app.accounts import service_public as service
from app.accounts.links import LinkPurpose
from app.accounts.mails import MailRequest
from app.accounts.problems import (
    LinkNotValidError,
    NotConfirmedError,
    SecondFactorNeededError,
    WrongCredentialsError,
)
from app.accounts.routes_parts import (
    SETS_COOKIE,
    ConfirmingBrowserDep,
    SignInDep,
    SignUpBrowserDep,
    keep,
    unstored,
)
from app.accounts.schemas_public import (
    AddressRequest,
    ConfirmationResponse,
    ConfirmationSentResponse,
    FeedbackRequest,
    FeedbackResponse,
    LinkRequest,
    LoginFailure,
    LoginRequest,
    LoginResponse,
    RegisterRequest,
    RegisterResponse,
    ResetRequest,
    ResetResponse,
    ResetSentResponse,
    ResetTokenResponse,
    SignupRequest,
    SignupResponse,
    UndoneResponse,
)
from app.accounts.sessions import log_in
from app.core.addresses import as_shown
from app.core.bodies import BoundedRoute
from app.core.errors import BadRequestError, TooBusyError, TooManyRequestsError
from app.core.http import BODY_PROBLEMS, declare
from app.core.limits import hits_from
from app.db.outbox import queue_mail
from app.deps import ClientDep, DatabaseDep, LimitsDep, ResourcesDep, SessionDep
from app.mail.messages import MailKind

router = APIRouter(
    tags=["accounts"], responses=declare(*BODY_PROBLEMS, TooManyRequestsError), route_class=BoundedRoute
)


@router.post("/signup", responses={**SETS_COOKIE, **declare(TooBusyError)})
async def signup(
    body: SignupRequest, resources: ResourcesDep, client: ClientDep, browser: SignUpBrowserDep
) -> SignupResponse:
    """Create an account and mail a link that confirms its address."""
    prepared = await service.prepare_account(
        resources.policy, resources.passwords, resources.limits, body, client
    )
    account = replace(prepared, browser_digest=browser)
    if not await service.create_account(resources.database, resources.settings, account, client):
        return SignupResponse(msg="User already exists")
    return SignupResponse(msg="User created")


@router.post(
    "/register",
    status_code=status.HTTP_201_CREATED,
    responses={status.HTTP_201_CREATED: SETS_COOKIE[200], **declare(BadRequestError, TooBusyError)},
)
async def register(
    body: RegisterRequest, resources: ResourcesDep, client: ClientDep, browser: SignUpBrowserDep
) -> RegisterResponse:
    """Create an account with a user name made of the address; the SPA uses `POST /signup`."""
    person = service.checked_registration(body)
    prepared = await service.prepare_account(
        resources.policy, resources.passwords, resources.limits, person, client
    )
    hides = resources.settings.signup_hides_accounts
    username = await resources.database.unit(
        lambda session: lifecycle.free_username(session, person.email, always_random=hides)
    )
    account = replace(prepared, username=username, browser_digest=browser)
    if not await service.create_account(resources.database, resources.settings, account, client):
        raise BadRequestError("Email already registered")
    return RegisterResponse(username=account.username, email=as_shown(account.email))


@router.post("/confirmation", response_model_exclude_none=True, responses=declare(LinkNotValidError))
async def confirm(
    body: LinkRequest, resources: ResourcesDep, client: ClientDep, browser: ConfirmingBrowserDep
) -> ConfirmationResponse:
    """Confirm the address that a mail went to."""
    await resources.limits.hit(*hits_from("link-address", client))
    token, settings = links.token_of(body.url), resources.settings
    confirmed = await resources.database.unit(
        lambda session: lifecycle.confirm(session, settings, token, client, browser=browser)
    )
    return ConfirmationResponse(choose_password=confirmed.choose_password)


@router.post("/send-confirmation-token")
async def resend_confirmation(
    body: AddressRequest, database: DatabaseDep, limits: LimitsDep, client: ClientDep
) -> ConfirmationSentResponse:
    """Mail a new confirmation link, if there is an account that waits for one."""
    await limits.hit(*hits_from("mail-address", client))
    await service.request_mail(database, MailRequest.CONFIRMATION, body.email, client)
    return ConfirmationSentResponse()


@router.post("/forgotpassword")
async def forgot_password(
    body: AddressRequest, database: DatabaseDep, limits: LimitsDep, client: ClientDep
) -> ResetSentResponse:
    """Mail a link that resets the password, if there is such an account."""
    await limits.hit(*hits_from("mail-address", client))
    await service.request_mail(database, MailRequest.PASSWORD_RESET, body.email, client)
    return ResetSentResponse()


@router.post("/forgot-token", responses=declare(LinkNotValidError))
async def check_reset_token(
    body: LinkRequest, limits: LimitsDep, session: SessionDep, client: ClientDep
) -> ResetTokenResponse:
    """Say whether a reset link still works, without using it up."""
    await limits.hit(*hits_from("link-address", client))
    await links.require(session, links.token_of(body.url), LinkPurpose.RESET_PASSWORD)
    return ResetTokenResponse()


@router.post("/resetpassword", responses=declare(LinkNotValidError, TooBusyError))
async def reset_password(body: ResetRequest, resources: ResourcesDep, client: ClientDep) -> ResetResponse:
    """Choose a new password with a reset link. Every session of the account ends."""
    await resources.limits.hit(*hits_from("link-address", client))
    await service.reset_password(
        resources.database,
        resources.policy,
        resources.passwords,
        token=links.token_of(body.url),
        password=body.password,
        client=client,
    )
    return ResetResponse()


@router.post("/undo", responses=declare(LinkNotValidError))
async def undo_change(body: LinkRequest, resources: ResourcesDep, client: ClientDep) -> UndoneResponse:
    """Undo what a mail told of, and all that was changed since. Sessions end; a mail asks for a new password."""
    await resources.limits.hit(*hits_from("link-address", client))
    token, settings = links.token_of(body.url), resources.settings
    await resources.database.unit(lambda session: undoing.undo(session, settings, token, client))
    return UndoneResponse()


@router.post(
    "/login",
    dependencies=[Depends(unstored)],
    responses={**SETS_COOKIE, **declare(SecondFactorNeededError, TooBusyError)},
)
async def login(
    body: LoginRequest, sign_in: SignInDep, resources: ResourcesDep, client: ClientDep, response: Response
) -> LoginResponse | LoginFailure:
    """Log in as the SPA does: failures are 200 with a text. Other clients use `POST /token`.

    Where the account has an authenticator app, its code stands behind the password: `seven rivers 123456`.
    """
    try:
        signed_in = await log_in(
            sign_in,
            resources.passwords,
            login=body.email,
            password=body.password,
            client=client,
            asks_again=False,
            stays=body.stay,
        )
    except WrongCredentialsError:
        return LoginFailure(msg="Wrong username or password")
    except NotConfirmedError:
        return LoginFailure(msg="NotConfirmed")
    keep(response, signed_in, sign_in.settings)
    return LoginResponse(access_token=signed_in.access_token)


@router.post("/feedback")
async def send_feedback(
    body: FeedbackRequest, resources: ResourcesDep, client: ClientDep
) -> FeedbackResponse:
    """Mail a message to the team; an answer goes to the address given."""
    await resources.limits.hit(*hits_from("feedback-address", client))
    await resources.limits.hit_site("feedback-everybody", client.networks[-1].name)
    contact = resources.settings.contact.address
    await resources.database.unit(
        lambda session: queue_mail(
            session, MailKind.FEEDBACK, contact, text=body.feedback, reply_to=body.email
        )
    )
    return FeedbackResponse()
