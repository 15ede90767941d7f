"""Conditions on documents as SQL, and what of them FTS5 can find by itself.

A condition is a text that has to match (`match`, for FTS5) and an expression over `entry`; both hold. So whatever names
words is answered by the words, and the rest by columns. Constants are folded, for an index serves none of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from app.index.fields import Scalar

YES, NO = "1", "0"
SEPARATOR: Final = " OR "


@dataclass(frozen=True, slots=True)
class Criterion:
    """What documents have to be like.

    Attributes:
        sql: an expression over `entry`.
        values: of its parameters, in their order.
        match: an expression of FTS5 that has to match as well; empty: none.
    """

    sql: str = YES
    values: tuple[Scalar, ...] = ()
    match: str = ""

    @classmethod
    def of(cls, sql: str, *values: Scalar) -> Self:
        """Return a condition of a column."""
        return cls(sql, values)

    @property
    def is_always(self) -> bool:
        """Whether every document fulfils it."""
        return self.sql == YES and not self.match

    @property
    def is_never(self) -> bool:
        """Whether no document fulfils it."""
        return self.sql == NO

    def without_match(self, words: str) -> "Criterion":
        """Return it as an expression alone; `words` is the table of the words."""
        if not self.match:
            return self
        found = f"entry.row IN (SELECT rowid FROM {words} WHERE {words} MATCH ?)"  # noqa: S608 - a fixed name
        if self.sql == YES:
            return Criterion(found, (self.match,))
        return Criterion(f"({found} AND {self.sql})", (self.match, *self.values))


ALWAYS: Final = Criterion()
NEVER: Final = Criterion(NO)


def every(parts: Iterable[Criterion]) -> Criterion:
    """Return what holds where all hold."""
    kept = [part for part in parts if not part.is_always]
    if any(part.is_never for part in kept):
        return NEVER
    sql = " AND ".join(f"({part.sql})" for part in kept if part.sql != YES) or YES
    match = " AND ".join(f"({part.match})" for part in kept if part.match)
    return Criterion(sql, tuple(value for part in kept for value in part.values), match)


def some(parts: Sequence[Criterion], words: str, *, at_least: int = 1) -> Criterion:
    """Return what holds where so many of them hold."""
    if at_least <= 0:
        return ALWAYS
    if at_least > 1 or not parts:
        return _counted([part.without_match(words) for part in parts], at_least)
    if any(part.is_always for part in parts):
        return ALWAYS
    kept = [part for part in parts if not part.is_never]
    if kept and all(part.match and part.sql == YES for part in kept):
        return Criterion(match=SEPARATOR.join(f"({part.match})" for part in kept))
    plain = [part.without_match(words) for part in kept]
    if not plain:
        return NEVER
    return Criterion(
        SEPARATOR.join(f"({part.sql})" for part in plain),
        tuple(value for part in plain for value in part.values),
    )


def _counted(parts: Sequence[Criterion], at_least: int) -> Criterion:
    if at_least > len(parts):
        return NEVER
    total = " + ".join(f"coalesce(({part.sql}) != 0, 0)" for part in parts)
    return Criterion(f"({total}) >= {at_least:d}", tuple(value for part in parts for value in part.values))


def negated(part: Criterion, words: str) -> Criterion:
    """Return what holds where it does not; where it is not known, it does not hold."""
    plain = part.without_match(words)
    if plain.is_always or plain.is_never:
        return ALWAYS if plain.is_never else NEVER
    return Criterion(f"NOT coalesce(({plain.sql}), 0)", plain.values)
