"""Counts and sums over what a search found, in the forms of Elasticsearch's aggregations."""

import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from app.index.clauses import ClauseReader
from app.index.criteria import Criterion, every
from app.index.fields import KINDS, LINKED, Scalar

if TYPE_CHECKING:
    from app.index.search import Searched

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


def aggregate(
    connection: sqlite3.Connection, searched: "Searched", asked: Mapping[str, Any], reader: ClauseReader
) -> dict[str, Any]:
    """Return what was asked for, by its names. What is not a count by kind is made of the newest documents only."""
    aggregator = _Aggregator(connection, reader)
    by_kind = {name: part for name, part in asked.items() if _is_by_kind(part)}
    others = {name: part for name, part in asked.items() if name not in by_kind}
    found = aggregator.all(searched, by_kind)
    if others:
        found |= aggregator.all(searched.newest(connection), others)
    return {name: found[name] for name in asked}


def _is_by_kind(part: Mapping[str, Any]) -> bool:
    return "aggs" not in part and part.get("terms", {}).get("field") == "_index"


class _Aggregator:
    """Carries out the aggregations of one search."""

    def __init__(self, connection: sqlite3.Connection, reader: ClauseReader) -> None:
        self._connection = connection
        self._reader = reader
        self._inner = 0

    def all(self, searched: "Searched", asked: Mapping[str, Any], nested: str = "") -> dict[str, Any]:
        return {name: self._one(searched, part, nested) for name, part in asked.items()}

    def _one(self, searched: "Searched", part: Mapping[str, Any], nested: str) -> dict[str, Any]:
        below = part.get("aggs", {})
        ((kind, options),) = ((name, value) for name, value in part.items() if name != "aggs")
        if kind == "nested":
            path = str(options.get("path", ""))
            return {"doc_count": self._count_items(searched, path), **self.all(searched, below, path)}
        field = str(options.get("field", ""))
        if kind == "terms":
            return self._terms(searched, field, int(options.get("size", BUCKETS)) or BUCKETS, below, nested)
        if kind == "range":
            return self._ranges(searched, field, options.get("ranges", []), below)
        if kind == "stats":
            names = ("value_count", "min", "max", "avg", "sum")
            found = {name: self._metric(searched, field, name) for name in names}
            return {"count": found.pop("value_count"), **found}
        return {"value": self._metric(searched, field, kind)}

    def _metric(self, searched: "Searched", field: str, kind: str) -> Scalar:
        expression, values = self._reader.value_of(field)
        if kind in {"min", "max", "avg", "sum"}:
            expression = f"CASE WHEN typeof({expression}) IN ('integer', 'real') THEN {expression} END"
            values = (*values, *values)
        row = self._first(searched, _METRICS[kind].format(expression), values)
        value: Scalar = row[0]
        return value

    def _terms(
        self, searched: "Searched", field: str, size: int, below: Mapping[str, Any], nested: str
    ) -> dict[str, Any]:
        rows = self._linked(searched, nested) if _is_linked(field, nested) else self._grouped(searched, field)
        rows = [(key, count) for key, count in rows if key is not None and count]
        rows.sort(key=lambda row: -row[1])
        rest = sum(count for _, count in rows[size:])
        buckets = []
        for key, count in rows[:size]:
            bucket: dict[str, Any] = {"key": KINDS[key - 1] if field == "_index" else key, "doc_count": count}
            if below and (inside := self._inside(searched, self._reader.term(field, bucket["key"]))):
                bucket |= self.all(inside, below)
            buckets.append(bucket)
        return {"doc_count_error_upper_bound": 0, "sum_other_doc_count": rest, "buckets": buckets}

    def _ranges(
        self, searched: "Searched", field: str, ranges: list[Mapping[str, Any]], below: Mapping[str, Any]
    ) -> dict[str, Any]:
        limits = [self._limit(field, each) for each in ranges]
        columns = ", ".join(f"coalesce(sum({limit.sql}), 0)" for limit in limits) or "0"
        counts = self._first(searched, columns, tuple(value for limit in limits for value in limit.values))
        buckets = []
        for each, limit, count in zip(ranges, limits, counts, strict=False):
            low, high = each.get("from"), each.get("to")
            key = str(each.get("key", f"{'*' if low is None else low}-{'*' if high is None else high}"))
            bucket = {"key": key, **{name: each[name] for name in ("from", "to") if name in each}}
            bucket["doc_count"] = count
            if below and (inside := self._inside(searched, limit)):
                bucket |= self.all(inside, below)
            buckets.append(bucket)
        return {"buckets": buckets}

    def _limit(self, field: str, limits: Mapping[str, Any]) -> Criterion:
        low, high = limits.get("from"), limits.get("to")
        parts = [self._reader.exists(field)]
        parts += [self._reader.compare(field, ">=", low)] if low is not None else []
        parts += [self._reader.compare(field, "<", high)] if high is not None else []
        return every(parts).without_match(self._reader.words)

    def _inside(self, searched: "Searched", condition: Criterion) -> "Searched | None":
        """Return the search narrowed to a bucket; None where enough of them were looked into."""
        self._inner += 1
        if self._inner > MOST_INNER:
            return None
        return replace(
            searched, condition=every([searched.condition, condition.without_match(searched.words)])
        )

    def _grouped(self, searched: "Searched", field: str) -> list[tuple[Any, int]]:
        expression, values = self._reader.value_of(field)
        if searched.is_tallied and field == "_index":
            statement, parameters = searched.tallied(f"{expression} AS value, sum(entry.count) AS found")
        else:
            statement, parameters = searched.rows(f"{expression} AS value, count(*) AS found")
        rows = self._connection.execute(
            f"{statement} GROUP BY value ORDER BY found DESC LIMIT 10000", [*values, *parameters]
        )
        return [(key, count) for key, count in rows if not isinstance(key, bytes)]

    def _linked(self, searched: "Searched", nested: str) -> list[tuple[Any, int]]:
        inner, values = searched.rows("entry.row")
        statement = (
            f"SELECT value, count(*) AS found FROM ({inner}) AS it CROSS JOIN link ON link.row = it.row"  # noqa: S608 - fixed parts
            " WHERE field = ? GROUP BY value ORDER BY found DESC LIMIT 10000"
        )
        return list(self._connection.execute(statement, [*values, nested]))

    def _count_items(self, searched: "Searched", path: str) -> int:
        if path not in LINKED:
            return 0
        inner, values = searched.rows("entry.row")
        statement = (
            f"SELECT count(*) FROM ({inner}) AS it CROSS JOIN link ON link.row = it.row WHERE field = ?"  # noqa: S608 - as above
        )
        return int(self._connection.execute(statement, [*values, path]).fetchone()[0])

    def _first(self, searched: "Searched", columns: str, values: tuple[Scalar, ...]) -> tuple[Any, ...]:
        statement, parameters = searched.rows(columns)
        row: tuple[Any, ...] = self._connection.execute(statement, [*values, *parameters]).fetchone()
        return row


def _is_linked(field: str, nested: str) -> bool:
    return nested in LINKED and field.removesuffix(".keyword") == f"{nested}.{LINKED[nested]}"
