"""Problems of what OpenML is asked, and of what it has processed."""

from collections.abc import Sequence
from typing import Self

from app.core.errors import NotFoundError, ProblemError, ValidationFailedError


class NotYoursError(ProblemError):
    """OpenML lets only the owner change this."""

    slug, status, title = "not-yours", 403, "OpenML lets only the owner change this"


class ReadOnlyAccountError(ProblemError):
    """The account may read on OpenML, and nothing else."""

    slug, status, title = "read-only-account", 403, "This account may only read on OpenML"


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

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls(
            "OpenML has not processed the dataset yet. Try again in a minute.", status_there="in_preparation"
        )


class DatasetInUseError(ProblemError):
    """The dataset has tasks, which rely on its columns' roles."""

    slug, status, title = "dataset-in-use", 409, "The dataset has tasks"


class DatasetRefusedError(ProblemError):
    """The file is not fit to be published; `row` and `column` say where."""

    slug, status, title = "dataset-refused", 422, "The dataset cannot be published as it is"

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls(
            "Row 3 has 2 values; the head names 3 columns.",
            reason="ragged-row",
            row=3,
            line=4,
            column="level",
            hint="Quote values that hold the separator.",
            correct="file",
        )


class OpenMLAnswerTooLargeError(ProblemError):
    """OpenML's answer is larger than any that this service reads; asking again changes nothing."""

    slug, status, title = "openml-answer-too-large", 422, "OpenML's answer is larger than this service reads"


class OpenMLRefusedError(ProblemError):
    """OpenML did not accept the request; `code` is its error number."""

    slug, status, title = "openml-refused", 502, "OpenML did not accept this"

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls("OpenML refused this: Upload problem.", code=130)


class OpenMLAnswerBrokenError(ProblemError):
    """OpenML is there, and its answer was cut off or cannot be understood."""

    slug, status, title = "openml-answer-broken", 502, "OpenML's answer cannot be understood"


class ProcessingFailedError(ProblemError):
    """OpenML took the dataset and then could not process it."""

    slug, status, title = "processing-failed", 502, "OpenML could not process the dataset"


class OpenMLUnreachableError(ProblemError):
    """OpenML cannot be reached, or does not answer."""

    slug, status, title = "openml-unreachable", 503, "OpenML cannot be reached at the moment"
    passes_after_seconds = 10


OPENML_PROBLEMS: Sequence[type[ProblemError]] = (
    ApiKeyMissingError,
    ApiKeyRefusedError,
    ReadOnlyAccountError,
    NotYoursError,
    NotFoundError,
    ValidationFailedError,
    OpenMLAnswerTooLargeError,
    OpenMLRefusedError,
    OpenMLAnswerBrokenError,
    OpenMLUnreachableError,
)
"""What any route may answer that asks OpenML with the user's key."""
