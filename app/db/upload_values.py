"""What the statements on `uploads` take and return: rows, and what these hold as JSON."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypedDict

LIST_BYTES: Final = 32_768
"""What one row keeps of its warnings, and of its repairs, as JSON: a page of a hundred rows is read at once."""
ERROR_TEXT: Final = 4_000
"""Characters that a row keeps of each text of its error, and of how its file is read."""
NAME_LENGTH: Final = 128
MOST_DOUBTS: Final = 50
"""Doubts about how a file is read that are kept and shown; there may be one for each column."""
Phase = Literal["receiving", "verifying", "inspecting", "converting", "sending", "waiting"]
"""What is being done with an upload."""


class UploadProgress(TypedDict, total=False):
    """How far a phase is: bytes of the file or of the ARFF file, rows, and what it waits for (`waiting`)."""

    phase: Phase
    bytes: int
    total_bytes: int | None
    rows: int | None
    detail: str


class PublishedNames(TypedDict):
    """Names under which the conversion publishes columns that the description names as the file does."""

    def_tar_att: list[str]
    row_id_attribute: str | None
    ignore_attribute: list[str]


class KnownReading(TypedDict, total=False):
    """How the file of an upload was read when it was last looked at, or converted.

    Attributes:
        fields: how each field of the reading was decided, as `ReadingReport.to_json` has it.
        doubts: the first of the guesses at which a mistake would lose or change values.
        doubt_count: how many there are.
        choices: digest of the choices of which the preview is; absent if there is none.
        table: digest of those of them that say how the file is read and which columns there are.
    """

    fields: dict[str, Any]
    doubts: list[dict[str, Any]]
    doubt_count: int
    choices: str
    table: str


class Description(TypedDict, total=False):
    """What is said of a dataset: the fields of `DraftMetadata`, and once it is converted the names it has then."""

    dataset_name: str | None
    description: str | None
    creator: list[str]
    contributor: list[str]
    collection_date: str | None
    licence: str | None
    language: str | None
    def_tar_att: list[str]
    row_id_attribute: str | None
    ignore_attribute: list[str]
    citation: str | None
    original_data_url: str | None
    paper_url: str | None
    classification: bool
    repair: bool
    notify: bool
    allow_duplicate: bool
    attributes: dict[str, str | Mapping[str, list[str]]]
    reading: dict[str, Any]
    rename: dict[str, str]
    leave_out: list[str]
    published_names: PublishedNames


class Upload(NamedTuple):
    """An upload's row."""

    id: str
    user_id: int
    state: str
    file_name: str
    format: str
    description: Description | None
    dataset_name: str | None
    reserved_bytes: int
    stored_bytes: int
    total_bytes: int | None
    received_bytes: int | None
    expected_sha256: str | None
    publish_requested: bool
    cancel_requested: bool
    request_digest: str | None
    expires_at: datetime | None
    duplicate_of: str | None
    progress: UploadProgress | None
    tus_metadata: str | None
    is_partial: bool
    joined_from: str | None
    joined_into: str | None
    lease_owner: str | None
    received_md5: str | None
    received_sha256: str | None
    arff_bytes: int | None
    arff_md5: str | None
    arff_format: str | None
    row_count: int | None
    column_count: int | None
    warnings: list[str] | None
    repairs: list[dict[str, str]] | None
    reading: KnownReading | None
    sent_at: datetime | None
    newest_before: int | None
    dataset_id: int | None
    error: dict[str, Any] | None
    attempts: int
    available_at: datetime
    created_at: datetime
    finished_at: datetime | None
    quarantined_at: datetime | None
    traceparent: str | None


class Outcome(NamedTuple):
    """Outcome of an upload, for a request that waits for it."""

    state: str
    dataset_id: int | None
    duplicate_of: str | None
    error: dict[str, Any] | None
    warnings: list[str]
    repairs: list[dict[str, str]]


class Owner(NamedTuple):
    """Who published: whether they still may, and their key on OpenML."""

    api_key: str | None
    active: bool


class NewUpload(NamedTuple):
    """What is known of an upload before its first byte.

    Attributes:
        lease_owner: who writes the bytes of an upload that comes in one request; None if it may come in many.
        available_at: when the one request that writes it is given up.
        expires_at: when one that may come in many is.
        reserved_bytes: room that was found for it.
        is_partial: whether it is a partial upload, to be joined with others.
        joined_from: what a client said of the parts that it is joined from.
    """

    id: str
    user_id: int
    file_name: str
    format: str
    created_at: datetime
    available_at: datetime
    lease_owner: str | None = None
    expires_at: datetime | None = None
    total_bytes: int | None = None
    reserved_bytes: int = 0
    expected_sha256: str | None = None
    publish_requested: bool = True
    description: Description | None = None
    repairs: list[dict[str, str]] | None = None
    warnings: list[str] | None = None
    tus_metadata: str | None = None
    is_partial: bool = False
    joined_from: str | None = None
    idempotency_key: str | None = None
    request_digest: str | None = None


def as_kept(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return columns as the table keeps them: the lists cut, and the dataset's name beside its description."""
    kept = dict(values)
    if "description" in kept and isinstance(kept["description"], Mapping | None):
        name = (kept["description"] or {}).get("dataset_name")
        kept["dataset_name"] = name[:NAME_LENGTH] if name else None
    if kept.get("warnings"):
        kept["warnings"] = _fitting(kept["warnings"], lambda left: f"… and {left} more warnings")
    if kept.get("repairs"):
        kept["repairs"] = _fitting(kept["repairs"], _more_repairs)
    if kept.get("reading"):
        doubts = kept["reading"].get("doubts", [])
        kept["reading"] = {**kept["reading"], "doubts": doubts[:MOST_DOUBTS], "doubt_count": len(doubts)}
    for name in ("error", "reading"):
        if isinstance(kept.get(name), Mapping):
            kept[name] = _shortened(kept[name])
    return kept


def _more_repairs(left: int) -> dict[str, str]:
    # Not without a column: those are of the description, and outlive a conversion.
    return {"column": "…", "change": f"and {left} more changes", "reason": "there is no room to list them"}


def _fitting(items: Sequence[Any], more: Any) -> list[Any]:  # noqa: ANN401 - makes an item of the same kind
    """Return the first of the items that are small enough together, and then how many more there are."""
    room = LIST_BYTES
    for told, item in enumerate(items):
        room -= len(json.dumps(item))
        if room < 0:
            return [*items[:told], more(len(items) - told)]
    return list(items)


def _shortened(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return value if len(value) <= ERROR_TEXT else value[: ERROR_TEXT - 1] + "…"
    if isinstance(value, Mapping):
        return {name: _shortened(each) for name, each in value.items()}
    return [_shortened(each) for each in value] if isinstance(value, list | tuple) else value
