"""Every problem this service can answer with, on one screen.

    ProblemError
    |- 400  BadRequestError  MalformedBodyError  LinkNotValidError  TicketNotValidError  OAuthRefusedError
    |- 400  SignInRefusedError
    |- 400  DigestMismatchError  InconsistentLengthError  UploadCompletedError
    |- 401  UnauthorizedError  WrongCredentialsError  RefreshTokenNotValidError
    |- 403  NotConfirmedError  NotYoursError  ReadOnlyAccountError  JoinedUploadError
    |- 403  AdministratorsOnlyError  PasswordNeededError  SecondFactorNeededError
    |- 403  SecondFactorMissingError  InsufficientScopeError
    |- 404  NotFoundError
    |- 405  MethodNotAllowedError
    |- 408  BodyStalledError
    |- 409  ApiKeyMissingError  ApiKeyRefusedError  DatasetNotActiveError  DatasetInUseError
    |- 409  DatasetNotReadableError
    |- 409  AliasTakenError  TagTakenError  AccountLimitError
    |- 409  LastWayInError  LinkedElsewhereError
    |- 409  OffsetMismatchError  UploadStateError
    |- 410  UploadGoneError
    |- 412  TusVersionError
    |- 413  BodyTooLargeError  QuotaExceededError  DatasetTooLargeError
    |- 415  FormatNotSupportedError  MediaTypeNotSupportedError
    |- 422  ValidationFailedError  DatasetRefusedError  PictureRefusedError  IdempotencyKeyReusedError
    |- 422  OpenMLAnswerTooLargeError
    |- 429  TooManyRequestsError
    |- 431  HeadTooLargeError
    |- 460  ChecksumMismatchError
    |- 500  InternalError  BytesLostError
    |- 501  OAuthDisabledError  PasskeysDisabledError
    |- 502  OpenMLRefusedError  OpenMLAnswerBrokenError  ProcessingFailedError
    |- 503  TooBusyError  OpenMLUnreachableError  NotReadyError  StorageUnavailableError
    |- 503  ReadOnlyModeError  ProviderUnavailableError
    |- 504  StillWorkingError
    `- 507  StorageFullError

A problem travels as `application/problem+json` (RFC 9457). `slug` makes its `type`, below the space that
OpenML's own REST API uses; `msg` repeats the text for the SPA and other clients of the Flask backend; `errors`
lists fields (422); `code` is OpenML's number where the problem comes from there.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

ERRORS_SHOWN = 20
"""Wrong fields that one problem names; whoever has more will have them after the next try."""
PROBLEM_SPACE = "https://openml.org/problems/"
IANA_SPACE = "https://iana.org/assignments/http-problem-types#"
"""Where the kinds of problems are named that a standard defines."""


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


class StorageError(Exception):
    """What keeps bytes, a folder or a bucket, did not do what it was asked; what all of `app/storage` raises.

    StorageUnavailableError, StorageFullError and BytesLostError are problems as well; a disk that fails is none.
    """


class BadRequestError(ProblemError):
    """The request cannot be understood."""

    slug, status, title = "bad-request", 400, "The request cannot be understood"


class MalformedBodyError(ProblemError):
    """The body is not what its type says."""

    slug, status, title = "malformed-body", 400, "The body is not what its type says"


class LinkNotValidError(ProblemError):
    """The token of a mail link is unknown, used, or too old."""

    slug, status, title = "link-not-valid", 400, "This link does not work (any more); ask for a new one"


class TicketNotValidError(ProblemError):
    """The log-in that a second factor belongs to is unknown, done, or began too long ago."""

    slug, status, title = "ticket-not-valid", 400, "This took too long, or was done already; sign in again"


class OAuthRefusedError(ProblemError):
    """A request to an OAuth endpoint is not granted; the member `error` is OAuth's word for the reason."""

    slug, status, title = "oauth-refused", 400, "This is not granted"

    def __init__(self, detail: str = "", *, error: str = "invalid_request", **members: Any) -> None:  # noqa: ANN401 - as above
        super().__init__(detail, error=error, **members)


class SignInRefusedError(ProblemError):
    """What a provider answered opens nothing: it is of another log-in, or not to be believed."""

    slug, status, title = "sign-in-refused", 400, "This does not sign you in; begin again"


class DigestMismatchError(ProblemError):
    """The bytes are not those that `Content-Digest` announced; none of them is kept."""

    slug, status, title = "digest-mismatch", 400, "The bytes are not those that the digest announced"


class InconsistentLengthError(ProblemError):
    """The upload's length is not the one announced before."""

    slug, status, title = (
        "inconsistent-upload-length",
        400,
        "The upload has another length than was announced",
    )
    space = IANA_SPACE


class UploadCompletedError(ProblemError):
    """The upload has all its bytes."""

    slug, status, title = "completed-upload", 400, "The upload has all its bytes already"
    space = IANA_SPACE


class UnauthorizedError(ProblemError):
    """No valid access token came with the request."""

    slug, status, title = "unauthorized", 401, "Sign in first"

    def __init__(self, detail: str = "", *, error: str | None = None, **members: Any) -> None:  # noqa: ANN401 - as above
        challenge = 'Bearer realm="openml"' + (f', error="{error}"' if error else "")
        super().__init__(detail, headers={"WWW-Authenticate": challenge}, **members)


class WrongCredentialsError(ProblemError):
    """User name and password do not belong together."""

    slug, status, title = "wrong-credentials", 401, "Wrong username or password"


class RefreshTokenNotValidError(ProblemError):
    """The refresh token is unknown, too old, or was used before; in the last case the session has ended."""

    slug, status, title = "refresh-token-not-valid", 401, "This session does not go on; sign in again"


class NotConfirmedError(ProblemError):
    """The e-mail address of this account was not confirmed yet."""

    slug, status, title = "not-confirmed", 403, "The e-mail address is not confirmed yet"


class NotYoursError(ProblemError):
    """OpenML lets only the owner change this."""

    slug, status, title = "not-yours", 403, "OpenML lets only the owner change this"


class JoinedUploadError(ProblemError):
    """The upload was joined from others, and takes no bytes of its own."""

    slug, status, title = (
        "joined-upload",
        403,
        "An upload that is joined from others takes no bytes of its own",
    )


class ReadOnlyAccountError(ProblemError):
    """The account may read on OpenML, and nothing else."""

    slug, status, title = "read-only-account", 403, "This account may only read on OpenML"


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


class SecondFactorMissingError(ProblemError):
    """The session began, and was confirmed, without a second factor, which is asked of administrators here."""

    slug, status, title = (
        "second-factor-missing",
        403,
        "Administrators of this site sign in with a second factor: set one up at /auth/security, and sign in with it",
    )


class SecondFactorNeededError(ProblemError):
    """The account asks for a second factor; `ticket` is what to send with it, and `methods` which there are."""

    slug, status, title = (
        "second-factor-needed",
        403,
        "This account asks for a second factor: send it with the ticket",
    )


class InsufficientScopeError(ProblemError):
    """The API token is not for this; `WWW-Authenticate` says which scopes are (RFC 6750)."""

    slug, status, title = "insufficient-scope", 403, "This API token is not for this"

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


class MethodNotAllowedError(ProblemError):
    """The path exists, but not for this method."""

    slug, status, title = "method-not-allowed", 405, "This path does not take this method"


class BodyStalledError(ProblemError):
    """The body stopped coming."""

    slug, status, title = "body-stalled", 408, "The body stopped coming; send it again"


class ApiKeyMissingError(ProblemError):
    """The account has no usable key on OpenML."""

    slug, status, title = "api-key-missing", 409, "This account has no API key; make one with POST /api-key"


class ApiKeyRefusedError(ProblemError):
    """OpenML does not take the account's key."""

    slug, status, title = (
        "api-key-refused",
        409,
        "OpenML does not take this account's API key; make a new one with POST /api-key",
    )


class DatasetNotActiveError(ProblemError):
    """OpenML has not processed the dataset yet, or it was deactivated."""

    slug, status, title = "dataset-not-active", 409, "The dataset is not active on OpenML"


class DatasetNotReadableError(ProblemError):
    """The file of a dataset is none that can be looked at; asking again changes nothing."""

    slug, status, title = "dataset-not-readable", 409, "The dataset's file cannot be read"


class DatasetInUseError(ProblemError):
    """The dataset has tasks, which rely on its columns' roles."""

    slug, status, title = "dataset-in-use", 409, "The dataset has tasks"


class AliasTakenError(ProblemError):
    """Another collection has this alias."""

    slug, status, title = "alias-taken", 409, "Another collection has this alias"


class TagTakenError(ProblemError):
    """The dataset has this tag, written in another case."""

    slug, status, title = "tag-taken", 409, "The dataset has this tag, written in another case"


class AccountLimitError(ProblemError):
    """The account has as many of these as it may."""

    slug, status, title = "account-limit", 409, "Your account has as many of these as it may"


class LastWayInError(ProblemError):
    """Nothing else would open the account."""

    slug, status, title = (
        "last-way-in",
        409,
        "Nothing else opens your account: add another way in, or choose a password, before you remove this",
    )


class LinkedElsewhereError(ProblemError):
    """The account at the provider opens another account here."""

    slug, status, title = "linked-elsewhere", 409, "It opens another OpenML account; take it away there first"


class OffsetMismatchError(ProblemError):
    """The bytes do not begin where those that we have end; `HEAD` says where to go on."""

    slug, status, title = "mismatching-upload-offset", 409, "The bytes do not begin where the upload stands"
    space = IANA_SPACE

    @classmethod
    def between(cls, *, expected: int, provided: int) -> Self:
        """Return the problem of bytes that begin at `provided`, where `expected` would go on."""
        return cls(
            f"The upload has {expected} bytes; go on from there, not from {provided}.",
            headers={"Upload-Offset": str(expected)},
            **{"expected-offset": expected, "provided-offset": provided},
        )


class UploadStateError(ProblemError):
    """The upload does not stand where this can be done; with `retry_after_seconds` it soon will, by itself."""

    slug, status, title = "upload-state", 409, "This cannot be done with the upload as it stands"


class UploadGoneError(ProblemError):
    """The upload was cancelled or has expired, and its bytes are gone."""

    slug, status, title = "upload-gone", 410, "The upload was cancelled or has expired; begin a new one"


class TusVersionError(ProblemError):
    """The client speaks another version of tus."""

    slug, status, title = "tus-version", 412, "This service speaks tus 1.0.0; send Tus-Resumable: 1.0.0"

    def __init__(self, detail: str = "", **members: Any) -> None:  # noqa: ANN401 - as above
        super().__init__(detail, headers={"Tus-Version": "1.0.0"}, **members)


class QuotaExceededError(ProblemError):
    """The user's unfinished uploads take as much as they may."""

    slug, status, title = "quota-exceeded", 413, "Your unfinished uploads take as much as they may"


class DatasetTooLargeError(ProblemError):
    """The file of a dataset is larger than is looked at here; asking again changes nothing."""

    slug, status, title = "dataset-too-large", 413, "The dataset is too large to be looked at here"


class BodyTooLargeError(ProblemError):
    """The body is larger than the limit."""

    slug, status, title = "body-too-large", 413, "The body is too large"

    @classmethod
    def of_file(cls, limit_bytes: int) -> Self:
        """Return the problem of a file that goes on beyond its limit. The connection ends: nobody reads on."""
        return cls(
            f"The file is larger than {limit_bytes} bytes.",
            limit_bytes=limit_bytes,
            headers={"Connection": "close"},
        )


class FormatNotSupportedError(ProblemError):
    """Files of this kind cannot be turned into a dataset."""

    slug, status, title = "format-not-supported", 415, "format not supported"


class MediaTypeNotSupportedError(ProblemError):
    """The body has a type that this path does not take."""

    slug, status, title = "media-type-not-supported", 415, "This path does not take bodies of this type"


class ValidationFailedError(ProblemError):
    """Fields are missing or have wrong values; `errors` names each."""

    slug, status, title = "validation-failed", 422, "Some fields need another value"

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


class DatasetRefusedError(ProblemError):
    """The file is not fit to be published; `row` and `column` say where."""

    slug, status, title = "dataset-refused", 422, "The dataset cannot be published as it is"


class PictureRefusedError(ProblemError):
    """The file cannot be used as a picture."""

    slug, status, title = "picture-refused", 422, "The file cannot be used as a picture"


class IdempotencyKeyReusedError(ProblemError):
    """The `Idempotency-Key` belongs to another request."""

    slug, status, title = "idempotency-key-reused", 422, "This Idempotency-Key belongs to another request"


class OpenMLAnswerTooLargeError(ProblemError):
    """OpenML's answer is larger than any that this service reads; asking again changes nothing."""

    slug, status, title = "openml-answer-too-large", 422, "OpenML's answer is larger than this service reads"


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


class ChecksumMismatchError(ProblemError):
    """The bytes are not those that `Upload-Checksum` announced; none of them is kept (tus 1.0)."""

    slug, status, title = "checksum-mismatch", 460, "The bytes are not those that the checksum announced"


class InternalError(ProblemError):
    """A fault of ours; the details are in the log, under the request id."""

    slug, status, title = "internal-error", 500, "Something went wrong on our side"


class BytesLostError(StorageError, ProblemError):
    """The store no longer has the bytes that it had acknowledged."""

    slug, status, title = "bytes-lost", 500, "Stored bytes of this file are missing; upload it again"


class OAuthDisabledError(ProblemError):
    """There is no log-in with this provider."""

    slug, status, title = "oauth-disabled", 501, "OAuth functions disabled."


class PasskeysDisabledError(ProblemError):
    """This installation has no passkeys."""

    slug, status, title = "passkeys-disabled", 501, "Passkey functions disabled."


class OpenMLRefusedError(ProblemError):
    """OpenML did not accept the request; `code` is its error number."""

    slug, status, title = "openml-refused", 502, "OpenML did not accept this"


class OpenMLAnswerBrokenError(ProblemError):
    """OpenML is there, and its answer was cut off or cannot be understood."""

    slug, status, title = "openml-answer-broken", 502, "OpenML's answer cannot be understood"


class ProcessingFailedError(ProblemError):
    """OpenML took the dataset and then could not process it."""

    slug, status, title = "processing-failed", 502, "OpenML could not process the dataset"


class TooBusyError(ProblemError):
    """More work arrived than can wait; come back after `Retry-After` seconds."""

    slug, status, title = "too-busy", 503, "Too busy at the moment; try again shortly"
    passes_after_seconds = 2


class OpenMLUnreachableError(ProblemError):
    """OpenML cannot be reached, or does not answer."""

    slug, status, title = "openml-unreachable", 503, "OpenML cannot be reached at the moment"
    passes_after_seconds = 10


class NotReadyError(ProblemError):
    """This process cannot work at the moment, or what it accepts would not be worked off."""

    slug, status, title = "not-ready", 503, "The service is not ready"
    passes_after_seconds = 5

    @classmethod
    def of_database(cls, error: "DatabaseUnavailableError") -> Self:
        """Return the problem of a request that met a database that cannot be used."""
        return cls(DATABASE_AWAY, retry_after_seconds=error.retry_after_seconds)


class ProviderUnavailableError(ProblemError):
    """The provider that somebody signs in with does not answer, or not as it should."""

    slug, status, title = "provider-unavailable", 503, "The provider does not answer; try again in a while"
    passes_after_seconds = 10


class ReadOnlyModeError(ProblemError):
    """The site takes nothing that changes something, while it is maintained; the detail is what is announced."""

    slug, status, title = (
        "read-only-mode",
        503,
        "The site is being maintained, and takes no changes at the moment",
    )
    passes_after_seconds = 60


class StorageUnavailableError(StorageError, ProblemError):
    """The store for files cannot be reached, or does not answer; what it had acknowledged is safe."""

    slug, status, title = "storage-unavailable", 503, "The store for files does not answer; try again shortly"
    passes_after_seconds = 5


class StillWorkingError(ProblemError):
    """The upload is safe and goes on; only this request stopped waiting."""

    slug, status, title = "still-working", 504, "The upload is safe and still being published"


class StorageFullError(StorageError, ProblemError):
    """There is no room for the upload."""

    slug, status, title = "storage-full", 507, "There is no room for the upload at the moment"
    passes_after_seconds = 600


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


def catalogue() -> list[type[ProblemError]]:
    """Return every kind of problem, by status and slug."""
    return sorted(ProblemError.__subclasses__(), key=lambda kind: (kind.status, kind.slug))
