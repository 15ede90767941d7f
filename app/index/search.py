"""One search, carried out on one connection: which documents, in which order, how many, and what they add up to."""

import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from app.index.aggregations import aggregate
from app.index.bitmaps import Bitmaps, bitmap_of, newest
from app.index.clauses import ClauseReader, on_shelf
from app.index.criteria import AND, SEPARATOR, Criterion, every, some
from app.index.fields import KINDS, SHELVES, WEIGHTS, Scalar
from app.index.highlights import highlights
from app.index.lucene import read_text
from app.index.matches import MOST_ROWS, Matches
from app.index.reading import ReadingConnection
from app.index.shaping import decorate, shown

MOST_MATCHES: Final = 10_000
"""Of documents with some words, the newest so many are looked at: more are no help, and cost without a bound."""
MOST_JOINED: Final = 8
"""Words of a text of common ones that documents are expected to have all of."""
MOST_READ: Final = 32_000_000
"""Characters of the documents of one page; a thousand usual ones have a tenth. What comes after is not shown."""
MOST_SUGGESTIONS: Final = 50
_RANK: Final = f"bm25(%s, {', '.join(map(str, WEIGHTS))})"
SCORE: Final = "_score"
_QUOTED: Final = re.compile(r'"(?:[^"]|"")*"')
_BEGINNING: Final = re.compile(rf"({_QUOTED.pattern}) \*")

Row = tuple[int, float | None]


class SearchTooLongError(Exception):
    """A search took longer than it may."""


def visible(kinds: Sequence[str], viewer_id: int | None, words: str) -> Criterion:
    """Return what holds for documents of these kinds that the viewer may see."""
    public = [on_shelf(SHELVES[kind]) for kind in kinds]
    if viewer_id is None:
        return some(public, words)
    own = some([on_shelf(-SHELVES[kind]) for kind in kinds], words)
    return some(
        [*public, every([own, ClauseReader(tuple(kinds), read_text).term("uploader_id", viewer_id)])], words
    )


def search(
    connection: ReadingConnection, kinds: tuple[str, ...], question: Mapping[str, Any], viewer_id: int | None
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


def _with_documents(connection: ReadingConnection, viewer_id: int | None) -> int | None:
    """Return the viewer if there are private documents of theirs; nobody sees others', and so most see what all see."""
    own = "SELECT 1 FROM entry WHERE owner = ? AND shelf < 0 LIMIT 1"
    return viewer_id if viewer_id and connection.execute(own, (viewer_id,)).fetchone() else None


def _search(
    connection: ReadingConnection, kinds: tuple[str, ...], question: Mapping[str, Any], viewer_id: int | None
) -> dict[str, Any]:
    reader = ClauseReader(kinds, read_text)
    wanted = reader.read(question["query"]) if "query" in question else Criterion()
    condition = every([visible(kinds, viewer_id, reader.words), wanted])
    found = _find(connection, Bitmaps(connection), condition, reader.words)
    rows, sorts = _rows(found, question, reader)
    answer: dict[str, Any] = {
        "took": 0,
        "timed_out": False,
        "hits": {
            "total": {"value": found.total, "relation": "eq" if found.is_exact else "gte"},
            "max_score": max((score for _, score in rows if score is not None), default=None),
            "hits": _hits(connection, rows, sorts, question, found.match),
        },
    }
    if "aggs" in question:
        answer["aggregations"] = aggregate(found, question["aggs"], reader)
    if "suggest" in question:
        answer["suggest"] = _suggest(connection, kinds, question["suggest"], viewer_id)
    return answer


def _find(connection: ReadingConnection, bitmaps: Bitmaps, condition: Criterion, words: str) -> Matches:
    found = _matching(connection, bitmaps, condition, words)
    if found.is_common and 0 < condition.match.count(SEPARATOR) < MOST_JOINED:
        # Of very many, those with all the words are the ones that were meant, if there are any.
        whole = replace(condition, match=condition.match.replace(SEPARATOR, AND))
        narrowed = _matching(connection, bitmaps, whole, words)
        if narrowed.total:
            return replace(narrowed, is_exact=False, is_common=True)
    return found


def _matching(connection: ReadingConnection, bitmaps: Bitmaps, condition: Criterion, words: str) -> Matches:
    rows, match, is_common = condition.mask(bitmaps), condition.match, False
    if match:
        # Where a beginning is a common word itself, FTS5 need not merge the lists of all words that begin so.
        match = _BEGINNING.sub(lambda it: it[1] if _is_common(connection, words, it[1]) else it[0], match)
        statement = f"SELECT rowid FROM {words} WHERE {words} MATCH ? ORDER BY rowid DESC LIMIT ?"  # noqa: S608 - our names only
        matches = [row for (row,) in connection.execute(statement, (match, MOST_MATCHES))]
        is_common = len(matches) == MOST_MATCHES
        rows &= bitmap_of(matches)
    found = Matches(connection, bitmaps, rows, words, match, is_exact=not is_common, is_common=is_common)
    return found if condition.is_exact else found.verified(condition)


def _is_common(connection: ReadingConnection, words: str, word: str) -> bool:
    statement = f"SELECT 1 FROM {words} WHERE {words} MATCH ? LIMIT 1 OFFSET ?"  # noqa: S608 - our names only
    return connection.execute(statement, (word, MOST_MATCHES - 1)).fetchone() is not None


def _rows(
    found: Matches, question: Mapping[str, Any], reader: ClauseReader
) -> tuple[list[Row], list[list[Scalar]]]:
    """Return the rows of one page with their scores, and what they were sorted by."""
    size, begin = question.get("size") or 0, question.get("from", 0)
    if not size:
        return [], []
    sort = [
        (field, how["order"] == "desc") for item in question.get("sort", ()) for field, how in item.items()
    ]
    by_score = (not sort or any(field == SCORE for field, _ in sort)) and _is_ranked(found)
    order = (sort or [(SCORE, True)]) if by_score else [key for key in sort if key[0] != SCORE]
    scores: Mapping[int, float | None]
    if by_score:
        scores = _scores(found)
    else:
        keys = [(reader.ordered(field), is_descending) for field, is_descending in order]
        candidates = found.bitmaps.top(found.rows, keys, begin + size, MOST_ROWS)
        scores = dict.fromkeys(newest(candidates, candidates.bit_count()))
    if not order:
        page = list(scores)[begin : begin + size]
        return [(row, None) for row in page], [[] for _ in page if sort]
    rows = _sorted(found.connection, scores, order, reader, (size, begin))
    return [(row, scores[row]) for row, *_ in rows], [values for _, *values in rows if sort]


def _sorted(
    connection: ReadingConnection,
    scores: Mapping[int, float | None],
    order: Sequence[tuple[str, bool]],
    reader: ClauseReader,
    window: tuple[int, int],
) -> list[tuple[Any, ...]]:
    """Return the numbers of some rows in an order, each with what it was sorted by; those without a value come last."""
    keys = [("one.value", ()) if field == SCORE else reader.value_of(field) for field, _ in order]
    names = ", ".join(f"({expression}) AS key{place}" for place, (expression, _) in enumerate(keys))
    ways = ", ".join(
        f"key{place} {'DESC' if down else 'ASC'} NULLS LAST" for place, (_, down) in enumerate(order)
    )
    statement = (
        f"SELECT CAST(one.key AS INTEGER) AS number, {names} FROM json_each(?) AS one"  # noqa: S608 - our names only
        f" LEFT JOIN entry ON entry.row = CAST(one.key AS INTEGER) ORDER BY {ways}, number DESC LIMIT ? OFFSET ?"
    )
    values = [value for _, parameters in keys for value in parameters]
    return connection.execute(statement, [*values, json.dumps(scores), *window]).fetchall()


def _is_ranked(found: Matches) -> bool:
    """Whether it is known soon how well documents match: FTS5 reads the list of each word to its end for that."""
    if not found.match or found.is_common:
        return False
    # Of those with one of some words there would be very many already.
    needed = _QUOTED.findall(found.match) if AND in found.match else []
    return not any(_is_common(found.connection, found.words, word) for word in needed)


def _scores(found: Matches) -> dict[int, float | None]:
    kept = frozenset(newest(found.rows, MOST_MATCHES))
    statement = f"SELECT rowid, -{_RANK % found.words} FROM {found.words} WHERE {found.words} MATCH ?"  # noqa: S608 - our names only
    return {row: score for row, score in found.connection.execute(statement, (found.match,)) if row in kept}


def _hits(
    connection: ReadingConnection,
    rows: Sequence[Row],
    sorts: Sequence[list[Scalar]],
    question: Mapping[str, Any],
    match: str,
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    read = 0
    for place, (row, score) in enumerate(rows):
        connection.look()
        kind, document_id, source = _document(connection, row)
        read += len(source)
        if read > MOST_READ and found:
            break
        document = json.loads(source)
        decorate(connection, kind, document_id, document)
        hit: dict[str, Any] = {"_index": kind, "_type": kind, "_id": document_id, "_score": score}
        hit["_source"] = shown(document, question.get("_source", {}))
        if sorts:
            hit["sort"] = sorts[place]
        if "highlight" in question:
            hit["highlight"] = highlights(document, question["highlight"], match)
        found.append(hit)
    return found


def _document(connection: ReadingConnection, row: int) -> tuple[str, str, str]:
    shelf, document_id, source = connection.execute(
        "SELECT shelf, id, source FROM entry JOIN body USING (row) WHERE row = ?", (row,)
    ).fetchone()
    return KINDS[abs(shelf) - 1], document_id, source


def _suggest(
    connection: ReadingConnection, kinds: tuple[str, ...], asked: Mapping[str, Any], viewer_id: int | None
) -> dict[str, Any]:
    """Return what names begin so, as the completion suggester does."""
    return {name: [_completions(connection, kinds, part, viewer_id)] for name, part in asked.items()}


def _completions(
    connection: ReadingConnection, kinds: tuple[str, ...], part: Mapping[str, Any], viewer_id: int | None
) -> dict[str, Any]:
    text = str(part.get("prefix", part.get("text", "")))
    size = min(int(part.get("size", 5)), MOST_SUGGESTIONS)
    options: list[dict[str, Any]] = []
    bitmaps = Bitmaps(connection)
    for kind in kinds:
        reader = ClauseReader((kind,), read_text)
        condition = every([visible((kind,), viewer_id, reader.words), reader.prefix("name", text)])
        if condition.is_never or not condition.match:
            continue
        found = _find(connection, bitmaps, condition, reader.words)
        question = {"size": size, "sort": [{"runs": {"order": "desc"}}], "_source": part.get("_source", {})}
        rows, _ = _rows(found, question, reader)
        for hit in _hits(connection, rows, [], question, found.match):
            source = hit["_source"]
            label = source.get("name") or " ".join(filter(None, map(source.get, ("first_name", "last_name"))))
            options.append({"text": str(label or text), **hit, "_score": 1.0})
    return {"text": text, "offset": 0, "length": len(text), "options": options[:size]}
