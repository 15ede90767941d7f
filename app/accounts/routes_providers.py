"""Routes of log-ins with a provider, and of the accounts that are linked to one."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response, status

from app.accounts import linking, provider_flow, ways_in
from app.accounts.problems import (
    LastWayInError,
    LinkedElsewhereError,
    LinkNotValidError,
    OAuthDisabledError,
    ProviderUnavailableError,
    SecondFactorNeededError,
    SignInRefusedError,
    WrongCredentialsError,
)
from app.accounts.provider_flow import AddressNeeded, Begun, ProviderAnswer, ProviderSignIn
from app.accounts.routes_parts import SignInDep, cookie_name, keep
from app.accounts.schemas_providers import (
    AddressNeededResponse,
    LinkedAccountResponse,
    LinkedAccountsResponse,
    ProviderAddressRequest,
    ProviderAddressResponse,
    ProviderAnswerRequest,
    ProviderResponse,
    ProviderSignedInResponse,
    ProvidersResponse,
    ProviderStartRequest,
    ProviderStartResponse,
    UnlinkedResponse,
)
from app.core.addresses import as_shown
from app.core.bodies import BoundedRoute
from app.core.components import headers
from app.core.errors import (
    BadRequestError,
    NotFoundError,
    PasswordNeededError,
    ReadOnlyModeError,
    TooManyRequestsError,
    UnauthorizedError,
)
from app.core.http import BODY_PROBLEMS, declare
from app.core.limits import Hit, hits_from
from app.core.providers import Provider
from app.core.settings import Settings
from app.db import linked_accounts
from app.db.linked_accounts import LinkedAccount
from app.deps import (
    ClientDep,
    DatabaseDep,
    FreshPrincipalDep,
    LimitsDep,
    PrincipalDep,
    ResourcesDep,
    SessionDep,
    SettingsDep,
)

router = APIRouter(
    tags=["accounts"], responses=declare(*BODY_PROBLEMS, TooManyRequestsError), route_class=BoundedRoute
)
NO_STORE = {"Cache-Control": "no-store"}
COOKIE = "openml-oauth"
"""What ties a log-in to the browser that began it."""
NO_PROOF = (
    "Missing required OAuth data: send the `code` and the `state` that the provider answered to a log-in begun with "
    "POST /auth/oauth/{provider}/start. Who somebody is there, and with which address, is asked of the provider"
)
_COOKIE: dict[int | str, dict[str, Any]] = {status.HTTP_200_OK: {"headers": headers("Set-Cookie")}}
_AT_PROVIDER = (OAuthDisabledError, ProviderUnavailableError)
ProviderId = Annotated[str, Path(max_length=32, examples=["github"])]


async def get_browser(request: Request, settings: SettingsDep) -> str:
    """Return the secret of the browser that sent the request; empty if it has none."""
    return request.cookies.get(cookie_name(COOKIE, settings), "")


async def get_provider(provider: ProviderId, settings: SettingsDep) -> Provider:
    """Return the provider that the path names.

    Raises:
        OAuthDisabledError: there is none.
    """
    return provider_flow.find_provider(settings.providers, provider)


async def get_answer(
    body: ProviderAnswerRequest,
    browser: Annotated[str, Depends(get_browser)],
    settings: SettingsDep,
    response: Response,
) -> ProviderAnswer:
    """Return what the browser was sent back with, and take its cookie away: it is good once.

    Raises:
        BadRequestError: the body proves nothing.
        SignInRefusedError: the browser has no cookie of ours.
    """
    if not body.code or not body.state:
        raise BadRequestError(NO_PROOF)
    if not browser:
        raise SignInRefusedError(provider_flow.BEGIN_AGAIN)
    response.headers.update(NO_STORE)
    name, is_secure = cookie_name(COOKIE, settings), _is_secure(settings)
    response.delete_cookie(name, path="/", secure=is_secure, httponly=True, samesite="lax")
    return ProviderAnswer(body.code, body.state, body.iss or "", browser, stays=body.stay)


async def get_flows(sign_in: SignInDep, resources: ResourcesDep) -> ProviderSignIn:
    """Return what log-ins with a provider need."""
    return ProviderSignIn(sign_in, resources.issuers, resources.notices)


ProviderDep = Annotated[Provider, Depends(get_provider)]
AnswerDep = Annotated[ProviderAnswer, Depends(get_answer)]
FlowsDep = Annotated[ProviderSignIn, Depends(get_flows)]


@router.get("/auth/oauth")
async def list_providers(settings: SettingsDep) -> ProvidersResponse:
    """List the providers that people may sign in with."""
    return ProvidersResponse(providers=_providers(settings))


@router.post(
    "/auth/oauth/{provider}/start", responses={**_COOKIE, **declare(*_AT_PROVIDER, LinkNotValidError)}
)
async def start_provider_sign_in(
    provider: ProviderDep,
    body: ProviderStartRequest,
    flows: FlowsDep,
    client: ClientDep,
    response: Response,
) -> ProviderStartResponse:
    """Begin a log-in with a provider: send the browser to the address, and keep the cookie."""
    begun = await provider_flow.begin(flows, provider, client, mail_token=body.token)
    return _sent_there(begun, response, flows.settings)


@router.post(
    "/auth/oauth/{provider}",
    responses={
        **_COOKIE,
        status.HTTP_201_CREATED: {"model": ProviderSignedInResponse, **_COOKIE[status.HTTP_200_OK]},
        status.HTTP_202_ACCEPTED: {"model": AddressNeededResponse, **_COOKIE[status.HTTP_200_OK]},
        **declare(
            *_AT_PROVIDER,
            BadRequestError,
            SignInRefusedError,
            SecondFactorNeededError,
            WrongCredentialsError,
            LinkedElsewhereError,
            ReadOnlyModeError,
        ),
    },
    response_model=ProviderSignedInResponse | AddressNeededResponse,
)
async def sign_in_with_provider(
    provider: ProviderDep, answer: AnswerDep, flows: FlowsDep, client: ClientDep, response: Response
) -> ProviderSignedInResponse | AddressNeededResponse:
    """Sign in by what the provider answered: 200, or 201 with a new account, or 202 if an address has to be confirmed.

    An identity that is only named here opens nothing.
    """
    opened = await provider_flow.sign_in(flows, provider, answer, client)
    if isinstance(opened, AddressNeeded):
        response.status_code = status.HTTP_202_ACCEPTED
        return _address_needed(opened)
    if opened.is_new:
        response.status_code = status.HTTP_201_CREATED
    access_token = opened.session.access_token
    token = flows.sign_in.tokens.verify(access_token)
    account = await provider_flow.get_signed_in(flows.database.reader, token)
    keep(response, opened.session, flows.settings)
    return ProviderSignedInResponse(
        access_token=access_token,
        id=account.id,
        username=as_shown(account.username),
        email=as_shown(account.email),
        image=account.image,
        apikey=account.api_key,
    )


@router.post("/auth/oauth-address", responses=declare(LinkNotValidError))
async def confirm_provider_address(
    body: ProviderAddressRequest, database: DatabaseDep, limits: LimitsDep, client: ClientDep
) -> ProviderAddressResponse:
    """Mail a link to the address of somebody of whom the provider has confirmed none."""
    await limits.hit(*hits_from("mail-address", client))
    await provider_flow.send_address_mail(database, body.ticket, body.email, client)
    return ProviderAddressResponse()


@router.get("/linked-accounts", responses=declare(UnauthorizedError))
async def list_linked_accounts(
    principal: PrincipalDep, session: SessionDep, settings: SettingsDep
) -> LinkedAccountsResponse:
    """List the accounts at providers that open one's own."""
    links = await linked_accounts.get_of_user(session, principal.account.id)
    return LinkedAccountsResponse(
        linked=[_linked(settings, each) for each in links],
        providers=_providers(settings),
        has_password=await ways_in.has_password(session, principal.account.id),
    )


@router.post(
    "/linked-accounts/{provider}/start",
    responses={**_COOKIE, **declare(*_AT_PROVIDER, UnauthorizedError, PasswordNeededError)},
)
async def start_linking(
    principal: FreshPrincipalDep,
    provider: ProviderDep,
    flows: FlowsDep,
    client: ClientDep,
    response: Response,
) -> ProviderStartResponse:
    """Begin to link an account at a provider to one's own."""
    begun = await provider_flow.begin(flows, provider, client, user_id=principal.account.id)
    return _sent_there(begun, response, flows.settings)


@router.post(
    "/linked-accounts/{provider}",
    responses={
        **_COOKIE,
        **declare(
            *_AT_PROVIDER,
            UnauthorizedError,
            PasswordNeededError,
            BadRequestError,
            SignInRefusedError,
            LinkedElsewhereError,
        ),
    },
)
async def link_account(
    principal: FreshPrincipalDep, provider: ProviderDep, answer: AnswerDep, flows: FlowsDep, client: ClientDep
) -> LinkedAccountResponse:
    """Link the account at the provider whose answer this is to one's own."""
    link = await provider_flow.link(flows, provider, answer, client, user_id=principal.account.id)
    return _linked(flows.settings, link)


@router.delete(
    "/linked-accounts/{link_id}",
    responses=declare(UnauthorizedError, PasswordNeededError, NotFoundError, LastWayInError),
)
async def unlink_account(
    link_id: Annotated[str, Path(max_length=64)],
    principal: FreshPrincipalDep,
    resources: ResourcesDep,
    client: ClientDep,
) -> UnlinkedResponse:
    """Take a linked account away; not the last way into one's own."""
    await resources.limits.hit(Hit("change-account", str(principal.account.id)))
    await resources.database.unit(
        lambda session: linking.unlink(
            session, resources.settings, user_id=principal.account.id, digest=link_id, client=client
        )
    )
    return UnlinkedResponse()


def _providers(settings: Settings) -> list[ProviderResponse]:
    return [ProviderResponse(id=each.id, name=each.name) for each in settings.providers]


def _linked(settings: Settings, link: LinkedAccount) -> LinkedAccountResponse:
    names = {each.id: each.name for each in settings.providers}
    return LinkedAccountResponse(
        id=link.identity_digest,
        provider=link.provider,
        name=names.get(link.provider, link.provider),
        label=link.label,
        created_at=link.created_at,
        last_used_at=link.last_used_at,
    )


def _address_needed(needed: AddressNeeded) -> AddressNeededResponse:
    if needed.ticket is None:
        return AddressNeededResponse(
            msg=f"We have sent a mail to {as_shown(needed.email)}. Open the link in it to go on.",
            next="mail",
            ticket=None,
            email=as_shown(needed.email),
        )
    return AddressNeededResponse(
        msg="Give your e-mail address: we mail you a link that confirms it.",
        next="address",
        ticket=needed.ticket,
        email=as_shown(needed.email),
    )


def _sent_there(begun: Begun, response: Response, settings: Settings) -> ProviderStartResponse:
    response.headers.update(NO_STORE)
    response.set_cookie(
        cookie_name(COOKIE, settings),
        begun.browser,
        max_age=int(provider_flow.FLOW_LIFETIME.total_seconds()),
        path="/",
        secure=_is_secure(settings),
        httponly=True,
        samesite="lax",
    )
    return ProviderStartResponse(address=begun.address)


def _is_secure(settings: Settings) -> bool:
    return settings.site_url.startswith("https://")
