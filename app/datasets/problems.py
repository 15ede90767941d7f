"""Problems of describing datasets."""

from app.core.errors import ProblemError


class TagTakenError(ProblemError):
    """The dataset has this tag, written in another case."""

    slug, status, title = "tag-taken", 409, "The dataset has this tag, written in another case"
