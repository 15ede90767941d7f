"""Problems of the files of published datasets."""

from app.core.errors import ProblemError


class DatasetNotReadableError(ProblemError):
    """The file of a dataset is none that can be looked at; asking again changes nothing."""

    slug, status, title = "dataset-not-readable", 409, "The dataset's file cannot be read"


class DatasetTooLargeError(ProblemError):
    """The file of a dataset is larger than is looked at here; asking again changes nothing."""

    slug, status, title = "dataset-too-large", 413, "The dataset is too large to be looked at here"
