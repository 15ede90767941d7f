"""What describes a dataset: as clients send it, read, and checked as a draft or as what is published.

The limits of the fields are those of OpenML's own schema.
"""

import json
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints

from app.core.errors import MalformedBodyError, ValidationFailedError
from app.core.suggestions import suggest
from app.db.upload_values import Description
from app.openml.fields import (
    Ascii64,
    Ascii128,
    Ascii1024,
    Ascii16384,
    Name128,
    Optional,
    Person,
    Repairs,
    Url,
    none_if_empty,
    require_ignorable,
    validated,
)
from app.tabular.types import TYPE_NAMES
from app.uploads.choices import (
    MOST_ITEMS,
    Chosen,
    ColumnName,
    ColumnNames,
    LeftOut,
    NewNames,
    ReadingChoices,
    digest_choices,
    is_text,
    not_endless,
    split_names,
)

MOST_WARNINGS = 20
METADATA_BYTES = 1 << 20
"""What is said of one dataset, as JSON: in one request, and all together."""
UNPRINTABLE = frozenset({"Cc", "Cs"})
COMPLETE = frozenset({"dataset_name", "description"})
"""Fields without which nothing is published."""
MERGED = frozenset({"attributes", "reading", "rename"})
"""Fields of which a change names some entries, and leaves the others as they are."""


def _as_list(value: object) -> object:
    """Take one text as a list of one, and a missing one as an empty list."""
    value = none_if_empty(value)
    if value is None:
        return []
    return [value] if isinstance(value, str) else not_endless(value)


def _not_all_wrong(value: object) -> object:
    """Count what is wrong first: pydantic makes an error of each, and a hundred thousand take seconds."""
    if isinstance(value, dict):
        texts = (text for name, kind in value.items() for text in (name, *_labels_of(kind)))
        wrong = sum(not is_text(text) for text in texts)
        wrong += sum(not (_is_labels(kind) or _is_type(kind)) for kind in value.values())
        if wrong > MOST_ITEMS:
            raise ValueError(f"More than {MOST_ITEMS} of these are neither types nor labels.")
    return value


def _labels_of(kind: object) -> list[object]:
    return kind["nominal"] if isinstance(kind, dict) and _is_labels(kind) else []


def _is_labels(kind: object) -> bool:
    return isinstance(kind, dict) and len(kind) == 1 and isinstance(kind.get("nominal"), list)


def _is_type(kind: object) -> bool:
    return isinstance(kind, str) and kind in TYPE_NAMES


def _known_type(kind: object) -> object:
    if not (_is_type(kind) or _is_labels(kind)):
        raise ValueError(f'This is not a type. Use {", ".join(TYPE_NAMES)} or {{"nominal": ["label", …]}}.')
    return kind


def _ignorable(values: list[str]) -> list[str]:
    require_ignorable(values)
    return values


Persons = str | list[Person] | None
"""What clients may send in place of a list. Such a field shows no default: generated clients would send its text."""


Text = Annotated[str, StringConstraints(min_length=0)]
"""Any text that can be written as UTF-8: JSON can also hold halves of characters."""


ColumnType = Annotated[Text | dict[Literal["nominal"], list[Text]], BeforeValidator(_known_type)]


class DraftMetadata(BaseModel):
    """A dataset's description as far as it is known. Unknown fields are ignored; `""` and `false` mean "not given"."""

    dataset_name: Annotated[Name128 | None, Optional] = Field(default=None, examples=["river-levels"])
    description: Annotated[Ascii16384 | None, Optional] = Field(
        default=None, examples=["Daily river levels."]
    )
    creator: Annotated[list[Person], BeforeValidator(_as_list, json_schema_input_type=Persons)] = Field(
        default_factory=list, examples=["Ada Example", ["Ada Example", "Doe, Jane"]]
    )
    contributor: Annotated[list[Person], BeforeValidator(_as_list, json_schema_input_type=Persons)] = Field(
        default_factory=list
    )
    collection_date: Annotated[Ascii128 | None, Optional] = None
    licence: Annotated[Ascii64 | None, Optional] = None
    language: Annotated[Name128 | None, Optional] = None
    def_tar_att: Annotated[
        list[ColumnName],
        Field(max_length=8),
        BeforeValidator(split_names, json_schema_input_type=ColumnNames),
    ] = Field(
        default_factory=list,
        description="Default target column; several are a list, or separated by commas.",
        examples=["level"],
    )
    row_id_attribute: Annotated[ColumnName | None, Optional] = None
    ignore_attribute: Annotated[
        list[ColumnName],
        BeforeValidator(split_names, json_schema_input_type=ColumnNames),
        AfterValidator(_ignorable),
    ] = Field(
        default_factory=list,
        description="Columns that models should leave alone: a list, or separated by commas.",
    )
    citation: Annotated[Ascii1024 | None, Optional] = None
    original_data_url: Annotated[Url | None, Optional] = None
    paper_url: Annotated[Url | None, Optional] = None
    classification: bool = Field(
        default=False, description="Make the default target nominal, also where it holds whole numbers."
    )
    repair: bool = Field(
        default=True,
        description="Change what OpenML would stick on and has one safe reading, and say so; `false` refuses it.",
    )
    notify: bool | None = Field(
        default=None,
        description="Mail me when OpenML has processed the dataset, or could not; if it is not said, only of one "
        "without a default target that OpenML could not process.",
    )
    allow_duplicate: bool = Field(
        default=False,
        description="Publish the table even if I published the same file under this name before.",
    )
    attributes: Annotated[dict[Text, ColumnType], BeforeValidator(_not_all_wrong)] = Field(
        default={},
        description="Types of columns that the file's values do not tell: `string`, `integer`, `real`, `boolean`, "
        '`nominal`, or `{"nominal": ["label", …]}`.',
    )
    reading: ReadingChoices = Field(
        default_factory=ReadingChoices,
        description="How the file is read, where that is not found rightly.",
        examples=[{"delimiter": ";", "decimal": ","}],
    )
    rename: NewNames = Field(
        default={}, description="Names to publish columns under, by their names in the file."
    )
    leave_out: LeftOut = Field(default_factory=list, description="Columns that are not published.")


class UploadMetadata(DraftMetadata):
    """A dataset's description. Unknown fields are ignored; `""` and `false` mean "not given"."""

    dataset_name: Name128 = Field(examples=["river-levels"])
    description: Ascii16384 = Field(examples=["Daily river levels."])


class Checked(NamedTuple):
    """Metadata in its stored form, the repairs of it, and the warnings for its author."""

    values: Description
    repairs: list[dict[str, str]]
    warnings: list[str]
    chosen: Chosen


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
    """Return both results of checking a description, as a draft and as complete.

    The description may hold a mebibyte: call it in a thread.

    Raises:
        ValidationFailedError: some field is not what OpenML takes.
    """
    draft = check_draft(document)
    try:
        return Judged(draft, check_complete(document), None)
    except ValidationFailedError as problem:
        return Judged(draft, None, problem)


def check_draft(document: Mapping[str, Any]) -> Checked:
    """Return a checked draft: fields may be missing, but none may be wrong.

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
    """Return the description with the changes; fields of `MERGED` are added to those known, null takes one back."""
    before = given(known)
    merged = {**before, **changes}
    for field in MERGED:
        added = changes.get(field, {})
        if isinstance(added, dict):
            both = {**before.get(field, {}), **added}
            merged[field] = {name: value for name, value in both.items() if value is not None}
        elif added is None:
            merged[field] = {}
    return merged


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
    return Checked(values, repairs.records(), _about_unknown(document), digest_choices(values))


def _about_unknown(document: Mapping[str, Any]) -> list[str]:
    """Return a warning for each field that was ignored: it may be another one misspelled."""
    known = list(UploadMetadata.model_fields)
    warnings = []
    for name in [name for name in document if name not in known][:MOST_WARNINGS]:
        meant = suggest(name, known, most=1)
        hint = f"; did you mean {meant[0]!r}?" if meant else "."
        warnings.append(f"The metadata's {name[:64]!r} is no field and was ignored{hint}")
    return warnings
