"""What describes a dataset, as the SPA sends it; the limits are those of OpenML's own schema."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, AnyUrl, BaseModel, BeforeValidator, Field, StringConstraints

NAME = re.compile(r"[a-zA-Z0-9_\-.(),]+")
IGNORE_LENGTH = 128
"""OpenML keeps all ignored columns in one cell of 128 characters, as `"a","b"`, and cuts what is longer."""


def _none_if_empty(value: object) -> object:
    """Take the SPA's `""` and `false` (a select that nobody touched) as "not given"."""
    return None if value in ("", False) else value


def _as_list(value: object) -> object:
    """Take one text as a list of one, and a missing one as an empty list."""
    value = _none_if_empty(value)
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


def _split_names(value: object) -> object:
    """Take `"a, b"` as two column names."""
    value = _none_if_empty(value)
    if isinstance(value, str):
        return [name for part in value.split(",") if (name := part.strip())]
    return [] if value is None else value


def _printable_ascii(value: str) -> str:
    for position, character in enumerate(value):
        if character not in "\t\r\n" and not " " <= character <= "~":
            raise ValueError(
                f"OpenML takes plain ASCII text here; character {position + 1} is {character!r}. Write it otherwise."
            )
    return value


def _in_openml_alphabet(value: str) -> str:
    if NAME.fullmatch(value) is None:
        raise ValueError(
            "Use only the letters a-z and A-Z, digits, and _ - . ( ) , without spaces (OpenML's rule)."
        )
    return value


def _without_quotes(value: str) -> str:
    if '"' in value:
        raise ValueError('OpenML cannot keep the character " in a name; leave it out.')
    return value


def _ignorable(values: list[str]) -> list[str]:
    if sum(map(len, values)) + 3 * len(values) - 1 > IGNORE_LENGTH:
        raise ValueError(
            f"OpenML keeps at most {IGNORE_LENGTH} characters for all ignored columns together "
            "(their names, plus 3 for each). Ignore fewer, or give them shorter names."
        )
    return values


Optional = BeforeValidator(_none_if_empty)
Ascii = Annotated[str, StringConstraints(min_length=1), AfterValidator(_printable_ascii)]
Ascii64 = Annotated[Ascii, StringConstraints(max_length=64)]
Ascii128 = Annotated[Ascii, StringConstraints(max_length=128)]
Ascii1024 = Annotated[Ascii, StringConstraints(max_length=1024)]
Name128 = Annotated[str, StringConstraints(max_length=128), AfterValidator(_in_openml_alphabet)]
Url = Annotated[str, AfterValidator(lambda value: str(AnyUrl(value))), AfterValidator(_printable_ascii)]
Person = Annotated[Ascii128, AfterValidator(_without_quotes)]


class UploadMetadata(BaseModel):
    """A dataset's description. Unknown fields are ignored; `""` and `false` mean "not given"."""

    dataset_name: Name128 = Field(examples=["river-levels"])
    description: Ascii = Field(max_length=16384, examples=["Daily river levels."])
    creator: Annotated[list[Person], BeforeValidator(_as_list)] = Field(default=[], examples=["Ada Example"])
    contributor: Annotated[list[Person], BeforeValidator(_as_list)] = []
    collection_date: Annotated[Ascii128 | None, Optional] = None
    licence: Annotated[Ascii64 | None, Optional] = None
    language: Annotated[Name128 | None, Optional] = None
    def_tar_att: Annotated[list[Name128], Field(max_length=8), BeforeValidator(_split_names)] = Field(
        default=[], description="Default target column; several are separated by commas."
    )
    row_id_attribute: Annotated[Name128 | None, Optional] = None
    ignore_attribute: Annotated[
        list[Name128],
        BeforeValidator(_split_names),
        AfterValidator(_ignorable),
    ] = Field(default=[], description="Columns that models should leave alone, separated by commas.")
    citation: Annotated[Ascii1024 | None, Optional] = None
    original_data_url: Annotated[Url | None, Optional] = None
    paper_url: Annotated[Url | None, Optional] = None
    attributes: dict[str, str | dict[Literal["nominal"], list[str]]] = Field(
        default={},
        description="Types of columns that the file's values do not tell: `string`, `integer`, `real`, `boolean`, "
        '`nominal`, or `{"nominal": ["label", …]}`.',
    )


class UploadResponse(BaseModel):
    """The dataset is on OpenML. It becomes active when OpenML has processed it."""

    msg: Literal["dataset uploaded"] = "dataset uploaded"
    id: int = Field(description="The dataset's number on OpenML.")
    url: str = Field(description="The dataset's page on OpenML.")
    upload_id: str = Field(description="The number of this upload here.")
    warnings: list[str] = Field(
        description="What its owner may want to know; nothing in the way of publishing."
    )


class FormatNotSupportedResponse(BaseModel):
    """The file's name ends in something we cannot read. The SPA reads the text, hence 200."""

    msg: Literal["format not supported"] = "format not supported"
