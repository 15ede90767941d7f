"""Problems as HTTP answers, and how routes declare them."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.core import metrics
from app.core.components import component, headers
from app.core.errors import (
    BadRequestError,
    BodyStalledError,
    BodyTooLargeError,
    DatabaseUnavailableError,
    InternalError,
    MalformedBodyError,
    MethodNotAllowedError,
    NotFoundError,
    NotReadyError,
    ProblemError,
    ValidationFailedError,
)

log = structlog.get_logger(__name__)

PROBLEM_JSON = "application/problem+json"
BY_STATUS: Mapping[int, type[ProblemError]] = {
    404: NotFoundError,
    408: BodyStalledError,
    405: MethodNotAllowedError,
    413: BodyTooLargeError,
}
"""What the framework itself may raise."""
LEAST_SPREAD, MOST_SPREAD = 2, 10
"""Seconds over which those come back whom an outage, or too much work, has sent away in one moment."""


def problem_response(problem: ProblemError) -> JSONResponse:
    """Return the problem+json answer."""
    metrics.HTTP_PROBLEMS.add(problem.slug)
    told = dict(problem.headers)
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE and "Retry-After" in told:
        told["Retry-After"] = str(spread(int(told["Retry-After"])))
    return JSONResponse(problem.document(), status_code=problem.status, headers=told, media_type=PROBLEM_JSON)


def spread(seconds: int, draw: Callable[[int], int] = secrets.randbelow) -> int:
    """Return when one of many who were refused at once is to come back: in `seconds`, or a little later than others.

    Args:
        seconds: what all have to wait at least.
        draw: returns a number from 0 below its argument.
    """
    return seconds + draw(1 + min(max(seconds // 2, LEAST_SPREAD), MOST_SPREAD))


BODY_PROBLEMS: Sequence[type[ProblemError]] = (
    MalformedBodyError,
    BodyStalledError,
    BodyTooLargeError,
    ValidationFailedError,
)
"""What any route with a JSON or form body may answer."""


def declare(*kinds: type[ProblemError]) -> dict[int | str, dict[str, Any]]:
    """Return what a route passes as `responses=`, for the API page: each problem, and the headers that it brings."""
    answers: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        answer = answers.setdefault(
            kind.status,
            {
                "description": "",
                "headers": {},
                "content": {PROBLEM_JSON: {"schema": component("schemas", "Problem"), "examples": {}}},
            },
        )
        answer["description"] = "; ".join(filter(None, [answer["description"], kind.title]))
        answer["content"][PROBLEM_JSON]["examples"][kind.slug] = component("examples", kind.slug)
        answer["headers"] |= headers(*kind.example().headers)
    return answers


def install_problem_handlers(app: FastAPI) -> None:
    """Make every failure of `app` a problem+json answer."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(ClientDisconnect, _on_broken_line)
    app.add_exception_handler(DatabaseUnavailableError, _on_database_fault)
    app.add_exception_handler(Exception, _on_fault)


async def _on_problem(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)  # noqa: S101 - narrows the type that the registration promises
    return problem_response(error)


async def _on_invalid_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    details = error.errors()
    if any(detail["type"] == "json_invalid" for detail in details):
        return problem_response(MalformedBodyError("The body is not valid JSON."))
    return problem_response(ValidationFailedError.from_pydantic(details))


async def _on_http_exception(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    return problem_response(problem_of(error))


def problem_of(error: HTTPException) -> ProblemError:
    """Return the problem for an exception of the framework."""
    problem = BY_STATUS.get(error.status_code, BadRequestError)()
    problem.headers.update(error.headers or {})
    return problem


async def _on_broken_line(_request: Request, _error: Exception) -> JSONResponse:
    """Return an answer for a client that has disconnected; nothing is logged, because it is no fault of the service."""
    return problem_response(MalformedBodyError("The body breaks off before its end."))


async def _on_database_fault(_request: Request, error: Exception) -> JSONResponse:
    """Answer that the database is away, or busy for longer than anybody waits; `db.faults` has logged it."""
    assert isinstance(error, DatabaseUnavailableError)  # noqa: S101 - as above
    return problem_response(NotReadyError.of_database(error))


async def _on_fault(_request: Request, error: Exception) -> JSONResponse:
    # The server logs the traceback; the caller learns nothing of our inside.
    log.error("fault", kind=type(error).__name__)
    return problem_response(InternalError())
