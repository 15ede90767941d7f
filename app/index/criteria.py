"""Conditions on documents: what FTS5 finds, what bitmaps answer, and SQL for whatever neither knows.

A condition is a text that has to match (`match`, for FTS5) and an expression over `entry`; both hold. The expression's
rows are those of `mask`, where that is exact; else they are among them, and the expression is looked at for each.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from app.index.bitmaps import Bitmaps, Mask
from app.index.fields import Scalar

YES, NO = "1", "0"
SEPARATOR: Final = " OR "
AND: Final = " AND "
WIDEST: Final = 50
"""Expressions that are joined side by side."""


def _everything(bitmaps: Bitmaps) -> int:
    return bitmaps.everything()


def _nothing(_bitmaps: Bitmaps) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Criterion:
    """What documents have to be like.

    Attributes:
        sql: an expression over `entry`.
        values: of its parameters, in their order.
        match: an expression of FTS5 that has to match as well; empty: none.
        mask: gives the rows that the expression can hold for.
        is_exact: whether it holds for all of these.
    """

    sql: str = YES
    values: tuple[Scalar, ...] = ()
    match: str = ""
    mask: Mask = _everything
    is_exact: bool = True

    @classmethod
    def of_column(cls, mask: Mask, sql: str, *values: Scalar) -> Self:
        """Return a condition that bitmaps answer."""
        return cls(sql, values, mask=mask)

    @classmethod
    def of_rows(cls, statement: str, *values: Scalar) -> Self:
        """Return a condition on rows whose numbers a statement tells."""
        return cls(
            f"entry.row IN ({statement})",
            values,
            mask=lambda bitmaps: bitmaps.selected(statement, values),
        )

    @classmethod
    def of_sql(cls, sql: str, *values: Scalar) -> Self:
        """Return a condition that no bitmap knows."""
        return cls(sql, values, is_exact=False)

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
        matching = Criterion.of_rows(
            f"SELECT rowid FROM {words} WHERE {words} MATCH ?",  # noqa: S608 - a fixed name
            self.match,
        )
        plain = Criterion(self.sql, self.values, mask=self.mask, is_exact=self.is_exact)
        return every([matching, plain])


ALWAYS: Final = Criterion()
NEVER: Final = Criterion(NO, mask=_nothing)


def every(parts: Iterable[Criterion]) -> Criterion:
    """Return what holds where all hold."""
    kept = [part for part in parts if not part.is_always]
    if any(part.is_never for part in kept):
        return NEVER
    if len(kept) == 1:
        return kept[0]
    sql = _joined([part.sql for part in kept if part.sql != YES], AND) or YES
    return Criterion(
        sql,
        tuple(value for part in kept for value in part.values),
        AND.join(f"({part.match})" for part in kept if part.match),
        mask=_all_of([part.mask for part in kept if part.sql != YES]),
        is_exact=all(part.is_exact for part in kept),
    )


def some(parts: Sequence[Criterion], words: str, *, at_least: int = 1) -> Criterion:
    """Return what holds where so many of them hold."""
    if at_least > 1 or not parts:
        return _counted([part.without_match(words) for part in parts], at_least)
    if at_least <= 0 or any(part.is_always for part in parts):
        return ALWAYS
    kept = [part for part in parts if not part.is_never]
    if kept and all(part.match and part.sql == YES for part in kept):
        return Criterion(match=SEPARATOR.join(f"({part.match})" for part in kept))
    plain = [part.without_match(words) for part in kept]
    if len(plain) < 2:  # noqa: PLR2004 - nothing to combine
        return plain[0] if plain else NEVER
    return Criterion(
        _joined([part.sql for part in plain], SEPARATOR),
        tuple(value for part in plain for value in part.values),
        mask=_any_of([part.mask for part in plain]),
        is_exact=all(part.is_exact for part in plain),
    )


def _counted(parts: Sequence[Criterion], at_least: int) -> Criterion:
    if not 0 < at_least <= len(parts):
        return NEVER if at_least > 0 else ALWAYS
    total = " + ".join(f"coalesce(({part.sql}) != 0, 0)" for part in parts)
    return Criterion(
        f"({total}) >= {at_least:d}",
        tuple(value for part in parts for value in part.values),
        mask=_enough_of([part.mask for part in parts], at_least),
        is_exact=all(part.is_exact for part in parts),
    )


def negated(part: Criterion, words: str) -> Criterion:
    """Return what holds where it does not; where it is not known, it does not hold."""
    plain = part.without_match(words)
    if plain.is_always or plain.is_never:
        return ALWAYS if plain.is_never else NEVER
    sql = f"NOT coalesce(({plain.sql}), 0)"
    if not plain.is_exact:
        return Criterion.of_sql(sql, *plain.values)
    return Criterion.of_column(
        lambda bitmaps: bitmaps.everything() & ~plain.mask(bitmaps), sql, *plain.values
    )


def _joined(expressions: Sequence[str], operator: str) -> str:
    """Return them joined in groups of groups: SQLite's expressions are at most a thousand deep."""
    parts = [f"({expression})" for expression in expressions]
    while len(parts) > WIDEST:
        groups = [parts[start : start + WIDEST] for start in range(0, len(parts), WIDEST)]
        parts = [f"({operator.join(group)})" for group in groups]
    return operator.join(parts)


def _all_of(masks: Sequence[Mask]) -> Mask:
    def mask(bitmaps: Bitmaps) -> int:
        found = bitmaps.everything()
        for each in masks:
            found &= each(bitmaps) if found else 0
        return found

    return mask


def _any_of(masks: Sequence[Mask]) -> Mask:
    def mask(bitmaps: Bitmaps) -> int:
        found = 0
        for each in masks:
            found |= each(bitmaps)
        return found

    return mask


def _enough_of(masks: Sequence[Mask], at_least: int) -> Mask:
    """Return the rows that so many of them have: `reached[n]` are those that n + 1 have had so far."""

    def mask(bitmaps: Bitmaps) -> int:
        reached = [0] * at_least
        for each in masks:
            rows = each(bitmaps)
            for place in range(at_least - 1, 0, -1):
                reached[place] |= reached[place - 1] & rows
            reached[0] |= rows
        return reached[-1]

    return mask
