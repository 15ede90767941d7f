"""What a dataset's file holds, as routes answer it."""

import json
from pathlib import Path

from app.openml.records import DatasetFile
from app.published.reading import read_described
from app.tabular.statistics.requests import ExportFormat

MEDIA_TYPES: dict[ExportFormat, str] = {
    "csv": "text/csv; charset=utf-8; header=present",
    "parquet": "application/vnd.apache.parquet",
    "feather": "application/vnd.apache.arrow.file",
    "jsonl": "application/jsonl; charset=utf-8",
}
"""Of the formats in which a dataset is handed out."""


def read_statistics(path: Path, file: DatasetFile, *, offset: int, limit: int) -> bytes:
    """Return the document of statistics with some of its columns; nothing of it is parsed. Blocking.

    Raises:
        OSError: it is gone.
    """
    head = {"dataset_id": file.dataset_id, "name": file.name, "md5": file.md5}
    found = read_described(path, offset=offset, limit=limit)
    about, columns = json.dumps(head).encode()[:-1], b",".join(found.columns)
    return b"".join([about, b', "table": ', found.table, b', "columns": [', columns, b"]}"])


def file_name(file: DatasetFile, kind: ExportFormat) -> str:
    """Return a name to save a dataset under, in letters that every system takes."""
    kept = "".join(
        each if each.isascii() and (each.isalnum() or each in "._-") else "_" for each in file.name
    )
    return f"{kept[:100].strip('.') or 'dataset'}-{file.dataset_id}.{kind}"
