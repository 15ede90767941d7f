"""How a call to OpenML can fail; what may be done about it depends on which.

UpstreamError
|- RefusedError      OpenML answered with an error code: nothing was done, unless `ambiguous` says otherwise
|- TaskExistsError   there is such a task; its id
|- NotSentError      nothing reached OpenML; repeat freely
`- LostAnswerError   the request may have been carried out; look before repeating it
"""


class UpstreamError(Exception):
    """A call to OpenML failed."""


class RefusedError(UpstreamError):
    """OpenML answered with an error code and a text."""

    def __init__(self, code: int, message: str, *, http_status: int, details: str = "") -> None:
        self.code = code
        self.message = message
        self.details = details
        self.http_status = http_status
        super().__init__(f"{code}: {message}" + (f" ({details})" if details else ""))


class TaskExistsError(UpstreamError):
    """An equal task exists; of several that a race made, this is the oldest."""

    def __init__(self, task_id: int) -> None:
        self.task_id = task_id
        super().__init__(f"task {task_id} exists")


class NotSentError(UpstreamError):
    """OpenML could not be reached."""


class LostAnswerError(UpstreamError):
    """The request went out, and no answer that can be understood came back."""


AUTHENTICATION = frozenset({102, 103, 104})
"""No key, a wrong key, a read-only account."""

PASSING = frozenset({107, 132})
"""OpenML's database or disk was out of order; nothing was stored, and trying again is right."""

LOOK_FIRST = frozenset({134})
"""Two uploads of one name at once, or a dataset made in half: look, then try again."""

LIMITS = frozenset({102, 130, 135, 413})
"""What a body over a limit looks like: PHP takes it as empty, Apache and nginx answer 413."""
