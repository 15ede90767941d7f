"""Routes of one's own trusted publishers; `POST /token` is where their jobs come."""

from typing import Annotated

from fastapi import APIRouter, Path, status

from app.accounts import trusted_publishers
from app.accounts.problems import AccountLimitError
from app.accounts.routes_api_tokens import LARGEST_ID
from app.accounts.schemas_trusted_publishers import (
    TrustedPublisherRemovedResponse,
    TrustedPublisherRequest,
    TrustedPublisherResponse,
    TrustedPublishersResponse,
)
from app.core.bodies import BoundedRoute
from app.core.errors import NotFoundError, PasswordNeededError, TooManyRequestsError, UnauthorizedError
from app.core.http import BODY_PROBLEMS, declare
from app.core.limits import Hit
from app.deps import ClientDep, FreshPrincipalDep, PrincipalDep, ResourcesDep, SessionDep, SettingsDep

router = APIRouter(tags=["accounts"], route_class=BoundedRoute)


@router.get("/trusted-publishers", responses=declare(UnauthorizedError))
async def list_trusted_publishers(
    principal: PrincipalDep, session: SessionDep, settings: SettingsDep
) -> TrustedPublishersResponse:
    """List the CI jobs that may publish in one's name, newest first."""
    return TrustedPublishersResponse(
        trusted_publishers=await trusted_publishers.list_publishers(session, principal.account.id),
        issuers=list(settings.trusted_issuers),
        audience=settings.site_url,
    )


@router.post(
    "/trusted-publishers",
    status_code=status.HTTP_201_CREATED,
    responses=declare(
        UnauthorizedError, PasswordNeededError, AccountLimitError, TooManyRequestsError, *BODY_PROBLEMS
    ),
)
async def add_trusted_publisher(
    body: TrustedPublisherRequest, principal: FreshPrincipalDep, resources: ResourcesDep, client: ClientDep
) -> TrustedPublisherResponse:
    """Let CI jobs publish in one's name: they exchange their own token for one of 15 minutes (`POST /token`)."""
    await resources.limits.hit(Hit("change-account", str(principal.account.id)))
    issuers = resources.settings.trusted_issuers
    return await resources.database.unit(
        lambda session: trusted_publishers.add(
            session, principal.account, body, issuers=issuers, client=client
        )
    )


@router.delete(
    "/trusted-publishers/{publisher_id}",
    responses=declare(UnauthorizedError, PasswordNeededError, NotFoundError),
)
async def remove_trusted_publisher(
    publisher_id: Annotated[int, Path(ge=1, le=LARGEST_ID)],
    principal: FreshPrincipalDep,
    resources: ResourcesDep,
    client: ClientDep,
) -> TrustedPublisherRemovedResponse:
    """Trust CI jobs no more; what they have got is revoked."""
    await resources.database.unit(
        lambda session: trusted_publishers.remove(session, principal.account.id, publisher_id, client)
    )
    return TrustedPublisherRemovedResponse()
