"""What OpenML's documents say, as records. Pure; numbers that are none raise ValueError."""

import sys
from collections.abc import Mapping
from xml.etree.ElementTree import Element

from app.openml import xml
from app.openml.records import (
    DatasetDescription,
    DatasetInfo,
    Feature,
    ListedDataset,
    ListedTask,
    Procedure,
    Study,
)
from app.openml.streamed import ListKind

LISTS = ("creator", "contributor", "ignore_attribute")
"""Fields of a dataset that may be repeated."""
TEXTS = tuple(name for name in xml.EDIT_FIELDS if name not in LISTS)
PAGE = 1000
"""Entries that are asked for at once where a list can have any number of them."""
_ENTRY_BYTES = 64 << 10
"""Of a dataset or task in a list, with more than a hundred qualities."""
_SHORT_LIST_BYTES = 8 << 20
_LEAST_COLUMNS = 100_000
_FEATURE_BYTES = 4 << 10
"""Of a column: its name and flags take 700 bytes at most, the rest is for labels, of which few columns have many."""


def _whole_number(element: Element, name: str) -> int:
    return int(xml.child_text(element, name) or 0)


def _feature(item: Element) -> Feature:
    # Four words for fifty thousand columns.
    return Feature(xml.child_text(item, "name") or "", sys.intern(xml.child_text(item, "data_type") or ""))


def _listed_dataset(item: Element) -> ListedDataset:
    return ListedDataset(
        dataset_id=_whole_number(item, "did"),
        uploader=_whole_number(item, "uploader") or None,
        status=sys.intern(xml.child_text(item, "status") or ""),
    )


def _listed_task(item: Element) -> ListedTask:
    inputs = {node.get("name", ""): node.text or "" for node in item.findall(f"{xml.OML}input")}
    return ListedTask(_whole_number(item, "task_id"), inputs)


def _procedure(item: Element) -> Procedure:
    return Procedure(
        procedure_id=_whole_number(item, "id"),
        type_id=_whole_number(item, "ttid"),
        name=xml.child_text(item, "name") or "",
    )


def features(max_columns: int) -> ListKind[Feature]:
    """Return how the list of a dataset's columns is read, of the largest table that is published here and larger."""
    most = max(max_columns, _LEAST_COLUMNS)
    return ListKind(
        name="list of columns",
        root="data_features",
        item="feature",
        fields=frozenset({"name", "data_type"}),
        read=_feature,
        most=most,
        limit_bytes=most * _FEATURE_BYTES,
    )


DATASETS = ListKind(
    name="list of datasets",
    root="data",
    item="dataset",
    fields=frozenset({"did", "uploader", "status"}),
    read=_listed_dataset,
    most=PAGE,
    limit_bytes=PAGE * _ENTRY_BYTES,
)
TASKS = ListKind(
    name="list of tasks",
    root="tasks",
    item="task",
    fields=frozenset({"task_id", "input"}),
    read=_listed_task,
    most=PAGE,
    limit_bytes=PAGE * _ENTRY_BYTES,
)
PROCEDURES = ListKind(
    name="list of estimation procedures",
    root="estimationprocedures",
    item="estimationprocedure",
    fields=frozenset({"id", "ttid", "name"}),
    read=_procedure,
    most=10_000,
    limit_bytes=_SHORT_LIST_BYTES,
)
MEASURES = ListKind(
    name="list of evaluation measures",
    root="evaluation_measures",
    item="measure",
    fields=frozenset(),
    read=lambda item: (item.text or "").strip(),
    most=10_000,
    limit_bytes=_SHORT_LIST_BYTES,
)


def read_info(dataset_id: int, document: Element) -> DatasetInfo:
    """Return how a dataset fares."""
    return DatasetInfo(
        dataset_id=dataset_id,
        name=xml.child_text(document, "name") or "",
        status=xml.child_text(document, "status") or "",
        md5=xml.child_text(document, "md5_checksum") or "",
        error=xml.child_text(document, "error") or "",
    )


def read_description(dataset_id: int, document: Element, *, private: bool) -> DatasetDescription:
    """Return how a dataset is described."""
    return DatasetDescription(
        dataset_id=dataset_id,
        name=xml.child_text(document, "name") or "",
        status=xml.child_text(document, "status") or "",
        error=xml.child_text(document, "error") or "",
        texts={name: xml.child_text(document, name) or "" for name in TEXTS},
        lists={name: xml.child_texts(document, name) for name in LISTS},
        tags=xml.child_texts(document, "tag"),
        private=private,
    )


def read_inputs(document: Element) -> dict[str, str]:
    """Return the inputs of a task."""
    return {item.get("name", ""): item.text or "" for item in document.findall(f"{xml.OML}input")}


def read_study(document: Element) -> Study:
    """Return a collection."""
    kind = xml.child_text(document, "main_entity_type") or ""
    ids = document.findall(f"{xml.OML}{kind}s/{xml.OML}{kind}_id")
    return Study(
        study_id=_whole_number(document, "id"),
        kind=kind,
        name=xml.child_text(document, "name") or "",
        description=xml.child_text(document, "description") or "",
        ids=frozenset(int(item.text or 0) for item in ids),
    )


def may_equal(task: ListedTask, inputs: Mapping[str, str]) -> bool:
    """Say whether the inputs that a list shows contradict the ones that are looked for."""
    return all(inputs.get(name) == value for name, value in task.inputs.items() if value)
