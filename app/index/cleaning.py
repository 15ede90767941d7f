"""What comes from elsewhere, made a document of bounded size and known shape: JSON, UTF-8, no private fields."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from app.index.fields import PRIVATE_FIELDS, as_number

LONGEST_TEXT = 100_000
"""Characters of one text; the longest description that OpenML takes has 16 384."""
LONGEST_KEY = 200
MOST_ITEMS = 1000
"""Of one list or object: OpenML's own index keeps as many features."""
MOST_VALUES = 20_000
"""In one document."""
MOST_CHARACTERS = 1_000_000
"""In one document."""
DEEPEST = 6


def clean(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document, with what is too long cut, what is too deep or no JSON left out."""
    found = _Cleaner().read(document, 0)
    shaped = {name: _SHAPES[name](value) if name in _SHAPES else value for name, value in found.items()}
    return {
        name: value
        for name, value in shaped.items()
        if name not in PRIVATE_FIELDS and (value is not None or found[name] is None)
    }


def _text(value: object) -> str | None:
    return None if isinstance(value, bool) or not isinstance(value, str | int | float) else str(value)


def _object(value: object) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _objects(value: object) -> list[dict[str, Any]] | None:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else None


def _tags(value: object) -> list[dict[str, Any]] | None:
    return [tag for tag in _objects(value) or [] if isinstance(tag.get("tag"), str)]


_SHAPES: Final[Mapping[str, Callable[[object], object]]] = {
    **dict.fromkeys(
        (
            *("name", "exact_name", "description", "status", "date", "licence", "format", "uploader"),
            *(
                "first_name",
                "last_name",
                "bio",
                "image",
                "company",
                "country",
                "target_feature",
                "visibility",
            ),
        ),
        _text,
    ),
    **dict.fromkeys(("uploader_id", "runs", "version", "nr_of_likes", "nr_of_downloads"), as_number),
    **dict.fromkeys(
        ("qualities", "tasktype", "source_data", "estimation_procedure", "run_task", "run_flow"), _object
    ),
    **dict.fromkeys(("features", "collections", "evaluations", "parameters"), _objects),
    "tags": _tags,
}
"""What pages read of some fields without looking; what is something else is left out."""


class _Cleaner:
    """Counts what a document has, going down."""

    def __init__(self) -> None:
        self._values = 0
        self._characters = 0

    def read(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        """Return an object."""
        found = {}
        for name, part in [*value.items()][:MOST_ITEMS]:
            key = self._text(str(name)[:LONGEST_KEY]).replace('"', "'")
            if key:
                found[key] = self._value(part, depth + 1)
        return found

    def _value(self, value: object, depth: int) -> object:
        self._values += 1
        if self._values > MOST_VALUES or depth > DEEPEST:
            return None
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return self.read(value, depth)
        if isinstance(value, list | tuple):
            return [self._value(item, depth + 1) for item in value[:MOST_ITEMS]]
        return value if isinstance(value, bool) else as_number(value)

    def _text(self, text: str) -> str:
        text = text[: max(0, min(LONGEST_TEXT, MOST_CHARACTERS - self._characters))]
        self._characters += len(text)
        if text.isascii() and "\0" not in text:
            return text
        # NUL ends a text for SQLite's functions, and half a surrogate pair has no UTF-8.
        return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
