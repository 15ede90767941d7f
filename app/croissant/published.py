"""Croissant of a dataset at OpenML, made of its document in the index."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from app.croissant.dataset import Document, address_of, text_of
from app.croissant.metadata import DescribedColumn, FileObject, TaskSplits, write

_MD5_DIGITS: Final = 32
_PARQUET: Final = "application/x-parquet"
_ROLES: Final = {
    "target": "What is to be predicted.",
    "identifier": "The number of the row.",
    "ignore": "To be ignored by models.",
}


def describe_published(
    document: Document,
    *,
    page: str,
    file: str,
    parquet: str,
    is_parquet: bool = False,
    splits: Sequence[TaskSplits] = (),
) -> dict[str, Any]:
    """Return a dataset as Croissant; any field of the document may be missing or of any type.

    Args:
        document: as the index has it.
        page: address of the dataset's page.
        file: address of its file.
        parquet: address of the same table as Parquet.
        is_parquet: whether its file is Parquet itself, and not ARFF.
        splits: of tasks of it.
    """
    md5 = text_of(document.get("md5_checksum"))
    md5 = md5 if len(md5) == _MD5_DIGITS else ""
    files = [
        FileObject("data.arff", "text/x-arff", address_of(file), md5=md5),
        FileObject("data.parquet", _PARQUET, address_of(parquet)),
    ]
    if is_parquet and files[0].address:
        files = [FileObject("data.parquet", _PARQUET, files[0].address, md5=md5)]
    features = list(_features(document.get("features")))
    qualities = document.get("qualities")
    total = _count(qualities.get("NumberOfFeatures")) if isinstance(qualities, Mapping) else 0
    return write(
        document,
        [file for file in files if file.address],
        features,
        address=page,
        left_out=max(total - len(features), 0) if features else 0,
        splits=splits,
    )


def _features(items: object) -> Iterator[DescribedColumn]:
    for item in items if isinstance(items, list) else []:
        if isinstance(item, Mapping) and (name := text_of(item.get("name"))):
            yield DescribedColumn(
                name,
                name,
                text_of(item.get("type")) or "string",
                _all_labels(item),
                _count(item.get("missing")),
                next((said for flag, said in _ROLES.items() if item.get(flag) == "1"), ""),
            )


def _all_labels(item: Mapping[str, Any]) -> list[str]:
    """Return a column's labels, or none where some are missing: documents have the first ones only."""
    labels = item.get("labels")
    found = list(map(text_of, labels)) if isinstance(labels, list) else []
    return found if len(set(found)) == _count(item.get("distinct")) and all(found) else []


def _count(value: object) -> int:
    text = text_of(value)
    return int(float(text)) if text.replace(".", "", 1).isdigit() and len(text) < _MD5_DIGITS else 0
