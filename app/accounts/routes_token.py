"""What speaks OAuth 2.0: `POST /token` (RFC 6749, 5.1 and 5.2) and `POST /tokens/revoke` (RFC 7009)."""

import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.accounts import api_tokens, token_exchange
from app.accounts.problems import (
    NotConfirmedError,
    OAuthRefusedError,
    RefreshTokenNotValidError,
    SecondFactorNeededError,
    WrongCredentialsError,
)
from app.accounts.routes_parts import SETS_COOKIE, RenewalDep, keep, refuse_forms_of_other_sites
from app.accounts.schemas_api_tokens import RevocationRequest
from app.accounts.schemas_public import TokenFailure, TokenRequest, TokenResponse
from app.accounts.sessions import log_in
from app.accounts.sign_in import NewSession, SignIn
from app.core.api_tokens import claims_to_be_one
from app.core.bodies import BoundedRoute, repeated_fields
from app.core.clients import Client
from app.core.components import headers
from app.core.errors import (
    DatabaseUnavailableError,
    InternalError,
    NotReadyError,
    ProblemError,
    ValidationFailedError,
)
from app.core.http import problem_of
from app.core.limits import hits_from
from app.deps import ClientDep, ResourcesDep
from app.resources import Resources

UNSTORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}
BAD_REQUEST = 400
SERVER_ERROR = 500
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_QUOTES = str.maketrans({'"': "'", "\\": "/"})
"""RFC 6749 leaves both out of `error_description`."""


class OAuthBoundedRoute(BoundedRoute):
    """A route whose failures are errors of OAuth 2.0. They keep the members of a problem, for whoever reads those."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what serves a request."""
        handle = super().get_route_handler()

        async def handle_as_oauth(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                problem: ProblemError = ValidationFailedError.from_pydantic(error.errors())
                wrong = {str(detail["loc"][-1]) for detail in error.errors()}
                kind = "unsupported_grant_type" if "grant_type" in wrong else "invalid_request"
            except ProblemError as error:
                problem, kind = error, _kind_of(error)
            except HTTPException as error:
                problem = problem_of(error)
                kind = _kind_of(problem)
            except DatabaseUnavailableError as error:
                problem = NotReadyError.of_database(error)
                kind = _kind_of(problem)
            return _answer(problem, kind)

        return handle_as_oauth


def _kind_of(problem: ProblemError) -> str:
    """Return the code. 5.2 has no word for `temporarily_unavailable`, which is that of 4.1.2.1, and `mfa_required`."""
    if isinstance(problem, OAuthRefusedError):
        return str(problem.members["error"])
    if isinstance(problem, WrongCredentialsError | NotConfirmedError | RefreshTokenNotValidError):
        return "invalid_grant"
    if isinstance(problem, SecondFactorNeededError):
        return "mfa_required"
    if isinstance(problem, InternalError):
        return "server_error"
    later = problem.status >= SERVER_ERROR or "Retry-After" in problem.headers
    return "temporarily_unavailable" if later else "invalid_request"


def _answer(problem: ProblemError, kind: str) -> JSONResponse:
    """Answer 400, as RFC 6749 says, but where another status tells more: too large, too slow, too many, later."""
    is_of_oauth = kind in {"invalid_grant", "unsupported_grant_type"} or isinstance(
        problem, ValidationFailedError
    )
    status = BAD_REQUEST if is_of_oauth else problem.status
    text = _UNPRINTABLE.sub("?", problem.detail.translate(_QUOTES))
    content: Mapping[str, Any] = {
        "error": kind,
        "error_description": text,
        **problem.document(),
        "status": status,
    }
    return JSONResponse(content, status_code=status, headers={**problem.headers, **UNSTORED})


async def refuse_repeated(request: Request) -> None:
    """See to it that no parameter came twice (RFC 6749, 3.2): one of them would be ignored.

    Raises:
        ValidationFailedError: one did.
    """
    repeated = await repeated_fields(request, TokenRequest.model_fields)
    if repeated:
        raise ValidationFailedError.for_fields(
            [{"field": name, "message": "send it once"} for name in repeated]
        )


def _failure(description: str, *brings: str) -> dict[str, Any]:
    return {"model": TokenFailure, "description": description, "headers": headers(*brings)}


FAILURES: Mapping[int | str, dict[str, Any]] = {
    413: _failure("`invalid_request`: the body is too large"),
    429: _failure(
        "`temporarily_unavailable`: too many attempts; come back after `Retry-After` seconds", "Retry-After"
    ),
    503: _failure("`temporarily_unavailable`: come back after `Retry-After` seconds", "Retry-After"),
    "4XX": _failure("`invalid_request`"),
}
router = APIRouter(tags=["accounts"], route_class=OAuthBoundedRoute)


@router.post(
    "/token",
    dependencies=[Depends(refuse_repeated)],
    response_model_exclude_none=True,
    responses={
        **SETS_COOKIE,
        400: _failure("`invalid_grant`, `invalid_request`, `unsupported_grant_type`"),
        403: _failure("`mfa_required`: a second factor is due"),
        **FAILURES,
    },
)
async def create_token(
    form: Annotated[TokenRequest, Form()],
    *,
    request: Request,
    renewal: RenewalDep,
    resources: ResourcesDep,
    client: ClientDep,
    response: Response,
) -> TokenResponse:
    """Log in with an OAuth2 password grant (RFC 6749, 4.3); this is what *Authorize* on this page does.

    Or exchange the token that a CI service signed for a job (RFC 8693): a user who trusts the job lets it upload for 15
    minutes (`/trusted-publishers`).
    """
    response.headers.update(UNSTORED)
    sign_in = renewal.sign_in
    if form.grant_type == "refresh_token":
        await resources.limits.hit(*hits_from("refresh-address", client))
        return _answer_with(sign_in, await renewal.renew(_given(form, "refresh_token"), client))
    if form.grant_type != "password":
        return await _exchange(form, resources, client)
    if form.stay:
        await refuse_forms_of_other_sites(request)
    wants_token = form.scope == "offline_access"
    session = await log_in(
        sign_in,
        resources.passwords,
        login=_given(form, "username"),
        password=_given(form, "password"),
        code=form.otp or None,
        client=client,
        stays=form.stay or wants_token,
    )
    if wants_token:
        return _answer_with(sign_in, session)
    keep(response, session, sign_in.settings)
    return _answer_with(sign_in, session._replace(refresh_token=None))


def _answer_with(sign_in: SignIn, session: NewSession) -> TokenResponse:
    return TokenResponse(
        access_token=session.access_token,
        expires_in=sign_in.tokens.lifetime_seconds,
        refresh_token=session.refresh_token,
    )


async def _exchange(form: TokenRequest, resources: Resources, client: Client) -> TokenResponse:
    subject_token = _given(form, "subject_token")
    _given(form, "subject_token_type")
    await resources.limits.hit(*hits_from("exchange-address", client))
    api_token = await token_exchange.exchange(
        resources.database,
        resources.issuers,
        resources.settings,
        subject_token=subject_token,
        user_id=form.user,
        client=client,
    )
    return TokenResponse(
        access_token=api_token,
        expires_in=int(token_exchange.LIFETIME.total_seconds()),
        issued_token_type="urn:ietf:params:oauth:token-type:access_token",  # noqa: S106 - a type's name
        scope="upload",
    )


def _given(form: TokenRequest, field: str) -> str:
    """Return a field that the grant needs.

    Raises:
        ValidationFailedError: it is missing.
    """
    value: str | None = getattr(form, field)
    if value is None:
        raise ValidationFailedError.for_fields([{"field": field, "message": "Field required"}])
    return value


@router.post(
    "/tokens/revoke",
    response_class=Response,
    responses={
        200: {"description": "It opens nothing, or nothing any more."},
        400: _failure("`invalid_request`, `unsupported_token_type`"),
        **FAILURES,
    },
)
async def revoke_leaked_api_token(
    form: Annotated[RevocationRequest, Form()], resources: ResourcesDep, client: ClientDep
) -> Response:
    """End an API token that one has found (RFC 7009): at once, without a login; its owner is told where that was."""
    await resources.limits.hit(*hits_from("revoke-address", client))
    if not claims_to_be_one(form.token):
        raise OAuthRefusedError(
            "This ends API tokens, which begin with openml_. A session ends with POST /logout, an API key of OpenML "
            "with POST /api-key.",
            error="unsupported_token_type",
        )
    await resources.database.unit(lambda session: api_tokens.revoke_leaked(session, form.token, client))
    return Response(headers=UNSTORED)
