"""What an owner chooses of how a file is read and what is published of it: all that a preview depends on."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)

from app.core.suggestions import NAMES_HELPED, suggest
from app.db.upload_values import Upload
from app.openml.fields import none_if_empty
from app.tabular.reading import LONGEST_CHOICE, encoding_named
from app.tabular.types import UPLOAD_LIMITS, Format

MOST_ITEMS = 200
"""In a list; of names of columns, those that are wrong."""
LONGEST_NAME = LONGEST_CHOICE
MOST_WORDS = 100
"""Words that mean a missing value."""
MOST_SKIPPED = 1_000_000
"""Lines before the table."""
OF_THE_TABLE = ("reading", "rename", "leave_out")
"""Choices that say how the file is read, and which columns there are, by which names."""
OF_COLUMNS = (
    "attributes",
    "classification",
    "def_tar_att",
    "ignore_attribute",
    "row_id_attribute",
    "repair",
)
"""Choices that say what the columns are published as."""
_NOTHING = "none"
_DELIMITERS = {
    "tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "colon": ":", "space": " ", "blank": " ",
    _NOTHING: "",
}  # fmt: skip
_QUOTES = {"double": '"', "single": "'", _NOTHING: ""}
_ESCAPES = {'""': "double", '\\"': "backslash", "\\": "backslash"}
_COMMENTS = {"hash": "#", "percent": "%", _NOTHING: ""}
_DECIMALS = {"point": ".", "comma": ","}
_THOUSANDS = {
    "comma": ",", "point": ".", "apostrophe": "'", "space": " ", "blank": " ", "underscore": "_", "nbsp": "\xa0",
    _NOTHING: "",
}  # fmt: skip


def _words(words: Mapping[str, str]) -> BeforeValidator:
    """Return a validator that replaces a character's name by the character."""

    def read(value: object) -> object:
        return words.get(value.strip().lower(), value) if isinstance(value, str) else value

    return BeforeValidator(read)


def _sign(what: str) -> Callable[[str], str]:
    """Return a validator that a text is one character that can separate cells, or begin comments."""

    def check(value: str) -> str:
        # Hive writes \x01 between cells.
        is_sign = len(value) == 1 and (value.isprintable() or value in "\t\x01\x02\x1e\x1f")
        if value and (not is_sign or value.isalnum() or value in "\"'"):
            raise ValueError(f'Give {what}: one character that is no letter, digit or quote, or "" for none.')
        return value

    return check


def _encoding(value: str) -> str:
    name = encoding_named(value)
    if name is None:
        raise ValueError(
            "This is no encoding that is read here; use e.g. utf-8, cp1252, cp1251, gb18030, shift_jis."
        )
    return name


def _is_no_flag(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("Give a number.")  # noqa: TRY004 - pydantic makes a field's error of a ValueError only
    return value


def _as_words(value: object) -> object:
    """Take one word as a list of one; look at the number first, for each that is wrong would be an error of its own."""
    words = [value] if isinstance(value, str) else value
    if isinstance(words, list) and len(words) > MOST_WORDS:
        raise ValueError(f"Give at most {MOST_WORDS} words.")
    return words


def not_endless(value: object) -> object:
    """Look at the length first: each item that is wrong would become an error of its own."""
    if isinstance(value, list) and len(value) > MOST_ITEMS:
        raise ValueError(f"Give at most {MOST_ITEMS}.")
    return value


def is_text(value: object) -> bool:
    """Return whether it is a text that UTF-8 can hold."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def split_names(value: object) -> object:
    """Take `"a, b"` as two column names."""
    value = none_if_empty(value)
    if isinstance(value, str):
        return [name for part in value.split(",") if (name := part.strip())]
    return [] if value is None else not_endless(value)


def _new_names(value: object) -> object:
    """Take a missing one as none; count what is wrong first, as above."""
    value = none_if_empty(value)
    if isinstance(value, dict):
        _require_names([*value, *value.values()])
    return {} if value is None else value


def _left_out(value: object) -> object:
    """Take `"a, b"` as two names of any number of columns; count what is wrong first, as above."""
    if isinstance(value, list):
        return _require_names(value)
    return split_names(value)


def _require_names(names: list[object]) -> list[object]:
    wrong = sum(not (is_text(name) and 0 < len(str(name)) <= LONGEST_NAME) for name in names)
    if wrong > MOST_ITEMS or len(names) > 2 * UPLOAD_LIMITS.max_columns:
        raise ValueError(f"More than {MOST_ITEMS} of these are no names of columns.")
    return names


ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]
"""A column as the file names it; under which name it is published the conversion decides."""
ColumnNames = str | list[ColumnName] | None
NewNames = Annotated[dict[ColumnName, ColumnName], BeforeValidator(_new_names)]
LeftOut = Annotated[list[ColumnName], BeforeValidator(_left_out, json_schema_input_type=ColumnNames)]


_Text = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]


class ReadingChoices(BaseModel):
    """How the file is read, where its owner knows better than is found. A field that is absent, or null, is found."""

    model_config = ConfigDict(extra="forbid")

    format: Format | None = Field(default=None, description="Of the file, whatever its name says.")
    encoding: Annotated[str, AfterValidator(_encoding)] | None = Field(
        default=None, description="Of its text, by any usual name.", examples=["cp1252"]
    )
    delimiter: Annotated[str, _words(_DELIMITERS), AfterValidator(_sign("the delimiter"))] | None = Field(
        default=None,
        description='The character between cells; a blank stands for one or more blanks or tabs, `""` (or `none`) for '
        "a table of one column. "
        "`tab`, `comma`, `semicolon`, `pipe`, `colon` and `space` are taken as well.",
        examples=[";"],
    )
    quote: Annotated[Literal['"', "'", ""], _words(_QUOTES)] | None = Field(
        default=None, description='The character around quoted cells; `""` (or `none`): there is none.'
    )
    escape: Annotated[Literal["double", "backslash"], _words(_ESCAPES)] | None = Field(
        default=None, description="How a quote is written inside quotes."
    )
    header: bool | None = Field(default=None, description="Whether the first row has the columns' names.")
    skip_lines: Annotated[int, BeforeValidator(_is_no_flag), Field(ge=0, le=MOST_SKIPPED)] | None = Field(
        default=None, description="Lines (of a sheet: rows) before the header, or before the first row."
    )
    comment: Annotated[str, _words(_COMMENTS), AfterValidator(_sign("the sign"))] | None = Field(
        default=None, description='What lines begin with that are no rows; `""` (or `none`): nothing.'
    )
    decimal: Annotated[Literal[".", ","], _words(_DECIMALS)] | None = Field(
        default=None, description="The decimal mark of numbers."
    )
    thousands: (
        Annotated[Literal["", ",", ".", "'", " ", "_", "\xa0", "\u202f", "\u2019"], _words(_THOUSANDS)] | None
    ) = Field(default=None, description='The mark between thousands; `""` (or `none`): there is none.')
    missing: (
        Annotated[list[Annotated[str, StringConstraints(max_length=1000)]], BeforeValidator(_as_words)] | None
    ) = Field(default=None, description="Words that mean a missing value, beside the empty cell.")
    quoted_missing: bool | None = Field(
        default=None, description="Whether such words mean it in quotes as well."
    )
    row_names: Annotated[Literal["keep", "leave-out"], _words({"leave_out": "leave-out"})] | None = Field(
        default=None, description="What becomes of a first column that names the rows."
    )
    sheet: _Text | None = Field(default=None, description="The sheet of a workbook.")
    member: _Text | None = Field(
        default=None, description="The file in an archive, or the object in an R data file."
    )
    array: _Text | None = Field(
        default=None, description="The name in a JSON document under which the rows are."
    )
    orient: Literal["records", "columns", "index", "split", "table", "values"] | None = Field(
        default=None, description="How a JSON document lays out its table, in pandas' words."
    )

    @model_validator(mode="before")
    @classmethod
    def _know_all_fields(cls, document: Any) -> Any:  # noqa: ANN401 - any JSON
        """Refuse a field that there is not: ignored, it would be a choice that nobody heeds."""
        if document is None:
            return {}
        if not isinstance(document, dict):
            raise ValueError('Send an object, such as {"delimiter": ";"}.')  # noqa: TRY004 - as above
        unknown = [name for name in document if name not in cls.model_fields][:NAMES_HELPED]
        if unknown:
            near = suggest(unknown[0], list(cls.model_fields), most=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(cls.model_fields)}."
            raise ValueError(f"There is no field {unknown[0][:64]!r}; {hint}")
        return document

    @model_validator(mode="after")
    def _have_different_signs(self) -> Self:
        for one, other in (("decimal", "thousands"), ("delimiter", "quote"), ("delimiter", "comment")):
            sign = getattr(self, one)
            if sign and sign == getattr(self, other):
                raise ValueError(f"{one} and {other} cannot be the same sign.")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_found(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


class Chosen(NamedTuple):
    """Digests of choices: of all of them, and of those of the table alone."""

    choices: str
    table: str


def digest_choices(description: Mapping[str, Any]) -> Chosen:
    """Return digests of what is chosen in a description, which may hold a mebibyte: call it in a thread."""
    table, columns = choices_of(description, OF_THE_TABLE), choices_of(description, OF_COLUMNS)
    return Chosen(_digest([table, columns]), _digest(table))


def preview_version(upload: Upload) -> str:
    """Return of which choices the preview is; empty if there is none, or one of an older version of the service."""
    return (upload.reading or {}).get("choices", "")


def choices_of(
    description: Mapping[str, Any] | None, names: tuple[str, ...] = OF_THE_TABLE + OF_COLUMNS
) -> dict[str, Any]:
    """Return those choices that a description has, without those that say nothing."""
    known = description or {}
    return {name: known[name] for name in names if known.get(name) not in (None, [], {})}


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
