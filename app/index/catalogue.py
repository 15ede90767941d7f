"""Searches for our own pages: text, filters, sort and page in; documents, facets and a total out."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from app.index import words
from app.index.fields import KINDS, PRIVATE_FIELDS, SHELVES
from app.index.reading import ReadingConnection
from app.index.search import search

PAGE: Final = 20
MOST_PAGES: Final = 500
"""How far one can leaf: as deep as Elasticsearch's window."""
FACETS: Final = 20
LISTED: Final = 5000
"""Numbers that `list_numbers` returns at once."""
SORTS: Final[Mapping[str, tuple[str, str]]] = {
    "newest": ("date", "desc"),
    "oldest": ("date", "asc"),
    "name": ("name", "asc"),
    "runs": ("runs", "desc"),
    "rows": ("qualities.NumberOfInstances", "desc"),
    "columns": ("qualities.NumberOfFeatures", "desc"),
}
"""What lists can be sorted by, beside `best`: by how well the text fits, or else the newest first."""
SIZES: Final = (("", 1000), (1000, 10_000), (10_000, 100_000), (100_000, 1_000_000), (1_000_000, ""))
"""Rows of datasets, from and below."""
_AGGREGATIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "data": {
        "size": {
            "range": {
                "field": "qualities.NumberOfInstances",
                "ranges": [
                    {name: bound for name, bound in (("from", low), ("to", high)) if bound != ""}
                    for low, high in SIZES
                ],
            }
        },
        "licence": {"terms": {"field": "licence", "size": FACETS}},
        "format": {"terms": {"field": "format", "size": FACETS}},
        "status": {"terms": {"field": "status", "size": FACETS}},
        "tag": {
            "nested": {"path": "tags"},
            "aggs": {"found": {"terms": {"field": "tags.tag", "size": FACETS}}},
        },
    },
    "task": {"type": {"terms": {"field": "tasktype.name", "size": FACETS}}},
    "study": {"type": {"terms": {"field": "study_type", "size": FACETS}}},
}


@dataclass(frozen=True, slots=True)
class Filters:
    """What results have to be like; what is None or empty filters nothing.

    Attributes:
        status: of datasets: `active`, `in_preparation`, `deactivated`.
        exact_name: e.g. of all versions of a dataset.
        licence: as it is written in the documents.
        format: of datasets, e.g. `ARFF`.
        tags: all of them.
        least_rows, most_rows: of datasets, both included.
        least_columns, most_columns: the same of columns.
        least_classes, most_classes: the same of the target's classes; 0 where it is a number.
        uploader_id: whose they are.
        data_id: the dataset that tasks are of.
        study_id: the collection that holds them.
        type: of tasks their type's name, of collections `task` or `run`.
    """

    status: str = ""
    exact_name: str = ""
    licence: str = ""
    format: str = ""
    tags: tuple[str, ...] = ()
    least_rows: int | None = None
    most_rows: int | None = None
    least_columns: int | None = None
    most_columns: int | None = None
    least_classes: int | None = None
    most_classes: int | None = None
    uploader_id: int | None = None
    data_id: int | None = None
    study_id: int | None = None
    type: str = ""


NO_FILTERS: Final = Filters()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a page of results is to show; `kind` is one of `fields.KINDS`, `sort` one of `SORTS` or nothing."""

    kind: str = "data"
    text: str = ""
    filters: Filters = NO_FILTERS
    sort: str = ""
    page: int = 1


@dataclass(frozen=True, slots=True)
class Facet:
    """A value that results have, and how many of them."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class Results:
    """A page of results.

    Attributes:
        documents: whole, as `SearchIndex.get` has them, without their features.
        total: how many there are on all pages.
        is_exact: False where there are more than were looked at: a text of very common words.
        page: its number, from 1.
        pages: how many there are that can be shown.
        facets: by name (`size`, `licence`, `format`, `status`, `tag`, `type`), the commonest first.
        generation: of the index, for entity tags.
    """

    documents: list[dict[str, Any]]
    total: int
    is_exact: bool
    page: int
    pages: int
    facets: Mapping[str, list[Facet]] = field(default_factory=dict)
    generation: int = 0


def find(
    connection: ReadingConnection,
    wanted: Wanted,
    viewer_id: int | None,
) -> Results:
    """Return a page of documents of one kind that have all words of the text; the last one may be a beginning."""
    kind, text = wanted.kind, wanted.text
    page = min(max(wanted.page, 1), MOST_PAGES)
    question: dict[str, Any] = {
        "from": (page - 1) * PAGE,
        "size": PAGE,
        "query": {"bool": {"must": _text(text), "filter": _filters(kind, wanted.filters)}},
        "aggs": _AGGREGATIONS.get(kind, {}),
        "_source": {"includes": ["*"], "excludes": [*PRIVATE_FIELDS, "features"]},
    }
    by, way = SORTS.get(wanted.sort, ("", ""))
    if by:
        question["sort"] = [{by: {"order": way}}]
    elif not words.WORD.search(text):
        question["sort"] = [{"date": {"order": "desc"}}]
    answer = search(connection, (kind,), question, viewer_id)
    total = answer["hits"]["total"]
    row = connection.execute("SELECT value FROM meta WHERE name = 'generation'").fetchone()
    return Results(
        documents=[hit["_source"] for hit in answer["hits"]["hits"]],
        total=total["value"],
        is_exact=total["relation"] == "eq",
        page=page,
        pages=min(MOST_PAGES, max(1, -(-total["value"] // PAGE))),
        facets={name: _facets(found) for name, found in answer.get("aggregations", {}).items()},
        generation=int(row[0]) if row else 0,
    )


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many public documents there are of each kind; of datasets the active ones."""
    rows = connection.execute(
        "SELECT shelf, sum(count) FROM tally WHERE shelf > 0 AND (shelf != 1 OR status = 'active') GROUP BY shelf"
    )
    return {**dict.fromkeys(KINDS, 0), **{KINDS[shelf - 1]: count for shelf, count in rows}}


def list_numbers(connection: sqlite3.Connection, kind: str, page: int) -> list[tuple[int, str]]:
    """Return numbers and dates (empty: unknown) of public documents, from page 1; of datasets the active ones."""
    rows = connection.execute(
        "SELECT number, date FROM entry WHERE shelf = ? AND number > 0 AND (shelf != 1 OR status = 'active')"
        " ORDER BY number LIMIT ? OFFSET ?",
        (SHELVES[kind], LISTED, (page - 1) * LISTED),
    )
    return [(int(number), str(date or "")) for number, date in rows]


def read_document(
    connection: sqlite3.Connection, kind: str, document_id: str, viewer_id: int | None
) -> tuple[dict[str, Any], bool] | None:
    """Return a document and whether it is whole; None if there is none that the viewer may see."""
    row = connection.execute(
        "SELECT source, detailed FROM entry JOIN body USING (row)"
        " WHERE id = ? AND abs(shelf) = ? AND (shelf > 0 OR owner = ?)",
        (document_id, SHELVES[kind], viewer_id),
    ).fetchone()
    return (json.loads(row[0]), bool(row[1])) if row else None


def _text(text: str) -> list[dict[str, Any]]:
    return [{"typed": text}] if words.WORD.search(text) else []


def _filters(kind: str, filters: Filters) -> list[dict[str, Any]]:
    rows = {"gte": filters.least_rows, "lte": filters.most_rows}
    columns = {"gte": filters.least_columns, "lte": filters.most_columns}
    classes = {"gte": filters.least_classes, "lte": filters.most_classes}
    type_field = {"task": "tasktype.name", "study": "study_type"}.get(kind, "")
    terms = {
        "status": filters.status,
        "exact_name": filters.exact_name,
        "licence": filters.licence,
        "format": filters.format,
        "uploader_id": filters.uploader_id,
        "source_data.data_id" if kind == "task" else "data_id": filters.data_id,
        type_field: filters.type if type_field else "",
    }
    found: list[dict[str, Any]] = [
        {"term": {name: value}} for name, value in terms.items() if value not in {None, ""}
    ]
    found += [{"term": {"tags.tag": tag}} for tag in filters.tags]
    found += [{"term": {"collections.id": filters.study_id}}] if filters.study_id is not None else []
    ranges = {
        "qualities.NumberOfInstances": rows,
        "qualities.NumberOfFeatures": columns,
        "qualities.NumberOfClasses": classes,
    }
    return found + [
        {"range": {name: limits}}
        for name, limits in ranges.items()
        if any(v is not None for v in limits.values())
    ]


def _facets(found: Mapping[str, Any]) -> list[Facet]:
    buckets = found.get("found", found).get("buckets", [])
    return [Facet(str(bucket["key"]), bucket["doc_count"]) for bucket in buckets if bucket["doc_count"]]
