"""A search server for the tests: as strict about requests as Elasticsearch 6, 7 and 8 are, and as different.

No real one is to be had from the package registries. This one knows the part of the query language that `/es/` may
use, refuses the rest with the real error shapes, and differs by version where the versions do: document types,
`hits.total`, `_type`, and counts that stop at 10 000.
"""

import asyncio
import fnmatch
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Document = dict[str, Any]
BODY_KEYS = {
    "from",
    "size",
    "query",
    "aggs",
    "aggregations",
    "sort",
    "_source",
    "track_total_hits",
    "timeout",
}
COUNTED = 10_000


class ParsingError(Exception):
    """Answered with 400, as the real server does."""


@dataclass
class SearchServer:
    """Indices of documents, and every request that came."""

    version: int = 6
    indices: dict[str, dict[str, Document]] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    delay_seconds: float = 0
    answer: Callable[[], Response] | None = None
    """Answers in place of the server, for faults."""

    def put(self, index: str, document_id: str, **source: Any) -> None:
        self.indices.setdefault(index, {})[document_id] = source

    @property
    def app(self) -> Starlette:
        route = Route("/{path:path}", self._serve, methods=["GET", "POST", "PUT", "DELETE"])
        return Starlette(routes=[route])

    async def _serve(self, request: Request) -> Response:
        body = await request.body()
        self.requests.append((request.method, request.url.path, body))
        await asyncio.sleep(self.delay_seconds)
        if self.answer:
            return self.answer()
        try:
            return self._search(request, body)
        except ParsingError as error:
            reason = {"type": "parsing_exception", "reason": str(error)}
            return JSONResponse({"error": {"root_cause": [reason], **reason}, "status": 400}, 400)

    def _search(self, request: Request, body: bytes) -> Response:
        if body and request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return JSONResponse(
                {"error": "Content-Type header [] is not supported", "status": 406},
                406 if self.version < 8 else 415,
            )
        unknown = set(request.query_params) - {"ignore_unavailable", "allow_no_indices"}
        if unknown:
            raise ParsingError(f"request contains unrecognized parameter: [{unknown.pop()}]")
        names = self._index_names(request.url.path)
        try:
            search = json.loads(body) if body else {}
        except ValueError:
            raise ParsingError("Unexpected character") from None
        for key in search:
            if key not in BODY_KEYS:
                raise ParsingError(f"Unknown key for a value in [{key}].")
        if search.get("from", 0) + search.get("size", 10) > 10_000:
            raise ParsingError("Result window is too large")
        found = [
            (name, document_id, source)
            for name in names
            for document_id, source in self.indices.get(name, {}).items()
            if matches(search.get("query", {"match_all": {}}), name, document_id, source)
        ]
        return JSONResponse(self._answer(search, found))

    def _index_names(self, path: str) -> list[str]:
        match path.strip("/").split("/"):
            case [names, "_search"]:
                wanted = names.split(",")
            case [names, kind, "_search"] if self.version < 8 and kind == names:
                wanted = [names]
            case _:
                raise ParsingError(f"no handler found for uri [{path}]")
        if any(name.startswith(("_", "-", ".")) for name in wanted):
            raise ParsingError("invalid_index_name_exception")
        return [index for index in self.indices if any(fnmatch.fnmatch(index, f"{name}*") for name in wanted)]

    def _answer(self, search: Document, found: list[tuple[str, str, Document]]) -> Document:
        total: Any = len(found)
        if self.version >= 7:
            exact = search.get("track_total_hits") is True or total <= COUNTED
            total = {"value": total if exact else COUNTED, "relation": "eq" if exact else "gte"}
        for name, how in reversed(list(sort_items(search.get("sort", [])))):
            found.sort(
                key=lambda hit: (hit[2].get(name) is not None, hit[2].get(name)), reverse=how == "desc"
            )
        begin = search.get("from", 0)
        answer: Document = {
            "took": 1,
            "timed_out": False,
            "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
            "hits": {
                "total": total,
                "max_score": None,
                "hits": [
                    {
                        "_index": name,
                        **(
                            {"_type": name}
                            if self.version < 7
                            else {"_type": "_doc"}
                            if self.version == 7
                            else {}
                        ),
                        "_id": document_id,
                        "_score": None,
                        "_source": shown(source, search.get("_source", True)),
                    }
                    for name, document_id, source in found[begin : begin + search.get("size", 10)]
                ],
            },
        }
        if "aggs" in search:
            answer["aggregations"] = {
                name: self._aggregate(how, found) for name, how in search["aggs"].items()
            }
        return answer

    def _aggregate(self, how: Document, found: list[tuple[str, str, Document]]) -> Document:
        if set(how) != {"terms"}:
            raise ParsingError(f"Unknown aggregation type [{next(iter(how))}]")
        name = how["terms"]["field"]
        counts: dict[Any, int] = {}
        for index, _, source in found:
            value = {"_index": index, "_type": index if self.version < 8 else None}.get(
                name, source.get(name)
            )
            if value is not None:
                counts[value] = counts.get(value, 0) + 1
        ordered = sorted(counts.items(), key=lambda item: -item[1])[: how["terms"].get("size", 10)]
        buckets = [{"key": key, "doc_count": count} for key, count in ordered]
        return {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": buckets}


def sort_items(sort: Any) -> list[tuple[str, str]]:
    items = sort if isinstance(sort, list) else [sort]
    return [
        (name, how["order"] if isinstance(how, dict) else how) for item in items for name, how in item.items()
    ]


def shown(source: Document, wanted: Any) -> Document:
    if not isinstance(wanted, dict):
        wanted = {"includes": ["*"] if wanted is True else wanted}
    unknown = set(wanted) - {"includes", "excludes"}
    if unknown:
        raise ParsingError(f"Unknown key for a VALUE_STRING in [{unknown.pop()}].")
    included = wanted.get("includes", ["*"])
    excluded = wanted.get("excludes", [])
    return {
        name: value
        for name, value in source.items()
        if any(fnmatch.fnmatch(name, pattern) for pattern in included)
        and not any(fnmatch.fnmatch(name, pattern) for pattern in excluded)
    }


def matches(query: Any, index: str, document_id: str, source: Document) -> bool:
    """Whether a clause finds the document; a clause that the real server does not know is an error."""
    if not isinstance(query, dict) or len(query) != 1:
        raise ParsingError("[bool] malformed query, expected [END_OBJECT] but found [FIELD_NAME]")
    ((kind, clause),) = query.items()
    if kind == "bool":
        return matches_bool(clause, index, document_id, source)
    if kind == "nested":
        inner = [
            {f"{clause['path']}.{k}": v for k, v in item.items()} for item in source.get(clause["path"], [])
        ]
        return any(matches(clause["query"], index, document_id, item) for item in inner)
    if kind in WHOLE_CLAUSES:
        return WHOLE_CLAUSES[kind](clause, document_id, source)
    if kind not in FIELD_CLAUSES:
        raise ParsingError(f"no [query] registered for [{kind}]")
    ((name, wanted),) = clause.items()
    return FIELD_CLAUSES[kind](index if name == "_index" else source.get(name), wanted)


def matches_bool(clause: Mapping[str, Any], index: str, document_id: str, source: Document) -> bool:
    def each(name: str) -> list[bool]:
        part = clause.get(name, [])
        clauses = part if isinstance(part, list) else [part]
        return [matches(query, index, document_id, source) for query in clauses]

    should = each("should")
    needed = clause.get("minimum_should_match", 0 if each("must") or each("filter") else 1)
    return (
        all(each("must"))
        and all(each("filter"))
        and not any(each("must_not"))
        and (not should or sum(should) >= needed)
    )


def matches_text(text: str, source: Document, *, strict: bool = True) -> bool:
    if strict and (text.count("(") != text.count(")") or text.endswith((":", "AND", "OR"))):
        raise ParsingError(f"Failed to parse query [{text}]")
    name, colon, rest = text.partition(":")
    if strict and colon:
        return fnmatch.fnmatch(str(source.get(name, "")).lower(), rest.lower())
    return any(text.lower() in str(value).lower() for value in source.values() if value is not None)


def _compare(value: Any, wanted: Mapping[str, Any]) -> bool:
    tests: dict[str, Callable[[Any], bool]] = {
        "gte": lambda limit: value >= limit,
        "gt": lambda limit: value > limit,
        "lte": lambda limit: value <= limit,
        "lt": lambda limit: value < limit,
    }
    if value is None:
        return False
    try:
        limits = {name: type(value)(limit) for name, limit in wanted.items()}
    except (TypeError, ValueError):
        raise ParsingError("failed to parse number") from None
    return all(tests[name](limit) for name, limit in limits.items())


def _matches_some_fields(clause: Any, _document_id: str, source: Document) -> bool:
    fields = [name.partition("^")[0] for name in clause["fields"]]
    return matches_text(clause["query"], {name: source.get(name) for name in fields}, strict=False)


WHOLE_CLAUSES: Mapping[str, Callable[[Any, str, Document], bool]] = {
    "match_all": lambda _clause, _document_id, _source: True,
    "ids": lambda clause, document_id, _source: document_id in clause["values"],
    "exists": lambda clause, _document_id, source: source.get(clause["field"]) is not None,
    "query_string": lambda clause, _document_id, source: matches_text(clause["query"], source),
    "simple_query_string": _matches_some_fields,
}
FIELD_CLAUSES: Mapping[str, Callable[[Any, Any], bool]] = {
    "term": lambda value, wanted: value == wanted,
    "terms": lambda value, wanted: value in wanted,
    "match": lambda value, wanted: str(wanted).lower() in str(value).lower(),
    "prefix": lambda value, wanted: str(value).startswith(wanted),
    "wildcard": lambda value, wanted: fnmatch.fnmatch(str(value), wanted),
    "range": _compare,
}
