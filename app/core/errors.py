"""Every problem this service can answer with, on one screen.

    Problem
    |- 400  BadRequestError  MalformedBodyError
    |- 401  UnauthorizedError  WrongCredentialsError
    |- 403  NotConfirmedError
    |- 404  NotFoundError
    |- 413  BodyTooLargeError
    |- 415  FormatNotSupportedError
    |- 422  ValidationFailedError  DatasetRefusedError
    |- 500  InternalError
    |- 502  OpenMLRefusedError
    |- 503  TooBusyError  OpenMLUnreachableError
    `- 504  StillWorkingError

A problem travels as `application/problem+json` (RFC 9457). `slug` makes its `type`, below the space that
OpenML's own REST API uses; `msg` repeats the text for the SPA and other clients of the Flask backend; `errors`
lists fields (422); `code` is OpenML's number where the problem comes from there.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

PROBLEM_SPACE = "https://openml.org/problems/"


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """Something the caller can act on; subclasses fix the slug, the status and the title."""

    slug: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]

    def __init__(
        self,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,  # noqa: ANN401 - RFC 9457 extension members
    ) -> None:
        self.detail = detail or self.title
        self.headers = dict(headers or {})
        self.members = {name: value for name, value in members.items() if value is not None}
        super().__init__(self.detail)

    def document(self) -> dict[str, Any]:
        """Return the problem+json document."""
        return {
            "type": PROBLEM_SPACE + self.slug,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "msg": self.detail,
            **self.members,
        }


class BadRequestError(Problem):
    """The request cannot be understood."""

    slug, status, title = "bad-request", 400, "The request cannot be understood"


class MalformedBodyError(Problem):
    """The body is not what its type says."""

    slug, status, title = "malformed-body", 400, "The body is not what its type says"


class UnauthorizedError(Problem):
    """No valid access token came with the request."""

    slug, status, title = "unauthorized", 401, "Sign in first"

    def __init__(self, detail: str = "", *, error: str | None = None) -> None:
        challenge = 'Bearer realm="openml"' + (f', error="{error}"' if error else "")
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class WrongCredentialsError(Problem):
    """User name and password do not belong together."""

    slug, status, title = "wrong-credentials", 401, "Wrong username or password"


class NotConfirmedError(Problem):
    """The e-mail address of this account was not confirmed yet."""

    slug, status, title = "not-confirmed", 403, "The e-mail address is not confirmed yet"


class NotFoundError(Problem):
    """There is nothing here."""

    slug, status, title = "not-found", 404, "There is nothing here"


class BodyTooLargeError(Problem):
    """The body is larger than the limit."""

    slug, status, title = "body-too-large", 413, "The body is too large"


class FormatNotSupportedError(Problem):
    """Files of this kind cannot be turned into a dataset."""

    slug, status, title = "format-not-supported", 415, "format not supported"


class ValidationFailedError(Problem):
    """Fields are missing or have wrong values; `errors` names each."""

    slug, status, title = "validation-failed", 422, "Some fields need another value"

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        detail = "; ".join(f"{error['field']}: {error['message']}" for error in errors)
        super().__init__(detail, errors=list(errors))


class DatasetRefusedError(Problem):
    """The file is not fit to be published; `row` and `column` say where."""

    slug, status, title = "dataset-refused", 422, "The dataset cannot be published as it is"


class InternalError(Problem):
    """A fault of ours; the details are in the log, under the request id."""

    slug, status, title = "internal-error", 500, "Something went wrong on our side"


class OpenMLRefusedError(Problem):
    """OpenML did not accept the request; `code` is its error number."""

    slug, status, title = "openml-refused", 502, "OpenML did not accept this"


class TooBusyError(Problem):
    """More work arrived than can wait; come back after `Retry-After` seconds."""

    slug, status, title = "too-busy", 503, "Too busy at the moment; try again shortly"

    def __init__(self, *, retry_after_seconds: int = 2) -> None:
        super().__init__(headers={"Retry-After": str(retry_after_seconds)})


class OpenMLUnreachableError(Problem):
    """OpenML cannot be reached, or does not answer."""

    slug, status, title = "openml-unreachable", 503, "OpenML cannot be reached at the moment"


class StillWorkingError(Problem):
    """The upload is safe and goes on; only this request stopped waiting."""

    slug, status, title = "still-working", 504, "The upload is safe and still being published"


def catalogue() -> list[type[Problem]]:
    """Return every kind of problem, by status and slug."""
    return sorted(Problem.__subclasses__(), key=lambda kind: (kind.status, kind.slug))
