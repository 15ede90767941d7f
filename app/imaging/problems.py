"""Problems of pictures."""

from typing import Self

from app.core.errors import ProblemError


class PictureRefusedError(ProblemError):
    """The file cannot be used as a picture."""

    slug, status, title = "picture-refused", 422, "The file cannot be used as a picture"

    @classmethod
    def example(cls) -> Self:
        """Return one of this kind, as the API page shows it."""
        return cls("The picture has more than 52000000 pixels.", limit_pixels=52_000_000)
