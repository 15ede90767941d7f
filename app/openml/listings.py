"""OpenML's lists and descriptions as plain values by their own names, for whoever keeps them all (app/index)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from xml.etree.ElementTree import Element

from app.openml import xml
from app.openml.reading import PAGE, ListKind

Entry = dict[str, Any]
"""Texts by the names of elements; `quality` and `input` are objects, `parameter` a list of such, repeats are lists."""

_ENTRY_BYTES = 64 << 10
MOST_FEATURES: Final = 1000
"""Columns of a dataset that are taken over, as OpenML's own index does."""
MOST_LABELS: Final = 50
"""Of a nominal column."""
_MOST_COLUMNS: Final = 200_000
_NAMED = ("quality", "input", "parameter")
"""Elements that bear their name as an attribute."""
_RECORDS = ("parameter",)
"""Elements that are repeated, and hold texts of several names."""
MOST_RECORDS: Final = 1000
"""Of one name in a description."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that is read a page at a time.

    Attributes:
        path: without the page; empty entries of it are those of `nothing`.
        kind: how it is written.
        nothing: OpenML's error codes for an empty list.
        paged: whether it takes a limit and an offset.
    """

    path: str
    kind: ListKind[Entry]
    nothing: frozenset[int]
    paged: bool = True


def read_entry(element: Element) -> Entry:
    """Return what an element holds directly."""
    found: Entry = {}
    for child in element:
        name = child.tag.removeprefix(xml.OML)
        if name in _NAMED and "name" in child.attrib:
            before = found.get(name)
            found[name] = {**(before if isinstance(before, dict) else {}), child.attrib["name"]: child.text}
        elif name in _RECORDS and len(child):
            record = {item.tag.removeprefix(xml.OML): item.text or "" for item in child}
            before = found.get(name)
            found[name] = [*(before if isinstance(before, list) else []), record][:MOST_RECORDS]
        elif len(child):
            found[name] = [item.text or "" for item in child]
        elif name in found:
            before = found[name]
            found[name] = (
                [*before, child.text or ""] if isinstance(before, list) else [before, child.text or ""]
            )
        else:
            found[name] = child.text or ""
    return found


def _kind(name: str, root: str, item: str, fields: str) -> ListKind[Entry]:
    return ListKind(
        name=name,
        root=root,
        item=item,
        fields=frozenset(fields.split()),
        read=read_entry,
        most=PAGE,
        limit_bytes=PAGE * _ENTRY_BYTES,
    )


def _names(name: str, root: str, item: str) -> ListKind[Entry]:
    return ListKind(
        name=name,
        root=root,
        item=item,
        fields=frozenset(),
        read=lambda element: {"name": (element.text or "").strip()},
        most=10_000,
        limit_bytes=8 << 20,
    )


DATASETS: Final = Listing(
    "data/list/status/all",
    _kind("list of datasets", "data", "dataset", "did name version uploader status format file_id quality"),
    frozenset({372}),
)
TASKS: Final = Listing(
    "task/list/status/all",
    _kind("list of tasks", "tasks", "task", "task_id task_type_id task_type did name status format input"),
    frozenset({482}),
)
FLOWS: Final = Listing(
    "flow/list",
    _kind("list of flows", "flows", "flow", "id full_name name version external_version uploader"),
    frozenset({500}),
)
RUNS: Final = Listing(
    "run/list/show_errors/true",
    _kind(
        "list of runs",
        "runs",
        "run",
        "run_id task_id task_type_id setup_id flow_id uploader upload_time error_message",
    ),
    frozenset({512}),
)
STUDIES: Final = Listing(
    "study/list/status/all",
    _kind(
        "list of collections",
        "study_list",
        "study",
        "id alias main_entity_type name status creation_date creator",
    ),
    frozenset({599}),
)
TASK_TYPES: Final = Listing(
    "tasktype/list",
    _kind("list of task types", "task_types", "task_type", "id name description creator"),
    frozenset(),
    paged=False,
)
PROCEDURES: Final = Listing(
    "estimationprocedure/list",
    _kind(
        "list of estimation procedures",
        "estimationprocedures",
        "estimationprocedure",
        "id ttid name type repeats folds percentage stratified_sampling",
    ),
    frozenset({500}),
    paged=False,
)
MEASURES: Final = Listing(
    "evaluationmeasure/list",
    _names("list of evaluation measures", "evaluation_measures", "measure"),
    frozenset(),
    paged=False,
)
QUALITIES: Final = Listing(
    "data/qualities/list",
    _names("list of qualities", "data_qualities_list", "quality"),
    frozenset({641}),
    paged=False,
)


def _feature(element: Element) -> Entry | None:
    index = xml.child_text(element, "index") or ""
    if not index.isdecimal() or int(index[:9]) >= MOST_FEATURES:
        return None
    labels = xml.child_texts(element, "nominal_value")
    flags = ("is_target", "is_ignore", "is_row_identifier", "name", "data_type", "number_of_missing_values")
    found: Entry = {name: xml.child_text(element, name) or "" for name in flags}
    return {**found, "index": int(index), "labels": list(labels[:MOST_LABELS]), "distinct": len(labels)}


FEATURES: Final[ListKind[Entry | None]] = ListKind(
    name="list of columns",
    root="data_features",
    item="feature",
    fields=frozenset(
        [
            "index",
            "name",
            "data_type",
            "nominal_value",
            "is_target",
            "is_ignore",
            "is_row_identifier",
            "number_of_missing_values",
        ]
    ),
    read=_feature,
    most=_MOST_COLUMNS,
    limit_bytes=_MOST_COLUMNS * (4 << 10),
)


def read_qualities(document: Element) -> Mapping[str, str]:
    """Return the qualities of a dataset that have a value."""
    pairs = (
        (xml.child_text(item, "name"), xml.child_text(item, "value"))
        for item in document.findall(f"{xml.OML}quality")
    )
    return {name: value for name, value in pairs if name and value}
