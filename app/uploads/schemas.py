"""What clients say of an upload before its bytes, and what they are answered."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    model_validator,
)

from app.core.errors import ERRORS_SHOWN
from app.core.problem_schema import ProblemDocument, ShownAs
from app.db.upload_states import UploadState
from app.db.upload_values import Phase
from app.openml.fields import RepairResponse
from app.uploads.metadata import DraftMetadata


class UploadRequest(BaseModel):
    """What is known of an upload before its first byte."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _name_some_unknown(cls, document: Any) -> Any:  # noqa: ANN401 - any JSON
        """Keep only as many unknown fields as a refusal names: to report each of 100 000 takes seconds."""
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

    phase: Phase
    bytes: int = Field(description="Of the file so far: received, verified, read; or of the ARFF file: sent.")
    total_bytes: int | None
    rows: int | None = Field(description="Rows so far, where there are any to count.")
    detail: str | None = Field(default=None, description="What it waits for (`waiting`).")


class UploadStatusResponse(BaseModel):
    """The state of an upload."""

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


FieldValue = str | int | bool | list[str] | None
"""A value of a field of the reading."""


class ReadingFieldResponse(BaseModel):
    """How one field of the reading was decided."""

    value: FieldValue
    by: Literal["owner", "file", "default"] = Field(
        description="Who decided: its owner, the file's content, or nobody (the format's usual way)."
    )
    sure: bool = Field(description="Whether no doubt is left.")
    considered: list[FieldValue] = Field(description="Other values that the file would bear.")
    why: str = Field(description="The reason; empty where there is nothing to say.")


class DoubtResponse(BaseModel):
    """A guess at which a mistake would lose or change values; a choice of the field settles it."""

    field: str = Field(description="Of `reading`, or `attributes` for the type of a column.")
    message: str = Field(description="What is not clear, with the cells that show it.")
    choices: list[Any] = Field(description="Values of the field that would do, the likeliest first.")
    column: str | None = Field(description="By its published name, if it is about one.")


class UploadDetailResponse(UploadStatusResponse):
    """An upload: its state, its description, and every step so far."""

    metadata: dict[str, Any] = Field(description="The dataset's description so far.")
    reading: dict[str, ReadingFieldResponse] = Field(
        description="How its file was read when it was last looked at, by field; empty before."
    )
    doubts: list[DoubtResponse] = Field(description="What is not sure in it: the first of them.")
    doubt_count: int
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


class UnknownColumnResponse(BaseModel):
    """A column that the metadata names and the table does not have, as the file is read now."""

    field: str = Field(description="Where it is named.")
    column: str
    message: str


class HintResponse(BaseModel):
    """Advice about the table's quality; nothing is refused for it."""

    slug: Literal[
        "constant-columns",
        "duplicate-columns",
        "duplicate-rows",
        "id-features",
        "target-giveaway",
        "single-row-classes",
        "class-imbalance",
        "personal-data",
    ]
    message: str = Field(description="What is so, with the figure.")
    advice: str = Field(description="What to do.")
    columns: list[str] = Field(
        description="The first of the columns that it is about, by their names at OpenML."
    )
    column_count: int
    rows_looked_at: int = Field(description="Of how many rows it is known; it is exact if they are all.")


class PreviewResponse(BaseModel):
    """What an upload's table is like before it is published, and what is said of the dataset so far."""

    state: UploadState
    is_current: bool = Field(
        description="Whether it is of the choices that `metadata` has; if not, it is made anew, or cannot be."
    )
    metadata: dict[str, Any] = Field(description="The dataset's description so far.")
    row_count: int
    column_count: int
    error_count: int = Field(description="Columns that cannot be published as they are.")
    arff_format: Literal["ARFF", "Sparse_ARFF"]
    reading: dict[str, ReadingFieldResponse] = Field(description="How the file is read, by field.")
    doubts: list[DoubtResponse] = Field(description="What is not sure in it: the first of them.")
    doubt_count: int
    unknown: list[UnknownColumnResponse]
    repairs: list[RepairResponse] = Field(
        description="What would be changed so that OpenML can take it: the first of them."
    )
    repair_count: int
    warnings: list[str]
    hints: list[HintResponse] = Field(
        description="What one may want to change first; at most one of each kind."
    )
    first: int = Field(description="Which of those that were found the first column below is, from 0.")
    found: int = Field(description="How many columns there are, of those that `search` asks for.")
    columns: list[PreviewColumnResponse]


class UploadsResponse(BaseModel):
    """One's uploads, newest first."""

    uploads: list[UploadStatusResponse]
    next: str | None = Field(description="Send it as `before` for older ones; null if there are none.")
