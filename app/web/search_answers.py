"""The search server's answers in forms that neither crash the SPA nor make it repeat a request.

The SPA re-sends a failed search at once and for ever, and a missing document that comes as 404 leaves a white page.
So a search always has an answer with a list, a document one that says whether it was found, and what went wrong is
told in `problem`.
"""

from collections.abc import Mapping
from typing import Any

from app.core.errors import ProblemError
from app.index.fields import PRIVATE_FIELDS
from app.web.search_query import BUCKETS, TYPES

Document = dict[str, Any]
NAMES_OF_USERS = ("first_name", "last_name")
"""The SPA takes the initials of both, of each user of a list."""


def as_search_answer(
    answer: Mapping[str, Any], *, asked: Mapping[str, Any], total_as_object: bool
) -> Document:
    """Return the answer to a search, `hits.total` as a number (Elasticsearch 6) or an object (7 and later)."""
    hits = answer["hits"]
    total = hits.get("total", 0)
    number = total["value"] if isinstance(total, dict) else total
    relation = total.get("relation", "eq") if isinstance(total, dict) else "eq"
    found: Document = {
        "took": answer.get("took", 0),
        "timed_out": answer.get("timed_out", False),
        "hits": {
            "total": {"value": number, "relation": relation} if total_as_object else number,
            "max_score": hits.get("max_score"),
            "hits": [_hit(hit) for hit in hits.get("hits", [])],
        },
    }
    if "aggs" in asked:
        found["aggregations"] = _aggregations(answer.get("aggregations", {}), asked["aggs"])
    if "suggest" in answer:
        found["suggest"] = answer["suggest"]
    return found


def empty_search_answer(problem: ProblemError, *, asked: object, total_as_object: bool) -> Document:
    """Return the answer of a search that found nothing because of a problem."""
    aggregations = asked.get("aggs", asked.get("aggregations")) if isinstance(asked, dict) else None
    names = [*aggregations][:BUCKETS] if isinstance(aggregations, dict) else []
    return {
        "took": 0,
        "timed_out": False,
        "hits": {
            "total": {"value": 0, "relation": "eq"} if total_as_object else 0,
            "max_score": None,
            "hits": [],
        },
        "aggregations": {name: {"buckets": []} for name in names},
        "problem": problem.document(),
    }


def as_document(answer: Mapping[str, Any], *, kind: str, document_id: str) -> Document:
    """Return the one document of the answer, or that there is none."""
    hits = answer["hits"].get("hits", [])
    if not hits:
        return missing_document(kind, document_id)
    return {**_hit(hits[0], kind), "_id": document_id, "found": True}


def missing_document(kind: str, document_id: str, problem: ProblemError | None = None) -> Document:
    """Return that there is no such document, or none that the asker may see."""
    answer: Document = {"_index": kind, "_type": kind, "_id": document_id, "found": False}
    return {**answer, "problem": problem.document()} if problem else answer


def count_answer(answer: Mapping[str, Any]) -> Document:
    """Return how many documents a search has found, as `_count` tells it."""
    shards = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
    total = answer["hits"]["total"]
    found = {"count": total["value"] if isinstance(total, dict) else total, "_shards": shards}
    return {**found, "problem": answer["problem"]} if "problem" in answer else found


def type_of_index(index: str) -> str:
    """Return what OpenML calls an index, whose real name may carry a version: `data_v2` is `data`."""
    exact = index if index in TYPES else ""
    # `task_type_v2` begins with `task` as well: the longest wins.
    begins = (
        kind for kind in sorted(TYPES, key=len, reverse=True) if index.startswith((f"{kind}_", f"{kind}-"))
    )
    return exact or next(begins, index)


def _hit(hit: Mapping[str, Any], kind: str = "") -> Document:
    kind = kind or type_of_index(str(hit.get("_index", "")))
    source = {name: value for name, value in hit.get("_source", {}).items() if name not in PRIVATE_FIELDS}
    if kind == "user":
        source.update({name: "" for name in NAMES_OF_USERS if source.get(name) is None})
    shown: Document = {"_index": kind, "_type": kind, "_id": hit.get("_id"), "_source": source}
    return {**shown, **{name: hit[name] for name in ("_score", "sort", "highlight") if name in hit}}


def _aggregations(found: Mapping[str, Any], asked: Mapping[str, Any]) -> Document:
    answer = {name: dict(found.get(name, {"buckets": []})) for name in asked}
    for name, question in asked.items():
        if question.get("terms", {}).get("field") == "_index":
            answer[name]["buckets"] = _buckets_by_type(answer[name].get("buckets", []))
    return answer


def _buckets_by_type(buckets: list[Mapping[str, Any]]) -> list[Document]:
    counts: dict[str, int] = {}
    for bucket in buckets:
        kind = type_of_index(str(bucket.get("key")))
        if kind in TYPES:
            counts[kind] = counts.get(kind, 0) + bucket.get("doc_count", 0)
    return [{"key": kind, "doc_count": count} for kind, count in counts.items()]
