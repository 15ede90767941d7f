"""Translates the SPA's searches for any server version: validated, and limited to what the client may see.

Elasticsearch 6, 7, 8 and OpenSearch take the same form where nothing names a document type: indices are searched by
name, `_index` stands for `_type`, and a document is looked for by its id.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from app.index.fields import KINDS, PRIVATE_FIELDS

TYPES: Final = KINDS
USER_TEXT_FIELDS = ("first_name^2", "last_name^2", "bio", "affiliation", "country", "company")
HITS = 1000
WINDOW = 10_000
"""How far into a list the server can look (`index.max_result_window`)."""
BUCKETS = 1000
RANGES = 50
SUGGESTIONS = 50
NODES = 300
DEPTH = 12
TEXT_CHARACTERS = 1000
SEARCH_TIMEOUT = "10s"

Document = dict[str, Any]


class QueryRefusedError(ValueError):
    """The search holds something that is not passed on; the text says what."""


def translate(
    body: object, types: tuple[str, ...], *, viewer_id: int | None, is_embedded: bool = False
) -> Document:
    """Return the body of a search over `types` that finds only what the viewer may see.

    Suggestions and highlights are for our own index: a search server suggests names of what is private, too.

    Raises:
        QueryRefusedError: it asks for something that the SPA never asks for.
    """
    if not isinstance(body, dict):
        raise QueryRefusedError("a search is a JSON object")
    reader = _QueryReader(types)
    known = {
        "from",
        "size",
        "query",
        "aggs",
        "aggregations",
        "sort",
        "_source",
        "track_total_hits",
        "track_scores",
        *(("suggest", "highlight") if is_embedded else ()),
    }
    _require_known(body, known, "search")
    begin, size = _number(body.get("from", 0), "from"), _number(body.get("size", 10), "size")
    if size > HITS or begin + size > WINDOW:
        raise QueryRefusedError(f"at most {HITS} hits at once, and none after the first {WINDOW}")
    question = reader.query(body["query"]) if "query" in body else {"match_all": {}}
    translated: Document = {
        "from": begin,
        "size": size,
        "query": visible_to(viewer_id, question),
        "_source": {"includes": reader.source(body.get("_source", True)), "excludes": sorted(PRIVATE_FIELDS)},
        "track_total_hits": True,
        "timeout": SEARCH_TIMEOUT,
    }
    aggregations = body.get("aggs", body.get("aggregations"))
    if aggregations:
        translated["aggs"] = reader.aggregations(aggregations)
    if "sort" in body:
        translated["sort"] = reader.sort(body["sort"])
    if "highlight" in body:
        translated["highlight"] = reader.highlight(body["highlight"])
    if "suggest" in body:
        translated["suggest"] = reader.suggest(body["suggest"])
    return translated


def by_id(document_id: str, *, viewer_id: int | None) -> Document:
    """Return the body of a search for one document."""
    return {
        "size": 1,
        "query": visible_to(viewer_id, {"ids": {"values": [document_id]}}),
        "_source": {"excludes": sorted(PRIVATE_FIELDS)},
    }


def visible_to(viewer_id: int | None, question: Document) -> Document:
    """Return the question, narrowed to what is public, has no visibility at all, or is the viewer's own."""
    allowed: list[Document] = [
        {"term": {"visibility": "public"}},
        {"bool": {"must_not": [{"exists": {"field": "visibility"}}]}},
    ]
    if viewer_id is not None:
        allowed.append({"term": {"uploader_id": viewer_id}})
    visible = {"bool": {"should": allowed, "minimum_should_match": 1}}
    return {"bool": {"must": [question], "filter": [visible]}}


class _QueryReader:
    """Reads one search, counting as it goes down."""

    def __init__(self, types: tuple[str, ...]) -> None:
        self._types = types
        self._nodes = 0
        self._clauses: Mapping[str, Callable[[Any, int], Document]] = {
            "bool": self._bool,
            "nested": self._nested,
            "constant_score": lambda value, depth: {"filter": self.query(_only(value, "filter"), depth)},
            "match_all": lambda _value, _depth: {},
            "query_string": self._query_string,
            "exists": lambda value, _depth: {"field": self._field(_only(value, "field"))},
            "ids": lambda value, _depth: {"values": _scalars(_only(value, "values"))},
            "terms": self._terms,
            "multi_match": self._multi_match,
            **dict.fromkeys(
                ("term", "range", "prefix", "wildcard", "match", "match_phrase"), self._field_clause
            ),
        }

    def query(self, clause: object, depth: int = 0) -> Document:
        """Return a clause of the query."""
        self._count(depth)
        if not isinstance(clause, dict) or len(clause) != 1:
            raise QueryRefusedError("a clause has one name")
        ((name, value),) = clause.items()
        read = self._clauses.get(name)
        if read is None:
            raise QueryRefusedError(f"the clause {_shown(name)} is not passed on")
        if name == "query_string" and self._types == ("user",):
            # Its syntax can name any field, e-mail addresses too; this one has none.
            text = read(value, depth)["query"]
            return {"simple_query_string": {"query": text, "fields": [*USER_TEXT_FIELDS], "lenient": True}}
        return {name: read(value, depth + 1)}

    def _bool(self, value: object, depth: int) -> Document:
        clauses = _object(value, "bool")
        _require_known(
            clauses, {"must", "filter", "should", "must_not", "minimum_should_match", "boost"}, "bool"
        )
        return {
            name: _scalar(part)
            if name in {"minimum_should_match", "boost"}
            else [self.query(clause, depth) for clause in (part if isinstance(part, list) else [part])]
            for name, part in clauses.items()
        }

    def _nested(self, value: object, depth: int) -> Document:
        nested = _object(value, "nested")
        _require_known(nested, {"path", "query", "score_mode"}, "nested")
        return {
            "path": self._field(nested.get("path")),
            "query": self.query(nested.get("query"), depth),
            "ignore_unmapped": True,
        }

    def _query_string(self, value: object, _depth: int) -> Document:
        parts = _object(value, "query_string")
        _require_known(parts, {"query", "default_operator"}, "query_string")
        if len(self._types) > 1:
            raise QueryRefusedError("text is looked for in one index at a time")
        return {**{name: _scalar(part) for name, part in parts.items()}, "lenient": True}

    def _multi_match(self, value: object, _depth: int) -> Document:
        parts = _object(value, "multi_match")
        _require_known(parts, {"query", "fields", "operator", "type"}, "multi_match")
        fields = parts.get("fields", [])
        if not isinstance(fields, list) or not fields:
            raise QueryRefusedError("multi_match names its fields")
        read = [self._weighted(field) for field in fields]
        return {**{name: _scalar(part) for name, part in parts.items() if name != "fields"}, "fields": read}

    def _weighted(self, field: object) -> str:
        name, _, weight = str(field).partition("^")
        if "*" in name or not (weight or "1").replace(".", "", 1).isdecimal():
            raise QueryRefusedError("multi_match names its fields one by one")
        return f"{self._field(name)}^{weight}" if weight else self._field(name)

    def _terms(self, value: object, _depth: int) -> Document:
        # An object in place of the list would fetch the terms from another document.
        return {
            self._field(name): _scalars(values) if name != "boost" else _scalar(values)
            for name, values in _object(value, "terms").items()
        }

    def _field_clause(self, value: object, _depth: int) -> Document:
        clause = _object(value, "field")
        if len(clause) != 1:
            raise QueryRefusedError("a clause is about one field")
        ((name, wanted),) = clause.items()
        if isinstance(wanted, dict):
            options = {"value", "query", "gte", "gt", "lte", "lt", "boost", "operator", "format"}
            _require_known(wanted, options, _shown(name))
            return {self._field(name): {option: _scalar(part) for option, part in wanted.items()}}
        return {self._field(name): _scalar(wanted)}

    def aggregations(self, value: object, depth: int = 0) -> Document:
        """Return the aggregations: counts by a field, and the usual numbers."""
        found = {}
        for name, aggregation in _object(value, "aggs").items():
            self._count(depth)
            parts = dict(_object(aggregation, "aggregation"))
            below = parts.pop("aggs", parts.pop("aggregations", None))
            if len(parts) != 1 or not set(parts) <= AGGREGATIONS:
                raise QueryRefusedError(f"the aggregation {_shown(name)} is not passed on")
            ((kind, options),) = parts.items()
            extra = {"ranges"} if kind == "range" else set()
            _require_known(_object(options, kind), {"field", "size", "path"} | extra, kind)
            read = {option: self._option(option, part) for option, part in options.items()}
            found[name] = {kind: read, **({"aggs": self.aggregations(below, depth + 1)} if below else {})}
        return found

    def _option(self, option: str, part: object) -> object:
        if option == "size":
            return min(_number(part, option), BUCKETS)
        if option == "ranges":
            if not isinstance(part, list) or len(part) > RANGES:
                raise QueryRefusedError(f"at most {RANGES} ranges")
            return [self._limits(limits) for limits in part]
        return self._field(part)

    def _limits(self, value: object) -> Document:
        limits = _object(value, "ranges")
        _require_known(limits, {"from", "to", "key"}, "ranges")
        self._count(0)
        return {name: _scalar(part) for name, part in limits.items()}

    def highlight(self, value: object) -> Document:
        """Return the fields whose parts are to be shown around what was found."""
        options = _object(value, "highlight")
        return {"fields": {self._field(name): {} for name in _object(options.get("fields"), "fields")}}

    def suggest(self, value: object) -> Document:
        """Return what names are to be suggested for, by what they begin with."""
        found = {}
        for name, part in _object(value, "suggest").items():
            self._count(0)
            suggestion = _object(part, "suggestion")
            completion = _object(suggestion.get("completion"), "completion")
            text = _scalar(suggestion.get("prefix", suggestion.get("text", "")))
            size = min(_number(completion.get("size", 5), "size"), SUGGESTIONS)
            found[name] = {"prefix": str(text), "size": size, "_source": {"excludes": sorted(PRIVATE_FIELDS)}}
        return found

    def sort(self, value: object) -> list[Document | str]:
        """Return the order; a field that the index does not know leaves it as it is."""
        items: Iterator[object] = iter(value if isinstance(value, list) else [value])
        return [self._sort_item(name, how) for item in items for name, how in _sort_pairs(item)]

    def _sort_item(self, name: str, how: object) -> Document:
        self._count(0)
        order = how.get("order", "asc") if isinstance(how, dict) else how
        if order not in ("asc", "desc"):
            raise QueryRefusedError("an order is asc or desc")
        if name == "_score":
            return {"_score": {"order": order}}
        return {self._field(name): {"order": order, "unmapped_type": "long"}}

    def source(self, value: object) -> list[str]:
        """Return the fields to show; `*` for all."""
        if value is True:
            return ["*"]
        if value is False:
            return ["_nothing"]
        # Private fields may be asked for: they are left out of what is shown.
        fields = value if isinstance(value, list) else [value]
        return [str(_scalar(field)) for field in fields[:NODES] if field] or ["*"]

    def _field(self, name: object) -> str:
        self._count(0)
        if not isinstance(name, str) or not 0 < len(name) <= TEXT_CHARACTERS:
            raise QueryRefusedError("a field has a name")
        if name in {"_type", "_index"}:
            return "_index"
        if name.startswith("_") and name != "_id":
            raise QueryRefusedError(f"the field {_shown(name)} is not passed on")
        if PRIVATE_FIELDS & set(name.lower().split(".")):
            raise QueryRefusedError(f"the field {_shown(name)} is private")
        return name

    def _count(self, depth: int) -> None:
        self._nodes += 1
        if self._nodes > NODES or depth > DEPTH:
            raise QueryRefusedError("the search is too large")


AGGREGATIONS = frozenset(
    {"terms", "nested", "range", "min", "max", "avg", "sum", "stats", "cardinality", "value_count"}
)


def _sort_pairs(item: object) -> list[tuple[str, object]]:
    if isinstance(item, str):
        return [(item, "desc" if item == "_score" else "asc")]
    return [(str(name), how) for name, how in _object(item, "sort").items()]


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise QueryRefusedError(f"{what} is an object")
    return value


def _only(value: object, name: str) -> object:
    parts = _object(value, name)
    _require_known(parts, {name, "boost"}, name)
    return parts.get(name)


def _require_known(parts: Mapping[str, Any], known: set[str], what: str) -> None:
    unknown = set(parts) - known
    if unknown:
        raise QueryRefusedError(f"{_shown(min(unknown))} of {what} is not passed on")


def _number(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise QueryRefusedError(f"{name} is a number from 0 on")
    return value


def _scalars(value: object) -> list[str | int | float | bool | None]:
    if not isinstance(value, list) or len(value) > HITS:
        raise QueryRefusedError(f"a list of at most {HITS} values is needed")
    return [_scalar(item) for item in value]


def _scalar(value: object) -> str | int | float | bool | None:
    if isinstance(value, str) and len(value) > TEXT_CHARACTERS:
        raise QueryRefusedError(f"a text has at most {TEXT_CHARACTERS} characters")
    if value is not None and not isinstance(value, str | int | float | bool):
        raise QueryRefusedError("a plain value is needed")
    return value


def _shown(name: object) -> str:
    return repr(str(name)[:40])
