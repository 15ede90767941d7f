"""Counts and sums over what a search found, in the forms of Elasticsearch's aggregations."""

from collections.abc import Mapping
from typing import Any, Final

from app.index.bitmaps import INEXACT
from app.index.clauses import ClauseReader, on_shelf
from app.index.criteria import Criterion, every
from app.index.fields import LINKED, SHELVES, Scalar
from app.index.matches import Matches

BUCKETS: Final = 10
"""Where no number is asked for."""
MOST_INNER: Final = 200
"""Buckets that are looked into, in one search."""
_METRICS: Final = {
    "min": "min({0})",
    "max": "max({0})",
    "avg": "avg({0})",
    "sum": "coalesce(sum({0}), 0)",
    "cardinality": "count(DISTINCT {0})",
    "value_count": "count({0})",
}


def aggregate(found: Matches, asked: Mapping[str, Any], reader: ClauseReader) -> dict[str, Any]:
    """Return what was asked for, by its names. What has no bitmaps is counted in the newest documents only."""
    return _Aggregator(reader).all(found, asked)


class _Aggregator:
    """Carries out the aggregations of one search."""

    def __init__(self, reader: ClauseReader) -> None:
        self._reader = reader
        self._inner = 0

    def all(self, found: Matches, asked: Mapping[str, Any], nested: str = "") -> dict[str, Any]:
        return {name: self._one(found, part, nested) for name, part in asked.items()}

    def _one(self, found: Matches, part: Mapping[str, Any], nested: str) -> dict[str, Any]:
        below = part.get("aggs", {})
        ((kind, options),) = ((name, value) for name, value in part.items() if name != "aggs")
        if kind == "nested":
            path = str(options.get("path", ""))
            return {"doc_count": found.links(path).total(), **self.all(found, below, path)}
        field = str(options.get("field", ""))
        if kind == "terms":
            return self._terms(found, field, int(options.get("size", BUCKETS)) or BUCKETS, below, nested)
        if kind == "range":
            return self._ranges(found, field, options.get("ranges", []), below)
        if kind == "stats":
            names = ("value_count", "min", "max", "avg", "sum")
            values = {name: self._metric(found, field, name) for name in names}
            return {"count": values.pop("value_count"), **values}
        return {"value": self._metric(found, field, kind)}

    def _metric(self, found: Matches, field: str, kind: str) -> Scalar:
        expression, values = self._reader.value_of(field)
        if kind in {"min", "max", "avg", "sum"}:
            expression = f"CASE WHEN typeof({expression}) IN ('integer', 'real') THEN {expression} END"
            values = (*values, *values)
        statement, parameters = found.select(_METRICS[kind].format(expression))
        value: Scalar = found.connection.execute(statement, [*values, *parameters]).fetchone()[0]
        return value

    def _terms(
        self, found: Matches, field: str, size: int, below: Mapping[str, Any], nested: str
    ) -> dict[str, Any]:
        rows, rest = self._counted(found, field, size, nested)
        buckets = []
        for key, count in rows:
            bucket: dict[str, Any] = {"key": key, "doc_count": count}
            if below and (inside := self._inside(found, self._reader.term(field, key))):
                bucket |= self.all(inside, below)
            buckets.append(bucket)
        return {"doc_count_error_upper_bound": 0, "sum_other_doc_count": rest, "buckets": buckets}

    def _counted(
        self, found: Matches, field: str, size: int, nested: str
    ) -> tuple[list[tuple[Any, int]], int]:
        """Return the commonest values with their numbers, and how many have others."""
        if field == "_index":
            return self._by_kind(found), 0
        if not nested and (column := self._reader.sliced(field)) and column not in INEXACT:
            rows = found.bitmaps.counts(found.rows, column, size)
            total = (found.rows & found.bitmaps.exists(column)).bit_count()
            return rows, total - sum(count for _, count in rows)
        others: list[tuple[Any, int]] = (
            [*found.links(nested).most_common()] if _is_linked(field, nested) else self._grouped(found, field)
        )
        return others[:size], sum(count for _, count in others[size:])

    def _by_kind(self, found: Matches) -> list[tuple[Any, int]]:
        counts = []
        for kind in self._reader.kinds:
            inside = (found.inside(on_shelf(sign * SHELVES[kind])).total for sign in (1, -1))
            counts.append((kind, sum(inside)))
        return sorted(((kind, count) for kind, count in counts if count), key=lambda row: -row[1])

    def _ranges(
        self, found: Matches, field: str, ranges: list[Mapping[str, Any]], below: Mapping[str, Any]
    ) -> dict[str, Any]:
        buckets = []
        for each in ranges:
            inside = found.inside(self._limit(field, each))
            low, high = each.get("from"), each.get("to")
            key = str(each.get("key", f"{'*' if low is None else low}-{'*' if high is None else high}"))
            bucket = {"key": key, **{name: each[name] for name in ("from", "to") if name in each}}
            bucket["doc_count"] = inside.total
            if below and self._may_look_into():
                bucket |= self.all(inside, below)
            buckets.append(bucket)
        return {"buckets": buckets}

    def _limit(self, field: str, limits: Mapping[str, Any]) -> Criterion:
        low, high = limits.get("from"), limits.get("to")
        parts = [self._reader.exists(field)]
        parts += [self._reader.compare(field, ">=", low)] if low is not None else []
        parts += [self._reader.compare(field, "<", high)] if high is not None else []
        return every(parts).without_match(self._reader.words)

    def _inside(self, found: Matches, condition: Criterion) -> Matches | None:
        """Return what is in a bucket; None where enough of them were looked into."""
        return found.inside(condition.without_match(found.words)) if self._may_look_into() else None

    def _may_look_into(self) -> bool:
        self._inner += 1
        return self._inner <= MOST_INNER

    def _grouped(self, found: Matches, field: str) -> list[tuple[Any, int]]:
        expression, values = self._reader.value_of(field)
        statement, parameters = found.select(f"{expression} AS value, count(*) AS found")
        rows = found.connection.execute(
            f"{statement} GROUP BY 1 HAVING value IS NOT NULL ORDER BY found DESC LIMIT 10000",
            [*values, *parameters],
        )
        return [(key, count) for key, count in rows if not isinstance(key, bytes)]


def _is_linked(field: str, nested: str) -> bool:
    return nested in LINKED and field.removesuffix(".keyword") == f"{nested}.{LINKED[nested]}"
