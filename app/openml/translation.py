"""Translates failures of calls to OpenML into problems: one table for all calls.

What the caller can mend is a 4xx, what passes a 503; 502 is left for what neither can help.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from app.core.errors import NotFoundError, ProblemError, ValidationFailedError
from app.openml.errors import (
    INDEX_FAILED,
    PASSING,
    HalfAnswerError,
    ListTooLargeError,
    OpenMLError,
    RefusedError,
    UnsettledError,
)
from app.openml.fields import is_api_key
from app.openml.problems import (
    ApiKeyMissingError,
    ApiKeyRefusedError,
    DatasetInUseError,
    DatasetNotActiveError,
    DatasetRefusedError,
    NotYoursError,
    OpenMLAnswerBrokenError,
    OpenMLAnswerTooLargeError,
    OpenMLRefusedError,
    OpenMLUnreachableError,
    ProcessingFailedError,
    ReadOnlyAccountError,
)

Translate = Callable[[RefusedError], ProblemError]
REASON_LENGTH = 500
"""Characters of OpenML's texts that are shown; they can list every dataset of the server."""
_SAFE = "Send the same request again: what was done already is not done twice."


def require_key(api_key: str | None) -> str:
    """Return the key.

    Raises:
        ApiKeyMissingError: there is none that OpenML could know.
    """
    if api_key is None or not is_api_key(api_key):
        raise ApiKeyMissingError
    return api_key


def problem_of(error: OpenMLError, known: Mapping[int, Translate] | None = None) -> ProblemError:
    """Return the problem to answer with; `known` says what some error codes mean in this place."""
    if isinstance(error, UnsettledError):
        kind = OpenMLUnreachableError if error.code == INDEX_FAILED else OpenMLRefusedError
        return kind(f"{_reason(error).rstrip('. ')}. {_SAFE}", code=error.code)
    if isinstance(error, RefusedError):
        return _translate(error, {**KNOWN, **(known or {})})
    if isinstance(error, ListTooLargeError):
        return OpenMLAnswerTooLargeError(f"{error}, and no more is read. Trying again changes nothing.")
    if isinstance(error, HalfAnswerError):
        return OpenMLAnswerBrokenError(f"{error}. {_SAFE}")
    return OpenMLUnreachableError(f"{error}. {_SAFE}")


@contextmanager
def translated_errors(known: Mapping[int, Translate] | None = None) -> Iterator[None]:
    """Raise problems in place of upstream errors; `known` says what some error codes mean in this place."""
    try:
        yield
    except OpenMLError as error:
        raise problem_of(error, known) from error


def _translate(error: RefusedError, known: Mapping[int, Translate]) -> ProblemError:
    explain = known.get(error.code)
    return explain(error) if explain else OpenMLRefusedError(_reason(error), code=error.code)


def _reason(error: RefusedError) -> str:
    text = " ".join(filter(None, [error.message.strip(), error.details]))[:REASON_LENGTH]
    return f"OpenML refused this: {text}"


def _said(kind: type[ProblemError], text: str, error: RefusedError) -> ProblemError:
    return kind(text, code=error.code)


def _quoted(kind: type[ProblemError], text: str, error: RefusedError) -> ProblemError:
    """Return a translation that appends OpenML's message to `text`."""
    return kind(f"{text} {error.message.strip()} {error.details}"[:REASON_LENGTH].strip(), code=error.code)


def _not_taken(error: RefusedError) -> ProblemError:
    fields = [{"field": "body", "message": _reason(error)}]
    return ValidationFailedError.for_fields(fields, code=error.code)


def _all(codes: tuple[int, ...], explain: Translate) -> dict[int, Translate]:
    return dict.fromkeys(codes, explain)


KNOWN: Mapping[int, Translate] = {
    **_all(
        (102, 103),
        partial(
            _said,
            ApiKeyRefusedError,
            "OpenML does not take your API key. Make a new one with POST /api-key.",
        ),
    ),
    104: partial(
        _said,
        ReadOnlyAccountError,
        "Your account on OpenML is read-only: it may look at everything, and change nothing. "
        "Ask OpenML's team for the right to write.",
    ),
    106: partial(_said, NotYoursError, "OpenML lets only administrators do this."),
    **_all(
        tuple(PASSING),
        partial(
            _said,
            OpenMLUnreachableError,
            "OpenML is out of order at the moment; send the same request again later.",
        ),
    ),
    **_all((110, 111, 271, 361, 472, 1063), partial(_said, NotFoundError, "OpenML has no such dataset.")),
    151: partial(_said, NotFoundError, "OpenML has no such task."),
    **_all((112, 275), partial(_said, NotYoursError, "OpenML shows this dataset to its owner only.")),
    **_all(
        (130, 131, 133, 135, 140, 141, 145),
        partial(_quoted, DatasetRefusedError, "OpenML refused the dataset:"),
    ),
    413: partial(_said, DatasetRefusedError, "This is too large for the OpenML server."),
    **_all((273, 623), partial(_said, DatasetNotActiveError, "OpenML has not processed the dataset yet.")),
    **_all(
        (272, 274),
        partial(
            _quoted,
            ProcessingFailedError,
            "OpenML could not process the dataset, so it has no columns to work with:",
        ),
    ),
    476: partial(_said, NotYoursError, "OpenML lets only whoever set a tag remove it."),
    **_all(
        (
            470,
            471,
            477,
            611,
            613,
            616,
            617,
            618,
            621,
            622,
            1031,
            1032,
            1033,
            1034,
            1035,
            1036,
            1037,
            1060,
            1061,
            1062,
        ),
        _not_taken,
    ),
    602: partial(_said, NotYoursError, "OpenML shows this collection to its owner only."),
    1064: _not_taken,
    1065: partial(
        _said,
        NotYoursError,
        "OpenML lets only the owner change default_target_attribute, row_id_attribute and ignore_attribute. "
        "Leave them out to change the rest.",
    ),
    1066: partial(
        _said,
        DatasetInUseError,
        "OpenML changes default_target_attribute, row_id_attribute and ignore_attribute only while a dataset has "
        "no tasks, and this one has some. Leave them out to change the rest.",
    ),
}
"""What the error codes mean wherever no place knows better; any other is `openml-refused`."""
