"""One true example of each kind of problem, as the API page shows it."""

from functools import cache

from app.core.errors import (
    BodyTooLargeError,
    DatasetNotActiveError,
    DatasetRefusedError,
    HeadTooLargeError,
    InsufficientScopeError,
    LinkNotValidError,
    MalformedBodyError,
    MediaTypeNotSupportedError,
    NotFoundError,
    OffsetMismatchError,
    OpenMLRefusedError,
    PasswordNeededError,
    PictureRefusedError,
    ProblemError,
    QuotaExceededError,
    SecondFactorNeededError,
    StillWorkingError,
    UploadGoneError,
    UploadStateError,
    ValidationFailedError,
)

UPLOAD_ID = "6f0c2a3d9be84f5f8f0b6f6d6f7f2a11"


def _told() -> tuple[ProblemError, ...]:
    """Return the problems that say more than their kind does."""
    return (
        BodyTooLargeError("The file is larger than 1000000000 bytes.", limit_bytes=1_000_000_000),
        DatasetNotActiveError(
            "OpenML has not processed the dataset yet. Try again in a minute.", status_there="in_preparation"
        ),
        DatasetRefusedError(
            "Row 3 has 2 values; the head names 3 columns.",
            reason="ragged-row",
            row=3,
            line=4,
            column="level",
            hint="Quote values that hold the separator.",
            correct="file",
        ),
        HeadTooLargeError("The headers of the request are larger than 65536 bytes.", limit_bytes=65_536),
        InsufficientScopeError.for_scopes(["upload"]),
        LinkNotValidError("This link was used already, or is too old; ask for a new one"),
        MalformedBodyError("The body is not valid JSON."),
        MediaTypeNotSupportedError(
            "Send the bytes as application/partial-upload.",
            headers={"Accept-Patch": "application/partial-upload", "Accept-Encoding": "identity"},
        ),
        NotFoundError("You have no such upload."),
        OffsetMismatchError.between(expected=4096, provided=0),
        OpenMLRefusedError("OpenML refused this: Upload problem.", code=130),
        PasswordNeededError(methods=["password"]),
        PictureRefusedError("The picture has more than 52000000 pixels.", limit_pixels=52_000_000),
        QuotaExceededError(
            "Your unfinished uploads may take 2000000000 bytes together.",
            limit_bytes=2_000_000_000,
            wanted_bytes=2_500_000_000,
        ),
        SecondFactorNeededError(ticket="0123abcd" * 8, methods=["code", "recovery_code"], expires_in=300),
        StillWorkingError(upload_id=UPLOAD_ID),
        UploadGoneError(upload_id=UPLOAD_ID),
        UploadStateError(
            "OpenML has this upload as dataset 42; it can be changed there only.", dataset_id=42
        ),
        ValidationFailedError.for_fields([{"field": "email", "message": "This is not an e-mail address."}]),
    )


@cache
def _by_kind() -> dict[type[ProblemError], ProblemError]:
    return {type(problem): problem for problem in _told()}


def example_of(kind: type[ProblemError]) -> ProblemError:
    """Return a problem of this kind."""
    return _by_kind().get(kind) or kind()
