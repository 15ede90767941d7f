"""Problems of collections."""

from app.core.errors import ProblemError


class AliasTakenError(ProblemError):
    """Another collection has this alias."""

    slug, status, title = "alias-taken", 409, "Another collection has this alias"
