"""Texts in Lucene's syntax, as people type them, as conditions. Every text has a meaning: what is no syntax is words.

Understood are words, "phrases", beginnings and patterns (`iri*`), `field:value`, `field:(a b)`, `field:>5`,
`field:[1 TO 5]`, `AND`, `OR`, `NOT`, `&&`, `||`, `+`, `-`, `!` and brackets. Boosts (`^2`) and distances (`~`) are
left out.
"""

import re
from typing import Final

from app.index import words
from app.index.clauses import ClauseReader
from app.index.criteria import ALWAYS, NEVER, Criterion, every, negated, some
from app.index.fields import PRIVATE_FIELDS

_TOKEN: Final = re.compile(
    r"""\s*(?:
    (?P<operator>AND\b|OR\b|NOT\b|&&|\|\|)
    |(?P<sign>[+\-!](?=\S))
    |(?P<open>\()|(?P<close>\))
    |(?P<field>[A-Za-z_][\w.]*)\s?:(?=\S)
    |(?P<range>[\[{][^\[\]{}]{0,100}[\]}])
    |"(?P<phrase>[^"]{0,500})"(?:~\d*)?(?:\^[\d.]+)?
    |(?P<word>[^\s()":\[\]{}]+)
    |(?P<other>.)
    )""",
    re.VERBOSE | re.DOTALL,
)
_RANGE: Final = re.compile(r"([\[{])\s*(\S+?)\s+TO\s+(\S+?)\s*([\]}])", re.IGNORECASE)
_MODIFIERS: Final = re.compile(r"(?:[\d.]+\^|[\d.]*~)*")
"""Boosts and distances at the end of a word, from the back: from the front, each would be tried as the first."""
_COMPARED: Final = re.compile(r"(>=|<=|>|<)(.+)")
MOST_TOKENS: Final = 100
DEEPEST: Final = 8


def read_text(text: str, reader: ClauseReader, operator: str) -> Criterion:
    """Return the condition of a text.

    Args:
        text: what somebody typed.
        reader: makes conditions of fields.
        operator: `or` or `and`, between words that stand side by side.
    """
    return _TextReader(text, reader, is_and=operator == "and").read()


class _TextReader:
    """One text, read from the left."""

    def __init__(self, text: str, reader: ClauseReader, *, is_and: bool) -> None:
        self._tokens = [
            (found.lastgroup or "", found[found.lastgroup or 0])
            for found in list(_TOKEN.finditer(text))[:MOST_TOKENS]
            if found.lastgroup
        ]
        self._at = 0
        self._reader = reader
        self._is_and = is_and

    def read(self) -> Criterion:
        """Return the condition of all of it; brackets that close nothing are left out."""
        groups = []
        while self._at < len(self._tokens):
            groups.append(self._group("", 0))
            self._at += 1
        return groups[0] if len(groups) == 1 else some(groups, self._reader.words)

    def _group(self, field: str, depth: int) -> Criterion:
        """Return the condition of what stands up to a bracket that closes."""
        required: list[Criterion] = []
        optional: list[Criterion] = []
        excluded: list[Criterion] = []
        joins = self._is_and
        while self._at < len(self._tokens) and self._tokens[self._at][0] != "close":
            kind, value = self._tokens[self._at]
            if kind == "operator" and value in {"AND", "&&", "OR", "||"}:
                joins = value in {"AND", "&&"}
                if joins and optional:
                    required.append(optional.pop())
                self._at += 1
                continue
            sign = self._sign()
            part = self._part(field, depth)
            if part is None:
                continue
            if sign == "-":
                excluded.append(part)
            else:
                (required if joins or sign == "+" else optional).append(part)
            joins = self._is_and
        if not required and optional:
            required.append(some(optional, self._reader.words))
        if not required and not excluded:
            return NEVER
        return every([*required, *(negated(part, self._reader.words) for part in excluded)])

    def _sign(self) -> str:
        """Pass over what stands before a part, and return `+`, `-` or nothing."""
        sign = ""
        while self._at < len(self._tokens):
            kind, value = self._tokens[self._at]
            if kind == "sign":
                sign = "+" if value == "+" else "-"
            elif kind == "operator" and value == "NOT":
                sign = "-"
            else:
                break
            self._at += 1
        return sign

    def _part(self, field: str, depth: int) -> Criterion | None:
        """Return the condition of the next part; None where there is nothing to look for."""
        if self._at >= len(self._tokens):
            return None
        kind, value = self._tokens[self._at]
        if kind == "close":
            return None
        self._at += 1
        if kind == "open":
            inner = self._group(field, depth + 1) if depth < DEEPEST else None
            self._at += 1
            return inner
        if kind == "field":
            return self._field(value, depth)
        return self._value(field, kind, value)

    def _field(self, name: str, depth: int) -> Criterion | None:
        # Of a private field nothing is known, not even whether a document has it.
        if PRIVATE_FIELDS & set(name.lower().split(".")):
            self._part("", depth)
            return NEVER
        return self._part("" if name == "_all" else name, depth)

    def _value(self, field: str, kind: str, value: str) -> Criterion | None:
        if kind == "range":
            return self._range(field, value)
        if kind == "phrase":
            return self._reader.phrase(field, value) if words.WORD.search(value) else None
        value = _without_modifiers(value).replace("\\", "")
        return self._word(field, value) if kind != "other" and value else None

    def _word(self, field: str, value: str) -> Criterion | None:
        reader = self._reader
        if field and (compared := _COMPARED.fullmatch(value)):
            return reader.compare(field, compared[1], compared[2])
        if value == "*":
            return reader.exists(field) if field else ALWAYS
        if "*" in value or "?" in value:
            return self._pattern(field, value)
        if not words.WORD.search(value):
            return None
        is_own = field and field not in reader.analyzed
        return reader.term(field, value) if is_own else reader.match(field, value, "and")

    def _pattern(self, field: str, value: str) -> Criterion | None:
        begin = value.rstrip("*")
        if not field or field in self._reader.analyzed:
            if begin and not {"*", "?"} & set(begin) and words.WORD.search(begin):
                match = words.beginning(begin, self._reader.analyzed.get(field, ""))
                return Criterion(match=match) if match else None
            return self._reader.wildcard(field or "name", value)
        return self._reader.wildcard(field, value)

    def _range(self, field: str, value: str) -> Criterion | None:
        found = _RANGE.fullmatch(value)
        if not field or found is None:
            return self._reader.match(field, value) if words.WORD.search(value) else None
        low, high = (">=" if found[1] == "[" else ">"), ("<=" if found[4] == "]" else "<")
        bounds = ((low, found[2]), (high, found[3]))
        return every([self._reader.compare(field, sign, bound) for sign, bound in bounds if bound != "*"])


def _without_modifiers(word: str) -> str:
    found = _MODIFIERS.match(word[::-1])
    return word[: len(word) - found.end()] if found else word
