"""Croissant of a draft: what its preview and its description say, of the file as it lies on its owner's disk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from app.core.concurrency import BoundedExecutor
from app.croissant.encoding import to_json
from app.croissant.metadata import DescribedColumn, FileObject, write
from app.db.upload_values import Upload
from app.storage.parts import UploadStorage
from app.tabular import read_profile
from app.uploads.metadata import given
from app.uploads.preview import find_profile
from app.uploads.problems import UploadStateError

MOST_COLUMNS: Final = 50_000
MEDIA_TYPES: Final = {
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
    "jsonl": "application/jsonlines",
    "parquet": "application/x-parquet",
    "arff": "text/x-arff",
}
"""Of formats, as programs for Croissant know them; others are bytes to them."""


async def describe_draft(
    storage: UploadStorage, checks: BoundedExecutor, upload: Upload, *, address: str
) -> bytes:
    """Return a draft as Croissant; its file is the one of this name beside the description.

    Raises:
        UploadStateError: there is no preview of it (yet).
        UploadGoneError: its bytes are gone.
    """
    path = await find_profile(storage, upload)
    try:
        return await checks.run_for(upload.user_id, _written, path, upload, address)
    except (OSError, ValueError):
        raise UploadStateError("There is no preview to describe the table by.") from None


def _written(path: Path, upload: Upload, address: str) -> bytes:
    """Return the JSON; blocking."""
    page = read_profile(path, most=MOST_COLUMNS)
    description = given(upload.description)
    file = FileObject(
        upload.file_name,
        MEDIA_TYPES.get(upload.format or "", "application/octet-stream"),
        upload.file_name,
        sha256=upload.received_sha256 or "",
    )
    document = {**description, "name": description.get("dataset_name") or upload.file_name}
    features = [_feature(column) for column in page.columns]
    return to_json(write(document, [file], features, address=address)).encode()


def _feature(column: Mapping[str, Any]) -> DescribedColumn:
    labels = column["labels"] or []
    is_whole = len(labels) == column.get("label_count")
    return DescribedColumn(
        column["name"],
        column["file_name"],
        column["type"],
        labels if is_whole else (),
        column["missing"],
    )
