"""What a search has found: rows as a bitmap, and the newest of them for what only the documents themselves tell."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Self

from app.index.bitmaps import Bitmaps, as_json, bitmap_of, newest
from app.index.criteria import Criterion
from app.index.fields import Scalar
from app.index.reading import ReadingConnection

MOST_ROWS: Final = 10_000
"""Rows that are sorted, or added up, by what has no bitmap; the newest."""
MOST_LINKED: Final = 2000
"""Rows whose tags and collections are counted; the newest."""
MOST_VERIFIED: Final = 20_000
"""Rows that are looked at for a condition that no bitmap knows; the newest."""

_LISTED: Final = "SELECT %s FROM json_each(?) AS one CROSS JOIN entry ON entry.row = one.value"


@dataclass(frozen=True)
class Matches:
    """What was found.

    Attributes:
        connection: whose snapshot it is of.
        bitmaps: of that.
        rows: as a bitmap.
        words: the table of the words.
        match: what FTS5 was asked for; empty: nothing.
        is_exact: whether these are all; else there are at least so many.
        is_common: whether very many documents match, of which the newest were taken.
    """

    connection: ReadingConnection
    bitmaps: Bitmaps
    rows: int
    words: str
    match: str = ""
    is_exact: bool = True
    is_common: bool = False

    @cached_property
    def total(self) -> int:
        """How many there are."""
        return self.rows.bit_count()

    @cached_property
    def _newest(self) -> str:
        return as_json(newest(self.rows, MOST_ROWS))

    @cached_property
    def _links(self) -> Mapping[str, Counter[str]]:
        statement = f"{_LISTED % 'link.field, link.value'} JOIN link ON link.row = entry.row"
        found: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for field, value in self.connection.execute(statement, [as_json(newest(self.rows, MOST_LINKED))]):
            found[field][value] += 1
        return found

    def links(self, field: str) -> Counter[str]:
        """Return how often the newest of them have each tag or collection (`fields.LINKED`)."""
        return self._links.get(field, Counter())

    def select(self, columns: str) -> tuple[str, list[Scalar]]:
        """Return the statement that reads columns of the newest of them, and its parameters."""
        return _LISTED % columns, [self._newest]

    def inside(self, condition: Criterion) -> Self:
        """Return those of them that fulfil a condition, too."""
        narrowed = replace(self, rows=self.rows & condition.mask(self.bitmaps))
        return narrowed if condition.is_exact else narrowed.verified(condition)

    def verified(self, condition: Criterion) -> Self:
        """Return those of the newest that fulfil a condition that their bitmap does not know."""
        listed = as_json(newest(self.rows, MOST_VERIFIED))
        statement = f"{_LISTED % 'entry.row'} WHERE {condition.sql}"
        rows = bitmap_of(row for (row,) in self.connection.execute(statement, [listed, *condition.values]))
        return replace(self, rows=rows, is_exact=self.is_exact and self.total <= MOST_VERIFIED)
