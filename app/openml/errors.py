"""Errors of calls to OpenML, by whether the request may be repeated.

OpenMLError
|- RefusedError        OpenML answered with an error code; nothing was done, but for
|  `- UnsettledError   a code that OpenML also gives when the work is done, or that nobody knows (a lost answer as well)
|- TaskExistsError     there is such a task; its id
|- NotSentError        nothing reached OpenML; repeat freely
|- ListTooLargeError   the answer is larger than any that is read; asked again, it is the same
`- LostAnswerError     the request may have been carried out; look before repeating it
   `- HalfAnswerError  an answer came, and was cut off or cannot be understood
"""

from collections.abc import Mapping


class OpenMLError(Exception):
    """A call to OpenML failed."""


class RefusedError(OpenMLError):
    """OpenML answered with an error code and a text."""

    def __init__(self, code: int, message: str, *, http_status: int, details: str = "") -> None:
        self.code = code
        self.message = message
        self.details = details
        self.http_status = http_status
        super().__init__(f"{code}: {message}" + (f" ({details})" if details else ""))


class TaskExistsError(OpenMLError):
    """An equal task exists; of several that a race made, this is the oldest."""

    def __init__(self, task_id: int) -> None:
        self.task_id = task_id
        super().__init__(f"task {task_id} exists")


class NotSentError(OpenMLError):
    """OpenML could not be reached."""


class ListTooLargeError(OpenMLError):
    """OpenML's answer is larger than any that is read."""


class LostAnswerError(OpenMLError):
    """The request went out, and no answer that can be understood came back."""

    answered: int | None = None
    """The HTTP status of what came, if anything did."""


class HalfAnswerError(LostAnswerError):
    """An answer came, but not to its end, or not as OpenML writes them."""


class UnsettledError(RefusedError, LostAnswerError):
    """OpenML answered a write with an error code that does not tell whether it was carried out."""

    def settled(self) -> RefusedError:
        """Return the refusal, once it is known that nothing was done."""
        return RefusedError(self.code, self.message, http_status=self.http_status, details=self.details)


AUTHENTICATION = frozenset({102, 103, 104})
"""No key, a wrong key, a read-only account."""

PASSING = frozenset({107, 132, 612, 615, 1067})
"""OpenML's database or disk was out of order; nothing was stored, and trying again is right."""

INDEX_FAILED = 105
"""The search index failed; what was to be done is done, as a rule."""

TAGS_FAILED = frozenset({470, 471, 472, 473, 474, 475, 476, 477})
"""What tags bring forth; of an upload they are set when the dataset is made already."""

RECORD_FAILED = 134
"""Two uploads of one name at once, or a dataset made in half."""

MAY_PASS = frozenset({INDEX_FAILED, RECORD_FAILED, *TAGS_FAILED})
"""Codes of an upload of which nothing was found: the same upload may succeed the next time."""

LIMITS = frozenset({102, 130, 135, 413})
"""What a body over a limit looks like: PHP takes it as empty, Apache and nginx answer 413."""

_AT_THE_DOOR = frozenset({100, 101, 106, 107, 413, *AUTHENTICATION})

SETTLED: Mapping[str, frozenset[int]] = {
    "data": _AT_THE_DOOR | {130, 131, 132, 133, 135, 136, 140, 141, 145},
    "data/edit": _AT_THE_DOOR | {1060, 1061, 1062, 1063, 1064, 1065, 1066, 1067},
    "data/tag": _AT_THE_DOOR | {470, 471, 472, 473, 474, 476, 477},
    "data/untag": _AT_THE_DOOR | {470, 471, 472, 475, 476, 477},
    "task": _AT_THE_DOOR | {611, 612, 613, 614, 615, 616, 617, 618, 619, 620, 621, 622, 623},
    "study": _AT_THE_DOOR | {1031, 1032, 1033, 1034, 1035, 1036, 1037, 1038, 1039},
}
"""The codes of each write that OpenML gives before it stores anything. After any other it has to be looked."""
