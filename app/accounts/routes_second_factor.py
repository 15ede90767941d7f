"""Routes of second factors: an authenticator app, recovery codes, and the second step of a log-in."""

from fastapi import APIRouter, Depends, Response, status

from app.accounts import second_factor as service
from app.accounts import totp
from app.accounts.code_proof import checking
from app.accounts.problems import TicketNotValidError, WrongCredentialsError
from app.accounts.routes_parts import SETS_COOKIE, SignInDep, keep, unstored
from app.accounts.schemas_public import TokenResponse
from app.accounts.schemas_second_factor import (
    EnrolRequest,
    QrCodeResponse,
    RecoveryCodesResponse,
    SecondFactorChangedResponse,
    SecondFactorStatusResponse,
    SecondStepRequest,
    TotpOfferResponse,
)
from app.accounts.sign_in import finish_second
from app.core.addresses import as_shown
from app.core.bodies import BoundedRoute
from app.core.errors import (
    BadRequestError,
    NotFoundError,
    PasswordNeededError,
    TooBusyError,
    TooManyRequestsError,
    UnauthorizedError,
    ValidationFailedError,
)
from app.core.http import BODY_PROBLEMS, declare
from app.core.limits import Hit, hits_from
from app.deps import ClientDep, FreshPrincipalDep, PrincipalDep, ResourcesDep, SessionDep

ISSUER = "OpenML"
"""What apps show beside the account."""
FRESH_PROBLEMS = (UnauthorizedError, PasswordNeededError)

router = APIRouter(tags=["accounts"], route_class=BoundedRoute)


@router.get("/second-factor", responses=declare(UnauthorizedError))
async def get_second_factor(principal: PrincipalDep, session: SessionDep) -> SecondFactorStatusResponse:
    """Say what one's account asks for after the password."""
    return await service.get_status(session, principal.account.id)


@router.post(
    "/second-factor/totp/offer",
    dependencies=[Depends(unstored)],
    responses=declare(*FRESH_PROBLEMS, TooBusyError, TooManyRequestsError),
)
async def offer_totp(principal: FreshPrincipalDep, resources: ResourcesDep) -> TotpOfferResponse:
    """Offer a secret for an authenticator app. It counts once its first code comes, and is shown only now."""
    account = principal.account
    await resources.limits.hit(Hit("change-account", str(account.id)))
    offer = await resources.checks.run_for(
        account.id,
        totp.make_offer,
        resources.sealer,
        account.id,
        account=as_shown(account.email),
        issuer=ISSUER,
        now=resources.database.now(),
    )
    return TotpOfferResponse(
        secret=offer.text,
        uri=offer.uri,
        qr_code=QrCodeResponse(**offer.qr_code._asdict()),
        enrolment=offer.enrolment,
        expires_at=offer.expires_at,
    )


@router.post(
    "/second-factor/totp",
    dependencies=[Depends(unstored)],
    responses=declare(*BODY_PROBLEMS, *FRESH_PROBLEMS, TooManyRequestsError, ValidationFailedError),
)
async def enrol_totp(
    body: EnrolRequest, principal: FreshPrincipalDep, resources: ResourcesDep, client: ClientDep
) -> RecoveryCodesResponse:
    """Switch codes of an app on, or take another phone for the one before."""
    await resources.limits.hit(Hit("change-account", str(principal.account.id)))
    codes = await resources.database.unit(
        lambda session: service.enrol(
            session,
            resources.settings,
            resources.sealer,
            principal.account,
            enrolment=body.enrolment,
            code=body.code,
            client=client,
        )
    )
    return RecoveryCodesResponse(recovery_codes=list(codes))


@router.delete("/second-factor/totp", responses=declare(*FRESH_PROBLEMS, NotFoundError))
async def remove_totp(
    principal: FreshPrincipalDep, resources: ResourcesDep, client: ClientDep
) -> SecondFactorChangedResponse:
    """Switch codes of an app off."""
    await resources.database.unit(
        lambda session: service.remove(session, resources.settings, principal.account, client)
    )
    return SecondFactorChangedResponse()


@router.post(
    "/second-factor/recovery-codes",
    dependencies=[Depends(unstored)],
    responses=declare(*FRESH_PROBLEMS, BadRequestError, TooManyRequestsError),
)
async def renew_recovery_codes(
    principal: FreshPrincipalDep, resources: ResourcesDep, client: ClientDep
) -> RecoveryCodesResponse:
    """Make ten new recovery codes in place of the old ones. They are shown only now."""
    await resources.limits.hit(Hit("change-account", str(principal.account.id)))
    codes = await resources.database.unit(
        lambda session: service.renew_codes(session, resources.settings, principal.account, client)
    )
    return RecoveryCodesResponse(recovery_codes=list(codes))


@router.delete("/second-factor/reset", responses=declare(*FRESH_PROBLEMS, NotFoundError))
async def stop_reset(
    principal: FreshPrincipalDep, resources: ResourcesDep, client: ClientDep
) -> SecondFactorChangedResponse:
    """Keep one's second factors, which an operator or administrator was about to remove."""
    await resources.database.unit(lambda session: service.stop_reset(session, principal.account, client))
    return SecondFactorChangedResponse()


@router.post(
    "/sign-in/code",
    dependencies=[Depends(unstored)],
    status_code=status.HTTP_200_OK,
    response_model_exclude_none=True,
    responses={
        **SETS_COOKIE,
        **declare(*BODY_PROBLEMS, TicketNotValidError, TooManyRequestsError, WrongCredentialsError),
    },
)
async def sign_in_with_code(
    body: SecondStepRequest, sign_in: SignInDep, client: ClientDep, response: Response
) -> TokenResponse:
    """Take the second step of a log-in, which `POST /token` has asked for."""
    await sign_in.limits.hit(*hits_from("login-address", client), Hit("login-everybody"))
    check = checking(sign_in.sealer, body.typed, client)
    signed_in = await finish_second(sign_in, body.ticket, check, client)
    keep(response, signed_in, sign_in.settings)
    return TokenResponse(access_token=signed_in.access_token, expires_in=sign_in.tokens.lifetime_seconds)
