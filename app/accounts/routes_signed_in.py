"""Routes of one's own account."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response, status
from fastapi.responses import PlainTextResponse, StreamingResponse

from app.accounts import reauthentication, sessions
from app.accounts import service_signed_in as service
from app.accounts.export import stream_export
from app.accounts.problems import WrongCredentialsError
from app.accounts.routes_parts import SETS_COOKIE, SignInDep, VerifierDep, forget, unstored
from app.accounts.schemas_signed_in import (
    ApiKeyChangedResponse,
    ApiKeyRegeneratedResponse,
    ApiKeyResponse,
    AuditPage,
    AuditResponse,
    DeletedResponse,
    DeleteRequest,
    ExportResponse,
    LogoutResponse,
    PasswordChangedResponse,
    PasswordRequest,
    ProfileChangedResponse,
    ProfileRequest,
    ProfileResponse,
    ReauthenticatedResponse,
    ReauthenticateRequest,
    SessionsResponse,
)
from app.core.addresses import as_shown
from app.core.bodies import BoundedRoute
from app.core.errors import (
    NotFoundError,
    PasswordNeededError,
    TooBusyError,
    TooManyRequestsError,
    UnauthorizedError,
    ValidationFailedError,
)
from app.core.http import BODY_PROBLEMS, declare
from app.core.limits import Hit
from app.core.scopes import Scope, opened_by
from app.deps import (
    FRESH,
    ClientDep,
    DatabaseDep,
    FreshPrincipalDep,
    LimitsDep,
    PrincipalDep,
    ResourcesDep,
    SessionDep,
    TokenDep,
    get_settings,
    is_fresh,
)

router = APIRouter(tags=["accounts"], responses=declare(UnauthorizedError), route_class=BoundedRoute)
PLACEHOLDER = "0000"
"""What the Flask and Next.js backends wrote into columns that they had nothing for."""
FLASK_PICTURES = "imgs/"


@router.get("/verifytoken", response_class=PlainTextResponse)
@opened_by(*Scope)
async def verify_token(_principal: PrincipalDep) -> PlainTextResponse:
    """Say whether the access token is good."""
    return PlainTextResponse("token-valid")


@router.get("/profile")
@opened_by(Scope.ACCOUNT)
async def get_profile(request: Request, principal: PrincipalDep) -> ProfileResponse:
    """Return who is signed in."""
    account = principal.account
    return ProfileResponse(
        username=as_shown(account.username),
        bio=account.bio,
        first_name=account.first_name,
        last_name=account.last_name,
        email=as_shown(account.email),
        image=_image_path(account.image, openml_url=get_settings(request).openml_url),
        id=account.id,
    )


@router.post("/profile", responses=declare(*BODY_PROBLEMS, TooManyRequestsError))
async def change_profile(
    body: ProfileRequest, principal: PrincipalDep, resources: ResourcesDep, client: ClientDep
) -> ProfileChangedResponse:
    """Change the profile. A new e-mail address takes effect when it is confirmed.

    In a session that was not confirmed within 15 minutes, the old address is asked first.
    """
    await resources.limits.hit(Hit("change-account", str(principal.account.id)))
    account, database = principal.account, resources.database
    changes = service.checked_changes(account, body)
    fresh = "email" not in changes or await is_fresh(database, principal)
    await database.unit(
        lambda session: service.change_profile(
            session, resources.settings, account, changes, client, is_fresh=fresh
        )
    )
    return ProfileChangedResponse()


@router.get("/api-key", responses=declare(PasswordNeededError))
async def get_api_key(principal: FreshPrincipalDep) -> ApiKeyResponse:
    """Return the API key, which OpenML's clients and REST API use."""
    return ApiKeyResponse(apikey=principal.account.api_key)


@router.post("/api-key", responses=declare(PasswordNeededError, TooManyRequestsError))
async def renew_api_key(
    principal: FreshPrincipalDep,
    database: DatabaseDep,
    limits: LimitsDep,
    client: ClientDep,
) -> ApiKeyChangedResponse:
    """Replace the API key. The body, if any, is ignored."""
    await limits.hit(Hit("change-account", str(principal.account.id)))
    api_key = await database.unit(lambda session: service.renew_api_key(session, principal.account, client))
    return ApiKeyChangedResponse(apikey=api_key)


@router.post("/api-key/regenerate", responses=declare(PasswordNeededError, TooManyRequestsError))
async def regenerate_api_key(
    principal: FreshPrincipalDep,
    database: DatabaseDep,
    limits: LimitsDep,
    client: ClientDep,
) -> ApiKeyRegeneratedResponse:
    """Replace the API key, as OpenML's Next.js site asks for it."""
    changed = await renew_api_key(principal, database, limits, client)
    return ApiKeyRegeneratedResponse(apikey=changed.apikey, api_key=changed.apikey, apiKey=changed.apikey)


@router.post("/logout", responses=SETS_COOKIE)
async def logout(
    token: TokenDep, resources: ResourcesDep, client: ClientDep, response: Response
) -> LogoutResponse:
    """End the access token, at once and everywhere, and the session that stays, if it is of one.

    A token that has expired is ended already; its session that stays is not.
    """
    forget(response)
    await sessions.log_out(resources.database, resources.denylist, token, client)
    return LogoutResponse()


@router.post(
    "/reauthenticate",
    responses=declare(*BODY_PROBLEMS, UnauthorizedError, WrongCredentialsError, TooManyRequestsError),
)
async def reauthenticate(
    body: ReauthenticateRequest, principal: PrincipalDep, verifier: VerifierDep, client: ClientDep
) -> ReauthenticatedResponse:
    """Show once more who one is: for a quarter of an hour this session may do what a stolen token alone may not."""
    at = await reauthentication.reauthenticate(verifier, principal.token, body, client)
    return ReauthenticatedResponse(fresh_until=at + FRESH)


@router.post(
    "/password",
    dependencies=[Depends(unstored)],
    responses=declare(*BODY_PROBLEMS, PasswordNeededError, TooManyRequestsError, TooBusyError),
)
async def change_password(
    body: PasswordRequest,
    principal: FreshPrincipalDep,
    sign_in: SignInDep,
    resources: ResourcesDep,
    client: ClientDep,
) -> PasswordChangedResponse:
    """Change one's password. All sessions end; the answer's token opens one in place of this."""
    await sign_in.limits.hit(Hit("change-account", str(principal.account.id)))
    session = await service.change_password(
        sign_in,
        resources.policy,
        resources.passwords,
        principal=principal,
        password=body.new_password,
        client=client,
    )
    return PasswordChangedResponse(
        access_token=session.access_token, expires_in=sign_in.tokens.lifetime_seconds
    )


@router.get("/sessions")
async def list_sessions(principal: PrincipalDep, session: SessionDep) -> SessionsResponse:
    """List one's logins that still work, newest first."""
    found = await service.list_sessions(session, principal.account, current=principal.token.jti)
    return SessionsResponse(sessions=found)


@router.delete("/sessions/{session_id}", responses=declare(NotFoundError))
async def end_one_session(
    session_id: str,
    principal: PrincipalDep,
    resources: ResourcesDep,
    client: ClientDep,
) -> LogoutResponse:
    """End one of one's logins."""
    await resources.database.unit(
        lambda session: service.end_one(session, resources.denylist, principal.account, session_id, client)
    )
    return LogoutResponse()


@router.delete("/sessions")
async def end_sessions(principal: PrincipalDep, database: DatabaseDep, client: ClientDep) -> LogoutResponse:
    """End all of one's logins, this one included."""
    await database.unit(lambda session: service.end_all(session, principal.account, client))
    return LogoutResponse()


@router.get("/audit", responses=declare(ValidationFailedError))
@opened_by(Scope.ACCOUNT)
async def list_events(
    principal: PrincipalDep, session: SessionDep, page: Annotated[AuditPage, Query()]
) -> AuditResponse:
    """List what happened to one's account, newest first, a page at a time; `kind` leaves out all else."""
    return await service.list_events(session, principal.account, page)


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={
        status.HTTP_200_OK: {"model": ExportResponse, "content": {"application/json": {}}},
        **declare(PasswordNeededError, TooManyRequestsError),
    },
)
async def export_data(
    principal: FreshPrincipalDep, database: DatabaseDep, limits: LimitsDep, client: ClientDep
) -> StreamingResponse:
    """Return everything that this service holds about oneself, but for secrets."""
    await limits.hit(Hit("export-account", str(principal.account.id)))
    head = await database.unit(
        lambda session: service.begin_export(
            session, principal.account, current=principal.token.jti, client=client
        )
    )
    story = stream_export(database, principal.account.id, head)
    return StreamingResponse(story, media_type="application/json")


@router.post(
    "/delete",
    responses=declare(
        *BODY_PROBLEMS, UnauthorizedError, WrongCredentialsError, PasswordNeededError, TooManyRequestsError
    ),
)
async def delete_account(
    body: DeleteRequest,
    principal: PrincipalDep,
    verifier: VerifierDep,
    resources: ResourcesDep,
    client: ClientDep,
) -> DeletedResponse:
    """Delete one's account for good. Datasets on OpenML stay, without a name."""
    await service.delete(
        verifier,
        resources.pictures,
        principal=principal,
        password=body.password,
        client=client,
    )
    return DeletedResponse()


def _image_path(stored: str, *, openml_url: str) -> str:
    """Return where the picture is, or nothing; never relative, which would break below /auth/.

    What PHP wrote without a host is on its server. What Flask wrote (`imgs/dev_data/…`) was a file of that process;
    it is not here, and initials look better than a broken picture.
    """
    if stored.startswith(("/", "https://", "http://")):
        return stored
    if stored in ("", PLACEHOLDER) or stored.startswith(FLASK_PICTURES):
        return ""
    return openml_url + stored
