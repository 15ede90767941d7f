"""Croissant 1.1: a dataset's files, its columns and their labels, for programs that load it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from app.croissant.dataset import Document, properties_of, stated, text_of

CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
VERSION: Final = "http://mlcommons.org/croissant/1.1"
TYPES: Final = {"integer": "sc:Integer", "real": "sc:Float", "numeric": "sc:Float", "date": "sc:Date"}
MOST_LABELS: Final = 20_000
"""Labels that are listed, of all columns together."""
ROWS: Final = "rows"
"""The record set of the table."""
SPLIT: Final = "split"
"""The record set of the parts of a split; those of tasks begin with it."""
_SPLIT_COLUMNS: Final = {
    "type": "Whether the row trains or tests.",
    "rowid": "The number of the row.",
    "repeat": "Which of the repeats.",
    "fold": "Which of its folds.",
}


@dataclass(frozen=True, slots=True)
class FileObject:
    """A file of a dataset.

    Attributes:
        name: what it is called, which no other file is.
        media_type: of what it has.
        address: where it is: an address, or its name beside the description.
        sha256: of its bytes, in hexadecimal digits, if it is known.
        md5: likewise.
    """

    name: str
    media_type: str
    address: str
    sha256: str = ""
    md5: str = ""


@dataclass(frozen=True, slots=True)
class DescribedColumn:
    """A column.

    Attributes:
        name: as published.
        column: as the file that is read calls it.
        kind: OpenML's type.
        labels: all of its labels, if they are known.
        missing: rows without a value.
        role: what it is for, as a sentence; empty for a feature like others.
    """

    name: str
    column: str
    kind: str
    labels: Sequence[str] = ()
    missing: int = 0
    role: str = ""


@dataclass(frozen=True, slots=True)
class TaskSplits:
    """Which rows a task trains and tests with.

    Attributes:
        task_id: its number.
        procedure: how the rows were split, as a sentence's part.
        address: of a CSV file with the columns of `_SPLIT_COLUMNS`.
    """

    task_id: int
    procedure: str
    address: str


def write(
    document: Document,
    files: Sequence[FileObject],
    features: Sequence[DescribedColumn],
    *,
    address: str,
    left_out: int = 0,
    splits: Sequence[TaskSplits] = (),
) -> dict[str, Any]:
    """Return a dataset as Croissant.

    Args:
        document: as the index has it.
        files: those that there are; the last one is that of which the columns are read.
        features: the columns.
        address: of the dataset's page.
        left_out: columns that the file has and `features` has not.
        splits: of tasks.
    """
    ids = unique_ids(feature.name for feature in features)
    listed = _listed(features)
    fields = [
        _field(feature, f"{ROWS}/{name}", files[-1].name, f"labels/{name}" if number in listed else "")
        for number, (feature, name) in enumerate(zip(features, ids, strict=True))
    ]
    labels = [_label_set(features[number], f"labels/{ids[number]}") for number in sorted(listed)]
    split_files = [FileObject(_split_file(each), "text/csv", each.address) for each in splits]
    said = f"The table. {left_out} further columns are not described." if left_out else "The table."
    rows = {"@type": "cr:RecordSet", "@id": ROWS, "name": ROWS, "description": said, "field": fields}
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        **stated(
            {
                **properties_of(document),
                "url": address,
                "citeAs": text_of(document.get("citation")),
                # Without a checksum of each file, it is told that their bytes may be others tomorrow.
                "isLiveDataset": not all(file.sha256 or file.md5 for file in (*files, *split_files)) or None,
                "rai:dataCollectionMissingData": _missing(features),
                "rai:dataCollectionTimeframe": text_of(document.get("collection_date")),
                "distribution": [_file(file) for file in (*files, *split_files)],
            }
        ),
        "recordSet": [*labels, *([rows] if fields else []), *_split_sets(splits)],
    }


def unique_ids(names: Iterable[str]) -> list[str]:
    """Return an id for each name: `a b` and `a_b` have different ones, and so have two of one name."""
    taken: set[str] = set()
    found: list[str] = []
    for name in names:
        plain = quote(name[:200].encode("utf-8", "replace"), safe="") or "empty"
        # No name has a comma left in it.
        new = plain if plain not in taken else f"{plain},{len(found)}"
        taken.add(new)
        found.append(new)
    return found


def _file(file: FileObject) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": file.name,
        "name": file.name,
        "contentUrl": file.address,
        "encodingFormat": file.media_type,
        **({"sha256": file.sha256} if file.sha256 else {"md5": file.md5} if file.md5 else {}),
    }


def _field(feature: DescribedColumn, identity: str, file: str, labels: str) -> dict[str, Any]:
    said = " ".join(filter(None, (feature.role, f"OpenML's type is {feature.kind}.")))
    return {
        "@type": "cr:Field",
        "@id": identity,
        "name": feature.name,
        "description": said,
        "dataType": TYPES.get(feature.kind, "sc:Text"),
        "source": {"fileObject": {"@id": file}, "extract": {"column": feature.column}},
        **({"references": {"field": {"@id": f"{labels}/name"}}} if labels else {}),
    }


def _listed(features: Sequence[DescribedColumn]) -> set[int]:
    """Return the columns whose labels are listed: the first ones, until it would be too many."""
    found: set[int] = set()
    left = MOST_LABELS
    for number, feature in enumerate(features):
        if 0 < len(feature.labels) <= left:
            left -= len(feature.labels)
            found.add(number)
    return found


def _label_set(feature: DescribedColumn, identity: str) -> dict[str, Any]:
    name = f"{identity}/name"
    return {
        "@type": "cr:RecordSet",
        "@id": identity,
        "name": identity,
        "description": "The labels of a column.",
        "dataType": "sc:Enumeration",
        "key": {"@id": name},
        "field": [{"@type": "cr:Field", "@id": name, "name": "name", "dataType": "sc:Text"}],
        "data": [{name: label} for label in feature.labels],
    }


def _split_file(splits: TaskSplits) -> str:
    return f"splits-{splits.task_id}.csv"


def _split_sets(splits: Sequence[TaskSplits]) -> list[dict[str, Any]]:
    """Return what the parts of a split are called, and a record set for each task: a line for each row of each fold."""
    if not splits:
        return []
    kinds = [("TRAIN", "cr:TrainingSplit"), ("TEST", "cr:TestSplit")]
    names = {
        "@type": "cr:RecordSet",
        "@id": SPLIT,
        "name": SPLIT,
        "description": "What a row of a split is for.",
        "dataType": "cr:Split",
        "key": {"@id": f"{SPLIT}/name"},
        "field": [
            {"@type": "cr:Field", "@id": f"{SPLIT}/name", "name": "name", "dataType": "sc:Text"},
            {"@type": "cr:Field", "@id": f"{SPLIT}/url", "name": "url", "dataType": "sc:URL"},
        ],
        "data": [{f"{SPLIT}/name": name, f"{SPLIT}/url": url} for name, url in kinds],
    }
    return [names, *(_split_set(each) for each in splits)]


def _split_set(splits: TaskSplits) -> dict[str, Any]:
    identity = f"{SPLIT}/task-{splits.task_id}"
    return {
        "@type": "cr:RecordSet",
        "@id": identity,
        "name": identity,
        "description": f"How task {splits.task_id} splits the rows: {splits.procedure}. Rows are counted from 0.",
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{identity}/{column}",
                "name": column,
                "description": said,
                "dataType": "sc:Text" if column == "type" else "sc:Integer",
                "source": {"fileObject": {"@id": _split_file(splits)}, "extract": {"column": column}},
                **({"references": {"field": {"@id": f"{SPLIT}/name"}}} if column == "type" else {}),
            }
            for column, said in _SPLIT_COLUMNS.items()
        ],
    }


def _missing(features: Sequence[DescribedColumn]) -> str:
    """Return how many values are missing, for whoever judges the data; nothing if none is."""
    gaps = [feature for feature in features if feature.missing > 0]
    if not gaps:
        return ""
    some = ", ".join(f"{feature.name[:100]} ({feature.missing})" for feature in gaps[:20])
    return f"Values are missing in {len(gaps)} of {len(features)} columns: {some}{' …' if gaps[20:] else ''}."
