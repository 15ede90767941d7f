"""What describes a dataset, as the SPA sends it; the limits are those of OpenML's own schema."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints

from app.openml.fields import (
    Ascii64,
    Ascii128,
    Ascii1024,
    Ascii16384,
    Name128,
    Optional,
    Person,
    Url,
    none_if_empty,
    require_ignorable,
)
from app.tabular.types import TYPE_NAMES

MOST_ITEMS = 200


def _as_list(value: object) -> object:
    """Take one text as a list of one, and a missing one as an empty list."""
    value = none_if_empty(value)
    if value is None:
        return []
    return [value] if isinstance(value, str) else _not_endless(value)


def _not_endless(value: object) -> object:
    """Look at the length first: each item that is wrong would become an error of its own."""
    if isinstance(value, list) and len(value) > MOST_ITEMS:
        raise ValueError(f"Give at most {MOST_ITEMS}.")
    return value


def _not_all_wrong(value: object) -> object:
    """Count what is wrong first: pydantic makes an error of each, and a hundred thousand take seconds."""
    if isinstance(value, dict):
        texts = (text for name, kind in value.items() for text in (name, *_labels_of(kind)))
        wrong = sum(not _is_text(text) for text in texts)
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


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _split_names(value: object) -> object:
    """Take `"a, b"` as two column names."""
    value = none_if_empty(value)
    if isinstance(value, str):
        return [name for part in value.split(",") if (name := part.strip())]
    return [] if value is None else _not_endless(value)


def _ignorable(values: list[str]) -> list[str]:
    require_ignorable(values)
    return values


ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
"""A column as the file names it; under which name it is published the conversion decides."""
ColumnNames = str | list[ColumnName] | None
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
        BeforeValidator(_split_names, json_schema_input_type=ColumnNames),
    ] = Field(
        default_factory=list,
        description="Default target column; several are a list, or separated by commas.",
        examples=["level"],
    )
    row_id_attribute: Annotated[ColumnName | None, Optional] = None
    ignore_attribute: Annotated[
        list[ColumnName],
        BeforeValidator(_split_names, json_schema_input_type=ColumnNames),
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
    notify: bool = Field(
        default=False, description="Mail me when OpenML has processed the dataset, or could not."
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


class UploadMetadata(DraftMetadata):
    """A dataset's description. Unknown fields are ignored; `""` and `false` mean "not given"."""

    dataset_name: Name128 = Field(examples=["river-levels"])
    description: Ascii16384 = Field(examples=["Daily river levels."])
