"""What describes a dataset: read from what a client sent, and checked as a draft or as what is published."""

import json
import unicodedata
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from app.core.errors import MalformedBodyError, ValidationFailedError
from app.core.suggestions import suggest
from app.db.upload_values import Description
from app.openml.fields import Repairs, validated
from app.uploads.schemas_metadata import DraftMetadata, UploadMetadata

MOST_WARNINGS = 20
METADATA_BYTES = 1 << 20
"""What is said of one dataset, as JSON: in one request, and all together."""
UNPRINTABLE = frozenset({"Cc", "Cs"})
COMPLETE = frozenset({"dataset_name", "description"})
"""Fields without which nothing is published."""


class Checked(NamedTuple):
    """Metadata as a row keeps it, what was changed in it, and what its author may want to know."""

    values: Description
    repairs: list[dict[str, str]]
    warnings: list[str]


def parse_metadata(content: bytes | str) -> dict[str, Any]:
    """Return the document.

    Raises:
        MalformedBodyError: it is no JSON object.
    """
    try:
        document: Any = json.loads(content)
    except json.JSONDecodeError as error:
        raise MalformedBodyError(
            f"The metadata is not valid JSON (line {error.lineno}, column {error.colno}); correct it and send it again."
        ) from None
    except (ValueError, RecursionError):
        raise MalformedBodyError(
            "The metadata is not valid JSON; write it as UTF-8, without deep nesting, and send it again."
        ) from None
    if not isinstance(document, dict):
        raise ValidationFailedError.for_fields(
            [{"field": "metadata", "message": "Send the description as a JSON object."}]
        )
    return document


def require_printable(file_name: str) -> None:
    """Refuse a file's name that would steer a terminal or a log, or that no UTF-8 can hold.

    Raises:
        ValidationFailedError: it has control characters, or halves of characters.
    """
    if any(unicodedata.category(character) in UNPRINTABLE for character in file_name):
        raise ValidationFailedError.for_fields(
            [{"field": "file_name", "message": "The file's name has control characters; rename it."}]
        )


class Judged(NamedTuple):
    """A description, as a draft and as what is published; `problem` says why it cannot be that yet."""

    draft: Checked
    whole: Checked | None
    problem: ValidationFailedError | None

    def complete(self) -> Checked:
        """Return the description as it can be published.

        Raises:
            ValidationFailedError: a field is missing.
        """
        if self.whole is None:
            raise self.problem or ValidationFailedError()
        return self.whole


def judge(document: Mapping[str, Any]) -> Judged:
    """Return what may become of a description. It may hold a mebibyte: call it in a thread.

    Raises:
        ValidationFailedError: some field is not what OpenML takes.
    """
    draft = check_draft(document)
    try:
        return Judged(draft, check_complete(document), None)
    except ValidationFailedError as problem:
        return Judged(draft, None, problem)


def check_draft(document: Mapping[str, Any]) -> Checked:
    """Return what is there of a description; a field may be missing, but none may be wrong.

    Raises:
        ValidationFailedError: some field is not what OpenML takes.
    """
    return _check(DraftMetadata, document)


def check_complete(document: Mapping[str, Any]) -> Checked:
    """Return a description that can be published.

    Raises:
        ValidationFailedError: a field is missing, or not what OpenML takes.
    """
    return _check(UploadMetadata, document)


def check_metadata(content: bytes) -> Checked:
    """Return the description that a form holds. It may have a mebibyte: call it in a thread.

    Raises:
        MalformedBodyError, ValidationFailedError: as `parse_metadata` and `check_complete`.
    """
    return check_complete(parse_metadata(content))


def given(description: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the owner has said: without the names under which the conversion publishes columns."""
    return {name: value for name, value in (description or {}).items() if name != "published_names"}


def merge(known: Mapping[str, Any] | None, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description with the changes; types of columns are added to those known, null takes one back."""
    before = given(known)
    merged = {**before, **changes}
    types = changes.get("attributes")
    if isinstance(types, dict):
        both = {**before.get("attributes", {}), **types}
        merged["attributes"] = {name: kind for name, kind in both.items() if kind is not None}
    return merged


def is_complete(description: Mapping[str, Any] | None) -> bool:
    """Say whether nothing is missing that publishing needs."""
    return all((description or {}).get(field) for field in COMPLETE)


def _check(kind: type[DraftMetadata], document: Mapping[str, Any]) -> Checked:
    repairs = Repairs()
    # A draft keeps what is not known yet as null; to publishing it is missing.
    known = {name: value for name, value in document.items() if not (name in COMPLETE and value is None)}
    metadata = validated(kind, known, repairs if document.get("repair", True) is not False else None)
    values = cast("Description", metadata.model_dump(mode="json"))
    if len(json.dumps(values, ensure_ascii=False).encode()) > METADATA_BYTES:
        raise ValidationFailedError.for_fields(
            [
                {
                    "field": "metadata",
                    "message": f"Together this is more than {METADATA_BYTES} bytes; say less.",
                }
            ]
        )
    return Checked(values, repairs.records(), _about_unknown(document))


def _about_unknown(document: Mapping[str, Any]) -> list[str]:
    """Return a warning for each field that was ignored: it may be another one misspelled."""
    known = list(UploadMetadata.model_fields)
    warnings = []
    for name in [name for name in document if name not in known][:MOST_WARNINGS]:
        meant = suggest(name, known, most=1)
        hint = f"; did you mean {meant[0]!r}?" if meant else "."
        warnings.append(f"The metadata's {name[:64]!r} is no field and was ignored{hint}")
    return warnings
