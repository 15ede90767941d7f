"""The clauses of a search (as `app.web.search_query` leaves them) as conditions. What cannot match matches nothing."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from app.index import words
from app.index.bitmaps import LABELLED, SLICED, code_of
from app.index.criteria import NEVER, Criterion, every, negated, some
from app.index.fields import (
    ANALYZED,
    LINKED,
    NUMERIC_COLUMNS,
    SHELVES,
    Scalar,
    as_moment,
    as_number,
    column_of,
    study_of,
)

Clause = Mapping[str, Any]
_COMPARISONS: Final = {"gte": ">=", "gt": ">", "lte": "<=", "lt": "<"}
_KEYWORD: Final = ".keyword"
_DEEPEST: Final = 24
"""Of clauses in clauses; the grammar allows half as many, and a text in Lucene's syntax adds its own."""
MOST_WILDCARDS = 6


class ClauseReader:
    """Reads the clauses of one search over documents of some kinds."""

    def __init__(self, kinds: tuple[str, ...], text: Callable[[str, "ClauseReader", str], Criterion]) -> None:
        self.kinds = kinds
        self.words = f"words_{kinds[0]}"
        # Words are kept for each kind: over several kinds, texts are compared as they are.
        self.analyzed: Mapping[str, str] = ANALYZED if len(kinds) == 1 else {}
        self._text = text
        self._inside = ""
        """The nested field that is looked into, where it has no table."""
        self._readers: Mapping[str, Callable[[Any, int], Criterion]] = {
            "bool": self._bool,
            "nested": self._nested,
            "constant_score": lambda value, depth: self.read(value["filter"], depth),
            "match_all": lambda _value, _depth: Criterion(),
            "match_none": lambda _value, _depth: NEVER,
            "query_string": lambda value, _depth: self._query_string(value),
            "simple_query_string": lambda value, _depth: self._query_string(value),
            "typed": lambda value, _depth: _matching(words.all_of(str(value), is_typing=True)),
            "multi_match": lambda value, _depth: self._multi_match(value),
            "exists": lambda value, _depth: self.exists(value["field"]),
            "ids": lambda value, _depth: self._ids(value["values"]),
            "terms": lambda value, _depth: self._terms(value),
            "term": lambda value, _depth: self.term(*_pair(value, "value")),
            "range": lambda value, _depth: self._range(value),
            "prefix": lambda value, _depth: self.prefix(*_pair(value, "value")),
            "wildcard": lambda value, _depth: self.wildcard(*_pair(value, "value")),
            "match": lambda value, _depth: self._match(value),
            "match_phrase": lambda value, _depth: self.phrase(*_pair(value, "query")),
        }

    def read(self, clause: Clause, depth: int = 0) -> Criterion:
        """Return the condition of a clause."""
        ((name, value),) = clause.items()
        if depth > _DEEPEST:
            return NEVER
        return self._readers[name](value, depth + 1)

    def _bool(self, value: Clause, depth: int) -> Criterion:
        def conditions(name: str) -> list[Criterion]:
            parts = value.get(name, [])
            return [self.read(part, depth) for part in (parts if isinstance(parts, list) else [parts])]

        required = conditions("must") + conditions("filter")
        required += [negated(part, self.words) for part in conditions("must_not")]
        should = conditions("should")
        if should:
            least = value.get("minimum_should_match", 0 if "must" in value or "filter" in value else 1)
            required.append(some(should, self.words, at_least=int(as_number(least) or 0)))
        return every(required)

    def _nested(self, value: Clause, depth: int) -> Criterion:
        path = str(value["path"])
        if path in LINKED or self._inside:
            return self.read(value["query"], depth)
        self._inside = path
        try:
            inner = self.read(value["query"], depth).without_match(self.words)
        finally:
            self._inside = ""
        if inner.is_never:
            return inner
        items = "SELECT 1 FROM body JOIN json_each(body.source, ?) AS item WHERE body.row = entry.row"
        return Criterion.of_sql(
            f"EXISTS ({items} AND ({inner.sql}))", _json_path(path) or '$.""', *inner.values
        )

    def _query_string(self, value: Clause) -> Criterion:
        operator = str(value.get("default_operator", "or")).lower()
        return self._text(str(value.get("query", "")), self, operator)

    def _multi_match(self, value: Clause) -> Criterion:
        fields = [str(field).partition("^")[0] for field in value.get("fields", [])]
        text, operator = str(value.get("query", "")), str(value.get("operator", "or"))
        known = [field for field in fields if field.removesuffix(_KEYWORD) in self.analyzed]
        if not known:
            return self.match("", text, operator)
        return some([self.match(field, text, operator) for field in known], self.words)

    def _ids(self, values: list[Scalar]) -> Criterion:
        if not values:
            return NEVER
        marks = ", ".join("?" * len(values))
        return Criterion.of_rows(f"SELECT row FROM entry WHERE id IN ({marks})", *map(str, values))  # noqa: S608 - question marks

    def _terms(self, value: Clause) -> Criterion:
        ((field, values),) = ((name, values) for name, values in value.items() if name != "boost")
        column = self.sliced(field)
        if column in NUMERIC_COLUMNS:
            return _is_one_of(
                str(column), [number for item in values if (number := as_number(item)) is not None]
            )
        return some([self.term(field, item) for item in values], self.words)

    def _range(self, value: Clause) -> Criterion:
        ((field, limits),) = value.items()
        if not isinstance(limits, Mapping):
            return NEVER
        bounds = [(_COMPARISONS[name], limit) for name, limit in limits.items() if name in _COMPARISONS]
        return every([self.compare(field, sign, limit) for sign, limit in bounds if limit is not None])

    def _match(self, value: Clause) -> Criterion:
        ((field, wanted),) = value.items()
        if isinstance(wanted, Mapping):
            return self.match(field, str(wanted.get("query", "")), str(wanted.get("operator", "or")))
        return self.match(field, str(wanted))

    def match(self, field: str, text: str, operator: str = "or") -> Criterion:
        """Return what has words in a field; in any field that is searched where none is named."""
        if (field and field not in self.analyzed) or not self.analyzed:
            return self.term(field, text) if field else NEVER
        make = words.all_of if operator.lower() == "and" else words.any_of
        return _matching(make(text, self.analyzed.get(field, "")))

    def phrase(self, field: str, text: Scalar) -> Criterion:
        """Return what has words in this order."""
        if (field and field not in self.analyzed) or not self.analyzed:
            return self.term(field, text) if field else NEVER
        return _matching(words.phrase(str(text), self.analyzed.get(field, "")))

    def term(self, field: str, value: Scalar) -> Criterion:
        """Return what has exactly this value in a field."""
        if value is None:
            return NEVER
        if field in {"_id", "_index"}:
            return self._meta(field, str(value))
        if field == "visibility" and not self._inside:
            return self._visibility(str(value))
        nested, _, part = field.partition(".")
        if LINKED.get(nested) == part and part:
            return self._linked(nested, str(value))
        if field in self.analyzed and not self._inside:
            return _matching(words.phrase(str(value), self.analyzed[field]))
        return self.compare(field, "=", value)

    def compare(self, field: str, sign: str, value: Scalar) -> Criterion:
        """Return what is equal to a value, smaller or larger (`=`, `<`, `<=`, `>`, `>=`)."""
        column = None if self._inside else self._column(field)
        number = as_number(value)
        if column in NUMERIC_COLUMNS:
            return NEVER if number is None else _column_is(str(column), sign, number)
        text = _spelled(value)
        if column is not None:
            return self._text_is(column, sign, text)
        expression, values = self._expression(field)
        if expression is None:
            return NEVER
        # A document's own field may hold either: a number is compared with numbers, a text with texts.
        parts = [
            Criterion.of_sql(
                f"(typeof({expression}) = 'text' AND {expression} {sign} ? COLLATE NOCASE)",
                *(*values, *values, text),
            )
        ]
        if number is not None:
            parts.append(
                Criterion.of_sql(
                    f"(typeof({expression}) IN ('integer', 'real') AND {expression} {sign} ?)",
                    *(*values, *values, number),
                )
            )
        if isinstance(value, bool) or text in {"true", "false"}:
            parts.append(Criterion.of_sql(f"{expression} {sign} ?", *values, int(text == "true")))
        return some(parts, self.words)

    def exists(self, field: str) -> Criterion:
        """Return what has a value in a field."""
        if field in {"_id", "_index", "visibility"}:
            return Criterion()
        if field.partition(".")[0] in LINKED:
            return Criterion.of_sql(
                "EXISTS (SELECT 1 FROM link WHERE link.row = entry.row AND link.field = ?)",
                field.partition(".")[0],
            )
        if column := self.sliced(field):
            return Criterion.of_column(lambda bitmaps: bitmaps.exists(column), f"entry.{column} IS NOT NULL")
        expression, values = self._expression(field)
        return NEVER if expression is None else Criterion.of_sql(f"{expression} IS NOT NULL", *values)

    def prefix(self, field: str, value: Scalar) -> Criterion:
        """Return what has a word that begins so."""
        if field in self.analyzed and not self._inside:
            return _matching(words.beginning(str(value), self.analyzed[field]))
        begin = _escaped(str(value))
        return self._like(field, [f"{begin}%", f"% {begin}%", f"%({begin}%"])

    def wildcard(self, field: str, value: Scalar) -> Criterion:
        """Return what has a word of this form, with `*` and `?`."""
        text = str(value)
        if text.strip("*") == "":
            return self.exists(field)
        if text.count("*") + text.count("?") > MOST_WILDCARDS:
            return NEVER
        pattern = _escaped(text).replace("*", "%").replace("?", "_")
        # Of a name each word counts, which may stand behind another.
        more = [f"% {pattern}"] if not pattern.startswith("%") else []
        more += [f"{form} %" for form in [pattern, *more] if not form.endswith("%")]
        return self._like(field, [pattern, *more])

    def _like(self, field: str, patterns: list[str]) -> Criterion:
        expression, values = self._expression(field)
        if expression is None:
            return NEVER
        parts = [
            Criterion.of_sql(f"{expression} LIKE ? ESCAPE '\\'", *values, pattern) for pattern in patterns
        ]
        return some(parts, self.words)

    def _meta(self, field: str, value: str) -> Criterion:
        if field == "_id":
            return self._ids([value])
        shelf = SHELVES.get(value)
        return some([on_shelf(shelf), on_shelf(-shelf)], self.words) if shelf else NEVER

    def _visibility(self, value: str) -> Criterion:
        sign = {"public": ">", "private": "<"}.get(value)
        return _column_is("shelf", sign, 0) if sign else NEVER

    def _linked(self, nested: str, value: str) -> Criterion:
        own = "SELECT row FROM link WHERE field = ? AND value = ?"
        parts = [Criterion.of_rows(own, nested, value.lower())]
        study = as_number(value) if nested == "collections" else as_number(study_of(value.lower()))
        if study is not None:
            parts += [self._member_of(study, SHELVES[kind]) for kind in self.kinds]
        return some(parts, self.words)

    def _member_of(self, study: float, shelf: int) -> Criterion:
        members = (
            "SELECT entry.row FROM member JOIN entry ON entry.id = member.id AND abs(entry.shelf) = member.shelf"
            " WHERE member.study = ? AND member.shelf = ?"
        )
        return Criterion.of_rows(members, study, shelf)

    def _text_is(self, column: str, sign: str, text: str) -> Criterion:
        if column == "date":
            moment = as_moment(text, is_late=sign in {"<=", ">"})
            return _column_is(column, sign, moment) if moment else NEVER
        if sign != "=":
            return Criterion.of_sql(f"entry.{column} {sign} ?", text)
        if column in LABELLED:
            return Criterion.of_column(
                lambda bitmaps: bitmaps.labelled(column, text), f"entry.{column} = ?", text
            )
        shelves = ", ".join(str(sign * SHELVES[kind]) for kind in self.kinds for sign in (1, -1))
        return Criterion.of_rows(
            f"SELECT row FROM entry WHERE shelf IN ({shelves}) AND {column} = ?",  # noqa: S608 - our names
            text,
        )

    def _column(self, field: str) -> str | None:
        return column_of(self.kinds, field.removesuffix(_KEYWORD))

    def _expression(self, field: str) -> tuple[str | None, tuple[Scalar, ...]]:
        """Return the expression of a field's value, and its parameters; None where no document can have it."""
        if self._inside:
            part = field.removeprefix(f"{self._inside}.").removesuffix(_KEYWORD)
            path = _json_path(part)
            is_object = "CASE item.type WHEN 'object' THEN json_extract(item.value, ?) END"
            return (is_object, (path,)) if path else (None, ())
        column = self._column(field)
        if column is not None:
            return f"entry.{column}", ()
        path = _json_path(field.removesuffix(_KEYWORD))
        source = "(SELECT json_extract(source, ?) FROM body WHERE body.row = entry.row)"
        return (source, (path,)) if path else (None, ())

    def sliced(self, field: str) -> str | None:
        """Return the column of a field that has bitmaps; None where it has none."""
        column = None if self._inside else self._column(field)
        return column if column in SLICED else None

    def ordered(self, field: str) -> str | None:
        """Return the column of a field whose bitmaps know the order of its values; None where they do not."""
        column = self.sliced(field)
        return None if column in LABELLED else column

    def value_of(self, field: str) -> tuple[str, tuple[Scalar, ...]]:
        """Return the expression by which documents are sorted and counted, and its parameters."""
        if field == "_index":
            return "abs(entry.shelf)", ()
        if field == "_id":
            return "entry.id", ()
        if field == "visibility":
            return "CASE WHEN entry.shelf > 0 THEN 'public' ELSE 'private' END", ()
        expression, values = self._expression(field)
        return expression or "NULL", values


def _matching(match: str) -> Criterion:
    return Criterion(match=match) if match else NEVER


def on_shelf(number: int) -> Criterion:
    """Return what is of one kind: a number of `SHELVES`, negative for what is private."""
    return _column_is("shelf", "=", number)


def _is_one_of(column: str, numbers: list[float]) -> Criterion:
    codes = [code_of(column, number) for number in numbers]
    marks = ", ".join("?" * len(numbers))
    return Criterion.of_column(
        lambda bitmaps: bitmaps.one_of(column, codes), f"entry.{column} IN ({marks})", *numbers
    )


def _column_is(column: str, sign: str, value: Scalar) -> Criterion:
    """Return what has such a value in a column whose codes are in the order of the values."""
    code = code_of(column, value)
    return Criterion.of_column(
        lambda bitmaps: bitmaps.compare(column, sign, code), f"entry.{column} {sign} ?", value
    )


def _pair(value: Clause, name: str) -> tuple[str, Scalar]:
    ((field, wanted),) = ((key, part) for key, part in value.items() if key != "boost")
    if isinstance(wanted, Mapping):
        return field, wanted.get(name, wanted.get("value", wanted.get("query")))
    return field, wanted


def _spelled(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json_path(field: str) -> str:
    """Return the path of a field inside a document; empty where none can stand there."""
    if '"' in field or "\0" in field or not field.isprintable():
        return ""
    return "$" + "".join(f'."{step}"' for step in field.split("."))


def _escaped(text: str) -> str:
    for character in "\\%_":
        text = text.replace(character, f"\\{character}")
    return text
