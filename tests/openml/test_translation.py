import pytest

from app.core.errors import NotFoundError, ProblemError, ValidationFailedError
from app.openml.errors import (
    HalfAnswerError,
    ListTooLargeError,
    LostAnswerError,
    NotSentError,
    OpenMLError,
    RefusedError,
    UnsettledError,
)
from app.openml.problems import (
    ApiKeyMissingError,
    ApiKeyRefusedError,
    OpenMLAnswerBrokenError,
    OpenMLAnswerTooLargeError,
    OpenMLRefusedError,
    OpenMLUnreachableError,
    ReadOnlyAccountError,
)
from app.openml.translation import require_key, translated_errors


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (RefusedError(103, "Authentication failed", http_status=412), ApiKeyRefusedError, "API key"),
        (RefusedError(104, "read-only", http_status=412), ReadOnlyAccountError, "read-only"),
        (RefusedError(107, "Database connection error", http_status=412), OpenMLUnreachableError, "later"),
        (
            RefusedError(622, "Not allowed", http_status=412, details="[1, 2]"),
            ValidationFailedError,
            "[1, 2]",
        ),
        (RefusedError(619, "Not decoded", http_status=412, details="x"), OpenMLRefusedError, "Not decoded x"),
        (UnsettledError(105, "Index", http_status=412), OpenMLUnreachableError, "not done twice"),
        (UnsettledError(99, "New", http_status=412), OpenMLRefusedError, "not done twice"),
        (HalfAnswerError("OpenML's answer broke off"), OpenMLAnswerBrokenError, "not done twice"),
        (
            ListTooLargeError("OpenML's list has more than 9 bytes"),
            OpenMLAnswerTooLargeError,
            "more than 9 bytes",
        ),
        (NotSentError("OpenML cannot be reached"), OpenMLUnreachableError, "again"),
        (LostAnswerError("the connection to OpenML broke"), OpenMLUnreachableError, "not done twice"),
    ],
)
def test_failure_when_nobody_knows_it_then_explained(
    error: OpenMLError, kind: type[ProblemError], text: str
) -> None:
    with pytest.raises(kind) as raised, translated_errors():
        raise error
    assert text in raised.value.detail
    assert raised.value.members.get("code") == getattr(error, "code", None)


def test_failure_when_its_texts_are_endless_then_cut() -> None:
    with pytest.raises(ValidationFailedError) as raised, translated_errors():
        raise RefusedError(622, "x", http_status=412, details=", ".join(map(str, range(100_000))))
    assert len(raised.value.detail) < 600


def test_failure_when_the_place_knows_its_code_then_the_places_problem() -> None:
    with pytest.raises(NotFoundError), translated_errors({111: lambda error: NotFoundError(code=error.code)}):
        raise RefusedError(111, "Unknown dataset", http_status=412)


def test_key_when_missing_or_malformed_then_said_so() -> None:
    assert require_key("a" * 32) == "a" * 32
    for key in (None, "", "x"):
        with pytest.raises(ApiKeyMissingError):
            require_key(key)
