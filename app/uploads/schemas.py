"""What describes a dataset, as the SPA sends it; the limits are those of OpenML's own schema."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StringConstraints,
    model_validator,
)

from app.core.errors import ERRORS_SHOWN
from app.core.problem_schema import ProblemDocument, ShownAs
from app.db.upload_states import UploadState
from app.openml.description import require_ignorable
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
)
from app.openml.repairs import RepairResponse
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


class UploadRequest(BaseModel):
    """What is known of an upload before its first byte."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _name_some_unknown(cls, document: Any) -> Any:  # noqa: ANN401 - any JSON
        """Leave as many unknown fields as a refusal names; to complain of each of 100 000 takes seconds."""
        if not isinstance(document, dict):
            return document
        unknown = [name for name in document if name not in cls.model_fields]
        return {
            name: document[name] for name in (*cls.model_fields, *unknown[:ERRORS_SHOWN]) if name in document
        }

    file_name: str = Field(
        min_length=1, max_length=1000, description="Its end says what the file is.", examples=["river.csv"]
    )
    size: StrictInt | None = Field(default=None, ge=0, description="Of the file in bytes, if it is known.")
    metadata: Annotated[dict[str, Any], ShownAs(DraftMetadata)] = Field(
        default={},
        description="The dataset's description, now or later (`PATCH`); as for `POST /data-upload`.",
    )
    publish: bool = Field(
        default=False,
        description="Publish as soon as the bytes are in, without a preview.",
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
    repairs: list[RepairResponse] = Field(description="What was changed so that OpenML can take it.")


class LimitsResponse(BaseModel):
    """What an upload may hold, to be known before its first byte."""

    suffixes: list[str] = Field(description="Ends of file names that can be read, in any case.")
    upload_bytes: int = Field(description="Of the file as it is sent.")
    unpacked_bytes: int = Field(
        description="Of the file once it is unpacked, and of the ARFF file made of it."
    )
    columns: int
    labels: int = Field(description="Different values of one nominal column.")
    cell_bytes: int = Field(description="Of one value, as UTF-8.")
    unfinished_uploads: int = Field(description="Uploads that one user may have under way.")
    unfinished_bytes: int = Field(description="What they may take together.")


class LicenceResponse(BaseModel):
    """A licence to choose; OpenML takes any other text of up to 64 ASCII characters as well."""

    name: str = Field(description="What goes into the field `licence`.")
    spdx: str | None = Field(description="The identifier of the SPDX list.")
    url: str | None


class FormatNotSupportedResponse(BaseModel):
    """The file's name ends in something we cannot read. The SPA reads the text, hence 200."""

    msg: Literal["format not supported"] = "format not supported"


class UploadAcceptedResponse(BaseModel):
    """The bytes are safe, and the rest goes on by itself: the answer to `Prefer: respond-async`."""

    msg: Literal["upload accepted"] = "upload accepted"
    upload_id: str
    status_path: str = Field(description="Where to ask how it fares, from the root of this service.")


class DraftResponse(BaseModel):
    """The bytes are safe; nothing is published until its owner says so."""

    msg: str = Field(description="The number of the upload; its page is /dashboard/data-upload?uuid=…")


class ProgressResponse(BaseModel):
    """How far the phase is that an upload is in."""

    phase: Literal["receiving", "verifying", "inspecting", "converting", "sending", "waiting"]
    bytes: int = Field(description="Of the file so far: received, verified, read; or of the ARFF file: sent.")
    total_bytes: int | None
    rows: int | None = Field(description="Rows so far, where there are any to count.")
    detail: str | None = Field(default=None, description="What it waits for (`waiting`).")


class UploadStatusResponse(BaseModel):
    """How one of one's uploads fares."""

    id: str
    state: UploadState
    file_name: str
    format: str
    size: int | None = Field(description="Of the whole file, in bytes; null until it is known.")
    received_bytes: int = Field(description="Bytes of the file that are safe here; go on from there.")
    sha256: str | None = Field(description="Of the whole file, once it is verified.")
    publish: bool = Field(description="Whether it is to be published as soon as the bytes are in.")
    partial: bool = Field(
        description="Whether it is a part of a file, to be joined with others; never published."
    )
    dataset_name: str | None = Field(description="Null until the metadata is there.")
    progress: ProgressResponse | None = Field(description="Null where nothing moves.")
    row_count: int | None
    column_count: int | None
    created_at: datetime
    expires_at: datetime | None = Field(description="When it is given up unless you come back.")
    finished_at: datetime | None = Field(description="When it became active, or ended otherwise.")
    dataset_id: int | None = Field(description="The dataset's number on OpenML, once it is published.")
    dataset_url: str | None = Field(description="The dataset's page on OpenML.")
    duplicate_of: str | None = Field(
        description="Your earlier upload of the same file under the same name; `dataset_id` is that one's."
    )
    warnings: list[str] = Field(description="What its owner may want to know.")
    repairs: list[RepairResponse] = Field(description="What was changed so that OpenML can take it.")
    error: ProblemDocument | None = Field(description="Why it failed.")


class UploadEventResponse(BaseModel):
    """A step that an upload has taken."""

    id: int
    state: UploadState
    at: datetime


class UploadDetailResponse(UploadStatusResponse):
    """How one of one's uploads fares, what is said of it, and every step so far."""

    metadata: dict[str, Any] = Field(description="The dataset's description so far.")
    events: list[UploadEventResponse]


class HistogramResponse(BaseModel):
    """How many numbers there are between two edges each; the second one belongs to the next bin, if there is one."""

    edges: list[float | int]
    counts: list[int]


class NumbersResponse(BaseModel):
    """What a column's numbers are like; null where no number can hold the figure."""

    min: float | int
    max: float | int
    mean: float | None
    std: float | None
    histogram: HistogramResponse


class LengthsResponse(BaseModel):
    """How long a column's texts are, in characters."""

    min: int
    max: int
    mean: float


class ValueCountResponse(BaseModel):
    """A value and how often it occurs."""

    value: str
    count: int


class AlternativeResponse(BaseModel):
    """A type that a column could be given in `attributes`."""

    type: Literal["string", "integer", "real", "boolean", "nominal"]
    possible: bool | None = Field(description="Null: only the conversion can say.")
    row: int | None = Field(description="The first row in the way, from 1.")
    value: str | None = Field(description="What stands there.")
    message: str | None


class ColumnErrorResponse(BaseModel):
    """Why a column cannot be published as it is."""

    slug: str
    message: str
    row: int | None
    hint: str | None
    value: str | None


class PreviewColumnResponse(BaseModel):
    """What a column would be published as, and what is in it."""

    position: int = Field(description="Among those that would be published, from 0.")
    key: str = Field(description="By which name to speak of it in the metadata.")
    file_name: str = Field(description="What the file calls it.")
    name: str = Field(description="What OpenML will call it.")
    type: Literal["integer", "real", "numeric", "nominal", "string"]
    why: str = Field(description="Why it has this type.")
    chosen: str | dict[str, list[str]] | None = Field(
        description="What was chosen for it before the file was looked at."
    )
    labels: list[str] | None = Field(description="The first of a nominal column's labels.")
    label_count: int | None
    alternatives: list[AlternativeResponse]
    missing: int = Field(description="Rows without a value.")
    distinct: int
    distinct_is_exact: bool = Field(description="If not, there are at least so many.")
    numbers: NumbersResponse | None
    commonest: list[ValueCountResponse] | None
    lengths: LengthsResponse | None
    first_values: list[str | None] | None = Field(
        description="In the first rows; null is missing. Only of the first columns of a wide table."
    )
    error: ColumnErrorResponse | None


class PreviewResponse(BaseModel):
    """What an upload's table is like before it is published, and what is said of the dataset so far."""

    state: UploadState
    metadata: dict[str, Any] = Field(description="The dataset's description so far.")
    row_count: int
    column_count: int
    error_count: int = Field(description="Columns that cannot be published as they are.")
    arff_format: Literal["ARFF", "Sparse_ARFF"]
    repairs: list[RepairResponse] = Field(
        description="What would be changed so that OpenML can take it: the first of them."
    )
    repair_count: int
    warnings: list[str]
    first: int = Field(description="Which of those that were found the first column below is, from 0.")
    found: int = Field(description="How many columns there are, of those that `search` asks for.")
    columns: list[PreviewColumnResponse]


class UploadsResponse(BaseModel):
    """One's uploads, newest first."""

    uploads: list[UploadStatusResponse]
    next: str | None = Field(description="Send it as `before` for older ones; null if there are none.")
