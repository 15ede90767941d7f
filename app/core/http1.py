"""How the service refuses what is not HTTP/1.1 as it reads it: with a problem, and a line in the log."""

from http import HTTPStatus

import structlog
from starlette.responses import Response

from app.core.errors import BadRequestError, HeadTooLargeError, MethodNotAllowedError, ProblemError
from app.core.framing import FramingError, StrictHttpProtocol
from app.core.http import problem_response

log = structlog.get_logger(__name__)

PROBLEMS: dict[HTTPStatus, type[ProblemError]] = {
    HTTPStatus.BAD_REQUEST: BadRequestError,
    HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowedError,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: HeadTooLargeError,
}


class HttpProtocol(StrictHttpProtocol):
    """One connection; uvicorn makes it (`http=` of its configuration, `--http app.core.http1:HttpProtocol`)."""

    def answer_to(self, error: FramingError) -> Response:
        """Return the problem, and log it."""
        problem = PROBLEMS[error.status](error.detail, limit_bytes=error.limit_bytes)
        log.info("connection refused", reason=problem.detail, client=self.client[0] if self.client else None)
        return problem_response(problem)
