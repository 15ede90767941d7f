"""What rows of `uploads` hold as JSON: of lists whose length a client has chosen, as much as a listing can show."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypedDict

LIST_BYTES: Final = 32_768
"""What one row keeps of its warnings, and of its repairs, as JSON: a page of a hundred rows is read at once."""
ERROR_TEXT: Final = 4_000
"""Characters that a row keeps of each text of its error."""
NAME_LENGTH: Final = 128


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
    published_names: PublishedNames


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
    if isinstance(kept.get("error"), Mapping):
        kept["error"] = _shortened(kept["error"])
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
