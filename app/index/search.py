"""One search, carried out on one connection: which documents, in which order, how many, and what they add up to."""

import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from app.index.aggregations import aggregate
from app.index.clauses import ClauseReader
from app.index.criteria import SEPARATOR, Criterion, every
from app.index.fields import KINDS, SHELVES, WEIGHTS, Scalar
from app.index.highlights import highlights
from app.index.lucene import read_text
from app.index.shaping import decorate, shown
from app.index.store import SORTED

MOST_MATCHES: Final = 10_000
"""Of documents with some words, the newest so many are looked at: more are no help, and cost without a bound."""
FEW: Final = 2000
"""Documents that are sorted at once, whatever they are sorted by."""
MOST_SUGGESTIONS: Final = 50
_RANK: Final = f"bm25(%s, {', '.join(map(str, WEIGHTS))})"

_COLUMN: Final = re.compile(r"\bentry\.(\w+)")
Row = tuple[int, float | None]


class SearchTooLongError(Exception):
    """A search took longer than it may."""


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search is carried out over.

    Attributes:
        kinds: of documents.
        condition: what they have to be like, visibility included.
        words: the table of the words.
        is_common: whether a word is in very many documents: to rank by it, FTS5 would look at each of them.
        floor: the oldest row that is looked at, where words are searched; 0 for all.
    """

    kinds: tuple[str, ...]
    condition: Criterion
    words: str
    floor: int = 0
    is_common: bool = False

    def rows(self, columns: str) -> tuple[str, list[Scalar]]:
        """Return the statement that reads columns of every document that is found, and its parameters."""
        if not self.condition.match:
            return f"SELECT {columns} FROM entry WHERE {self.condition.sql}", [*self.condition.values]  # noqa: S608 - our names only
        statement = (
            f"SELECT {columns} FROM {self.words} CROSS JOIN entry ON entry.row = {self.words}.rowid"  # noqa: S608 - fixed
            f" WHERE {self.words} MATCH ? AND {self.words}.rowid >= ? AND {self.condition.sql}"
        )
        return statement, [self.condition.match, self.floor, *self.condition.values]

    @property
    def is_tallied(self) -> bool:
        """Whether it is about kinds and the status alone, of which numbers are kept."""
        return not self.condition.match and set(_COLUMN.findall(self.condition.sql)) <= {"shelf", "status"}

    def tallied(self, columns: str) -> tuple[str, list[Scalar]]:
        """Return the statement that reads sums over what is found, of the numbers that are kept."""
        return f"SELECT {columns} FROM tally AS entry WHERE {self.condition.sql}", [*self.condition.values]  # noqa: S608 - our names only

    def newest(self, connection: sqlite3.Connection) -> "Searched":
        """Return it narrowed to the newest so many documents that are found."""
        inner, values = self.rows("entry.row")
        rows = [
            row
            for (row,) in connection.execute(
                f"{inner} ORDER BY entry.row DESC LIMIT ?", [*values, MOST_MATCHES]
            )
        ]
        listed = json.dumps(rows)
        return Searched(
            self.kinds, Criterion("entry.row IN (SELECT value FROM json_each(?))", (listed,)), self.words
        )


def visible(kinds: Sequence[str], viewer_id: int | None) -> Criterion:
    """Return what holds for documents of these kinds that the viewer may see."""
    shelves = ", ".join(str(SHELVES[kind]) for kind in kinds)
    public = f"entry.shelf IN ({shelves})" if len(kinds) > 1 else f"entry.shelf = {shelves}"
    if viewer_id is None:
        return Criterion(public)
    own = ", ".join(str(-SHELVES[kind]) for kind in kinds)
    return Criterion(f"({public} OR (entry.shelf IN ({own}) AND entry.owner = ?))", (viewer_id,))


def search(
    connection: sqlite3.Connection, kinds: tuple[str, ...], question: Mapping[str, Any], viewer_id: int | None
) -> dict[str, Any]:
    """Return the answer to a search, in Elasticsearch's form, `hits.total` as an object.

    Raises:
        SearchTooLongError: it took longer than the connection allows.
    """
    try:
        connection.execute("BEGIN")
        try:
            return _search(connection, kinds, _plain(question), _with_documents(connection, viewer_id))
        finally:
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            raise SearchTooLongError from error
        raise


def _plain(question: Mapping[str, Any]) -> dict[str, Any]:
    """Return the question in characters that SQLite takes: half a surrogate pair has no UTF-8."""
    text = json.dumps(question, ensure_ascii=False).encode("utf-8", "replace").decode()
    plain: dict[str, Any] = json.loads(text)
    return plain


def _with_documents(connection: sqlite3.Connection, viewer_id: int | None) -> int | None:
    """Return the viewer if there are private documents of theirs; nobody sees others', and so most see what all see."""
    own = "SELECT 1 FROM entry WHERE owner = ? AND shelf < 0 LIMIT 1"
    return viewer_id if viewer_id and connection.execute(own, (viewer_id,)).fetchone() else None


def _search(
    connection: sqlite3.Connection, kinds: tuple[str, ...], question: Mapping[str, Any], viewer_id: int | None
) -> dict[str, Any]:
    reader = ClauseReader(kinds, read_text)
    wanted = reader.read(question["query"]) if "query" in question else Criterion()
    searched = _bounded(connection, kinds, every([visible(kinds, viewer_id), wanted]), reader.words)
    total, is_exact = _total(connection, searched)
    rows, sorts = _rows(connection, searched, question, reader, many=total > FEW)
    answer: dict[str, Any] = {
        "took": 0,
        "timed_out": False,
        "hits": {
            "total": {"value": total, "relation": "eq" if is_exact else "gte"},
            "max_score": max((score for _, score in rows if score is not None), default=None),
            "hits": _hits(connection, rows, sorts, question, searched),
        },
    }
    if "aggs" in question:
        answer["aggregations"] = aggregate(connection, searched, question["aggs"], reader)
    if "suggest" in question:
        answer["suggest"] = _suggest(connection, kinds, question["suggest"], viewer_id)
    return answer


def _bounded(
    connection: sqlite3.Connection, kinds: tuple[str, ...], condition: Criterion, words: str
) -> Searched:
    if not condition.match:
        return Searched(kinds, condition, words)
    found = _floored(connection, kinds, condition, words)
    if found.floor and SEPARATOR in condition.match:
        # Of very many, those with all the words are the ones that were meant, if there are any.
        whole = replace(condition, match=condition.match.replace(SEPARATOR, " AND "))
        narrowed = _floored(connection, kinds, whole, words)
        statement, values = narrowed.rows("1")
        if connection.execute(f"{statement} LIMIT 1", values).fetchone():
            return replace(narrowed, is_common=True)
    return found


def _floored(
    connection: sqlite3.Connection, kinds: tuple[str, ...], condition: Criterion, words: str
) -> Searched:
    newest = f"SELECT rowid FROM {words} WHERE {words} MATCH ? ORDER BY rowid DESC LIMIT 1 OFFSET ?"  # noqa: S608 - our names only
    row = connection.execute(newest, (condition.match, MOST_MATCHES - 1)).fetchone()
    return Searched(kinds, condition, words, row[0] if row else 0, is_common=row is not None)


def _total(connection: sqlite3.Connection, searched: Searched) -> tuple[int, bool]:
    if searched.is_tallied:
        statement, values = searched.tallied("coalesce(sum(entry.count), 0)")
    else:
        statement, values = searched.rows("count(*)")
    return int(connection.execute(statement, values).fetchone()[0]), not searched.is_common


def _rows(
    connection: sqlite3.Connection,
    searched: Searched,
    question: Mapping[str, Any],
    reader: ClauseReader,
    *,
    many: bool = False,
) -> tuple[list[Row], list[list[Scalar]]]:
    """Return the rows of one page with their scores, and what they were sorted by."""
    if not question.get("size"):
        return [], []
    is_ranked = bool(searched.condition.match) and not searched.is_common
    keys, values = _order(question.get("sort"), reader, searched.words if is_ranked else "")
    score = _RANK % searched.words if is_ranked else "NULL"
    columns = ", ".join(["entry.row", score, *(key for key, _ in keys)])
    statement, found = searched.rows(columns)
    if many and keys and len(searched.kinds) == 1 and not searched.condition.match:
        # Of many, a page is found by walking along what they are sorted by; SQLite would sort all of them.
        name = keys[0][0].removeprefix("entry.")
        hint = f"FROM entry INDEXED BY entry_{name}" if name in SORTED else "FROM entry"
        statement = statement.replace("FROM entry", hint, 1)
    order = ", ".join([*(f"{key} {way}" for key, way in keys), "entry.row DESC"])
    # What is sorted by stands twice: among the columns, and in the order.
    parameters = [*values, *found, *values, question["size"], question.get("from", 0)]
    rows = connection.execute(f"{statement} ORDER BY {order} LIMIT ? OFFSET ?", parameters).fetchall()
    has_score = is_ranked and (not question.get("sort") or any(key == score for key, _ in keys))
    found_rows = [(row[0], -row[1] if has_score and row[1] is not None else None) for row in rows]
    return found_rows, [_sort_values(row[2:], keys, score) for row in rows] if question.get("sort") else []


def _sort_values(values: Sequence[Scalar], keys: Sequence[tuple[str, str]], score: str) -> list[Scalar]:
    return [
        -value if key == score and isinstance(value, int | float) else value
        for value, (key, _) in zip(values, keys, strict=True)
    ]


def _order(sort: object, reader: ClauseReader, ranked: str) -> tuple[list[tuple[str, str]], list[Scalar]]:
    """Return what documents are sorted by, each with its way, and the parameters; those without a value come last."""
    keys: list[tuple[str, str]] = []
    values: list[Scalar] = []
    for item in sort if isinstance(sort, list) else [{"_score": {"order": "desc"}}]:
        ((field, how),) = item.items()
        way = "DESC" if how["order"] == "desc" else "ASC"
        if field == "_score":
            if ranked:
                # The best rank is the smallest number.
                keys.append((_RANK % ranked, "ASC" if way == "DESC" else "DESC"))
            continue
        expression, parameters = reader.value_of(field)
        keys.append((expression, f"{way} NULLS LAST"))
        values += parameters
    return keys, values


def _hits(
    connection: sqlite3.Connection,
    rows: Sequence[Row],
    sorts: Sequence[list[Scalar]],
    question: Mapping[str, Any],
    searched: Searched,
) -> list[dict[str, Any]]:
    found = []
    for place, (row, score) in enumerate(rows):
        kind, document_id, document = _document(connection, row)
        decorate(connection, kind, document_id, document)
        hit: dict[str, Any] = {"_index": kind, "_type": kind, "_id": document_id, "_score": score}
        hit["_source"] = shown(document, question.get("_source", {}))
        if sorts:
            hit["sort"] = sorts[place]
        if "highlight" in question:
            hit["highlight"] = highlights(document, question["highlight"], searched.condition.match)
        found.append(hit)
    return found


def _document(connection: sqlite3.Connection, row: int) -> tuple[str, str, dict[str, Any]]:
    shelf, document_id, source = connection.execute(
        "SELECT shelf, id, source FROM entry JOIN body USING (row) WHERE row = ?", (row,)
    ).fetchone()
    return KINDS[abs(shelf) - 1], document_id, json.loads(source)


def _suggest(
    connection: sqlite3.Connection, kinds: tuple[str, ...], asked: Mapping[str, Any], viewer_id: int | None
) -> dict[str, Any]:
    """Return what names begin so, as the completion suggester does."""
    return {name: [_completions(connection, kinds, part, viewer_id)] for name, part in asked.items()}


def _completions(
    connection: sqlite3.Connection, kinds: tuple[str, ...], part: Mapping[str, Any], viewer_id: int | None
) -> dict[str, Any]:
    text = str(part.get("prefix", part.get("text", "")))
    size = min(int(part.get("size", 5)), MOST_SUGGESTIONS)
    options: list[dict[str, Any]] = []
    for kind in kinds:
        reader = ClauseReader((kind,), read_text)
        condition = every([visible((kind,), viewer_id), reader.prefix("name", text)])
        if condition.is_never or not condition.match:
            continue
        searched = _bounded(connection, (kind,), condition, reader.words)
        question = {"size": size, "sort": [{"runs": {"order": "desc"}}], "_source": part.get("_source", {})}
        rows, _ = _rows(connection, searched, question, reader)
        for hit in _hits(connection, rows, [], question, searched):
            source = hit["_source"]
            label = source.get("name") or " ".join(filter(None, map(source.get, ("first_name", "last_name"))))
            options.append({"text": str(label or text), **hit, "_score": 1.0})
    return {"text": text, "offset": 0, "length": len(text), "options": options[:size]}
