"""Problems of uploads, and of the protocols that they come with."""

from typing import Any, Self

from app.core.errors import IANA_SPACE, ProblemError

UPLOAD_ID = "6f0c2a3d9be84f5f8f0b6f6d6f7f2a11"
"""Of the upload that examples show."""


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


class JoinedUploadError(ProblemError):
    """The upload was joined from others, and takes no bytes of its own."""

    slug, status, title = (
        "joined-upload",
        403,
        "An upload that is joined from others takes no bytes of its own",
    )


class OffsetMismatchError(ProblemError):
    """The bytes do not begin where those that we have end; `HEAD` says where to go on."""

    slug, status, title = "mismatching-upload-offset", 409, "The bytes do not begin where the upload stands"
    space = IANA_SPACE

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls.between(expected=4096, provided=0)

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

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls("OpenML has this upload as dataset 42; it can be changed there only.", dataset_id=42)


class UploadGoneError(ProblemError):
    """The upload was cancelled or has expired, and its bytes are gone."""

    slug, status, title = "upload-gone", 410, "The upload was cancelled or has expired; begin a new one"

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls(upload_id=UPLOAD_ID)


class TusVersionError(ProblemError):
    """The client speaks another version of tus."""

    slug, status, title = "tus-version", 412, "This service speaks tus 1.0.0; send Tus-Resumable: 1.0.0"

    def __init__(self, detail: str = "", **members: Any) -> None:  # noqa: ANN401 - as above
        super().__init__(detail, headers={"Tus-Version": "1.0.0"}, **members)


class QuotaExceededError(ProblemError):
    """The user's unfinished uploads take as much as they may."""

    slug, status, title = "quota-exceeded", 413, "Your unfinished uploads take as much as they may"

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls(
            "Your unfinished uploads may take 2000000000 bytes together.",
            limit_bytes=2_000_000_000,
            wanted_bytes=2_500_000_000,
        )


class FormatNotSupportedError(ProblemError):
    """Files of this kind cannot be turned into a dataset."""

    slug, status, title = "format-not-supported", 415, "format not supported"


class MediaTypeNotSupportedError(ProblemError):
    """The body has a type that this path does not take."""

    slug, status, title = "media-type-not-supported", 415, "This path does not take bodies of this type"

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls(
            "Send the bytes as application/partial-upload.",
            headers={"Accept-Patch": "application/partial-upload", "Accept-Encoding": "identity"},
        )


class IdempotencyKeyReusedError(ProblemError):
    """The `Idempotency-Key` belongs to another request."""

    slug, status, title = "idempotency-key-reused", 422, "This Idempotency-Key belongs to another request"


class ChecksumMismatchError(ProblemError):
    """The bytes are not those that `Upload-Checksum` announced; none of them is kept (tus 1.0)."""

    slug, status, title = "checksum-mismatch", 460, "The bytes are not those that the checksum announced"


class StillWorkingError(ProblemError):
    """The upload is safe and goes on; only this request stopped waiting."""

    slug, status, title = "still-working", 504, "The upload is safe and still being published"

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls(upload_id=UPLOAD_ID)
