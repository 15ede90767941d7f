"""What a problem is, and the problems that no package has for itself.

    ProblemError
    |- here: what any request may be answered, wherever it leads
    |- accounts/problems.py   signing up, signing in, what keeps an account
    |- uploads/problems.py    uploads, and the protocols that they come with
    |- datasets/problems.py   tags                     studies/problems.py   collections
    |- published/problems.py  files of published datasets
    |- openml/problems.py     what OpenML answers, or does not
    |- imaging/problems.py    pictures
    `- storage/problems.py    the store for bytes

docs/api.md lists each, by its status. A problem travels as `application/problem+json` (RFC 9457). `slug` makes its
`type`, below the space that OpenML's own REST API uses; `msg` repeats the text for the SPA and other clients of the
Flask backend; `errors` lists fields (422); `code` is OpenML's number where the problem comes from there.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, Self

ERRORS_SHOWN = 20
"""Wrong fields that one problem names; whoever has more will have them after the next try."""
PROBLEM_SPACE = "https://openml.org/problems/"
IANA_SPACE = "https://iana.org/assignments/http-problem-types#"
"""Where the kinds of problems are named that a standard defines."""
PACKAGES = ("accounts", "datasets", "imaging", "openml", "published", "storage", "studies", "uploads")
"""What has problems of its own, in its `problems.py`."""
DATABASE_AWAY = "The database does not answer"


class ProblemError(Exception):
    """Something the caller can act on; subclasses fix the slug, the status and the title."""

    slug: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]
    space: ClassVar[str] = PROBLEM_SPACE
    passes_after_seconds: ClassVar[int | None] = None
    """What `Retry-After` says, where nothing better is known; None where the same again would not do."""

    def __init__(
        self,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        retry_after_seconds: int | None = None,
        **members: Any,  # noqa: ANN401 - RFC 9457 extension members
    ) -> None:
        self.detail = detail or self.title
        self.headers = dict(headers or {})
        if (wait := retry_after_seconds or self.passes_after_seconds) is not None:
            self.headers["Retry-After"] = str(wait)
        self.members = {name: value for name, value in members.items() if value is not None}
        super().__init__(self.detail)

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls()

    def record(self) -> dict[str, Any]:
        """Return what a row keeps of the problem, for `problem_from_record`."""
        return {"slug": self.slug, "detail": self.detail, "members": self.members}

    @classmethod
    def type_uri(cls) -> str:
        """Return the address that names this kind of problem."""
        return cls.space + cls.slug

    def document(self) -> dict[str, Any]:
        """Return the problem+json document."""
        return {
            "type": self.type_uri(),
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "msg": self.detail,
            **self.members,
        }


class BadRequestError(ProblemError):
    """The request cannot be understood."""

    slug, status, title = "bad-request", 400, "The request cannot be understood"


class MalformedBodyError(ProblemError):
    """The body is not what its type says."""

    slug, status, title = "malformed-body", 400, "The body is not what its type says"

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls("The body is not valid JSON.")


class UnauthorizedError(ProblemError):
    """No valid access token came with the request."""

    slug, status, title = "unauthorized", 401, "Sign in first"

    def __init__(self, detail: str = "", *, error: str | None = None, **members: Any) -> None:  # noqa: ANN401 - as above
        challenge = 'Bearer realm="openml"' + (f', error="{error}"' if error else "")
        super().__init__(detail, headers={"WWW-Authenticate": challenge}, **members)


class AdministratorsOnlyError(ProblemError):
    """Only administrators may do this, or not even they may do it to this account."""

    slug, status, title = "administrators-only", 403, "Only administrators may do this"


class PasswordNeededError(ProblemError):
    """The password was given too long ago for this."""

    slug, status, title = (
        "password-needed",
        403,
        "Give your password once more (POST /reauthenticate), and try again",
    )

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls(methods=["password"])


class SecondFactorMissingError(ProblemError):
    """The session began, and was confirmed, without a second factor, which is asked of administrators here."""

    slug, status, title = (
        "second-factor-missing",
        403,
        "Administrators of this site sign in with a second factor: set one up at /auth/security, and sign in with it",
    )


class InsufficientScopeError(ProblemError):
    """The API token is not for this; `WWW-Authenticate` says which scopes are (RFC 6750)."""

    slug, status, title = "insufficient-scope", 403, "This API token is not for this"

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls.for_scopes(["upload"])

    @classmethod
    def for_scopes(cls, wanted: Sequence[str]) -> Self:
        """Return the problem where a token with any of these scopes would do; of none, only a session does."""
        challenge = 'Bearer realm="openml", error="insufficient_scope"'
        if not wanted:
            detail = "No API token opens this. Sign in (POST /token), and send that access token."
            return cls(detail, headers={"WWW-Authenticate": challenge})
        detail = f"This needs an API token with the scope {' or '.join(wanted)}. Make another one, and revoke this."
        return cls(detail, headers={"WWW-Authenticate": f'{challenge}, scope="{" ".join(wanted)}"'})


class NotFoundError(ProblemError):
    """There is nothing here."""

    slug, status, title = "not-found", 404, "There is nothing here"

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls("You have no such upload.")


class MethodNotAllowedError(ProblemError):
    """The path exists, but not for this method."""

    slug, status, title = "method-not-allowed", 405, "This path does not take this method"


class BodyStalledError(ProblemError):
    """The body stopped coming."""

    slug, status, title = "body-stalled", 408, "The body stopped coming; send it again"


class BodyTooLargeError(ProblemError):
    """The body is larger than the limit."""

    slug, status, title = "body-too-large", 413, "The body is too large"

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls("The file is larger than 1000000000 bytes.", limit_bytes=1_000_000_000)

    @classmethod
    def of_file(cls, limit_bytes: int) -> Self:
        """Return the problem of a file that goes on beyond its limit. The connection ends: nobody reads on."""
        return cls(
            f"The file is larger than {limit_bytes} bytes.",
            limit_bytes=limit_bytes,
            headers={"Connection": "close"},
        )


class ValidationFailedError(ProblemError):
    """Fields are missing or have wrong values; `errors` names each."""

    slug, status, title = "validation-failed", 422, "Some fields need another value"

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls.for_fields([{"field": "email", "message": "This is not an e-mail address."}])

    @classmethod
    def for_fields(cls, errors: Sequence[Mapping[str, Any]], *, code: int | None = None) -> Self:
        """Return the problem that names each field, as `{"field": …, "message": …}` and perhaps more.

        `code` is OpenML's number, where the refusal comes from there.
        """
        detail = "; ".join(f"{error['field']}: {error['message']}" for error in errors)
        return cls(detail, errors=list(errors), code=code)

    @classmethod
    def from_pydantic(cls, details: Sequence[Mapping[str, Any]]) -> Self:
        """Return the problem for what pydantic found.

        Fields are named as the caller wrote them; values are never repeated, for one may be a password.
        """
        return cls.for_fields([_field_error(detail) for detail in details[:ERRORS_SHOWN]])


class TooManyRequestsError(ProblemError):
    """A rate limit is reached; come back after `Retry-After` seconds."""

    slug, status, title = "too-many-requests", 429, "Too many attempts; try again later"
    passes_after_seconds = 60

    @classmethod
    def of_attempts(cls, *, retry_after_seconds: int) -> Self:
        """Return the problem of somebody who tries too often."""
        detail = f"Too many attempts; try again in {retry_after_seconds} seconds"
        return cls(detail, retry_after_seconds=retry_after_seconds)


class HeadTooLargeError(ProblemError):
    """The headers of a request, or what stands beside its body, are larger than anybody needs."""

    slug, status, title = "head-too-large", 431, "The headers of the request are too large"

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls("The headers of the request are larger than 65536 bytes.", limit_bytes=65_536)


class InternalError(ProblemError):
    """A fault of ours; the details are in the log, under the request id."""

    slug, status, title = "internal-error", 500, "Something went wrong on our side"


class TooBusyError(ProblemError):
    """More work arrived than can wait; come back after `Retry-After` seconds."""

    slug, status, title = "too-busy", 503, "Too busy at the moment; try again shortly"
    passes_after_seconds = 2


class NotReadyError(ProblemError):
    """This process cannot work at the moment, or what it accepts would not be worked off."""

    slug, status, title = "not-ready", 503, "The service is not ready"
    passes_after_seconds = 5

    @classmethod
    def of_database(cls, error: "DatabaseUnavailableError") -> Self:
        """Return the problem of a request that met a database that cannot be used."""
        return cls(DATABASE_AWAY, retry_after_seconds=error.retry_after_seconds)


class ReadOnlyModeError(ProblemError):
    """The site takes nothing that changes something, while it is maintained; the detail is what is announced."""

    slug, status, title = (
        "read-only-mode",
        503,
        "The site is being maintained, and takes no changes at the moment",
    )
    passes_after_seconds = 60


class OperatorError(Exception):
    """The service, or a command, cannot do what it was started for; the text says what to set or to run."""


class DatabaseUnavailableError(Exception):
    """The database is away, in trouble or full. No problem of the caller's: whoever works on a row leaves it as it is.

    Attributes:
        reason: what is known, for operators.
    """

    retry_after_seconds = 5

    def __init__(self, reason: str) -> None:
        super().__init__(f"the database cannot be used: {reason}")
        self.reason = reason


class DatabaseConflictError(DatabaseUnavailableError):
    """The transaction was rolled back by a deadlock, or with its connection: the same again will do."""

    retry_after_seconds = 1


def _field_error(detail: Mapping[str, Any]) -> dict[str, str]:
    location = [str(part) for part in detail["loc"] if part not in ("body", "query", "path", "header")]
    message = str(detail["msg"]).removeprefix("Value error, ")
    return {"field": ".".join(location) or "body", "message": message}


def problem_from_record(record: Mapping[str, Any], **members: Any) -> ProblemError:  # noqa: ANN401 - extension members
    """Return the problem that `ProblemError.record` wrote down, with more members."""
    kind = next((kind for kind in catalogue() if kind.slug == record["slug"]), InternalError)
    return kind(record["detail"], **record["members"], **members)


@cache
def catalogue() -> Sequence[type[ProblemError]]:
    """Return every kind of problem, by status and slug, whether or not its package was imported before."""
    for package in PACKAGES:
        import_module(f"app.{package}.problems")
    return sorted(ProblemError.__subclasses__(), key=lambda kind: (kind.status, kind.slug))
