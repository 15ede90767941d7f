"""How the values of delimited text are spelled: words that mean a missing value, and marks in numbers."""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from app.tabular.readers.records import Dialect
from app.tabular.readers.shapes import shape_of
from app.tabular.reading import Doubt, Found, ReadingReport
from app.tabular.schema.categories import WORDS
from app.tabular.schema.cells import BLANKS, DELIMITED, MISSING_WORDS, Spelling
from app.tabular.schema.numbers import find_notation, shown_by
from app.tabular.wording import shortened

_MOST_COLUMNS = 500
_POINTED = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")
# Below a thousand there is no mark.
_MAY_BE_POINTED = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,2}(?:\.[0-9]{3})?)")


class ValueSpelling:
    """How the values of a file are spelled, found from the first rows.

    Attributes:
        spelling: of its cells.
        null_words: words that are missing values where they stand without quotes, and values within.
        asked_words: words that are missing values in quotes as well, which later rows may contradict.
    """

    def __init__(self, rows: Sequence[Sequence[str]], dialect: Dialect, report: ReadingReport) -> None:
        """Take rows of cells as they are written, with quotes; report what is found."""
        self._dialect = dialect
        self._columns = [[row[index] for row in rows if index < len(row)] for index in range(_width(rows))]
        chosen = report.chosen
        words = MISSING_WORDS if chosen.missing is None else frozenset(chosen.missing)
        report.decide("missing", Found(tuple(sorted(words)), "default"))
        self.null_words = self._words_without_quotes(words, report)
        in_texts = frozenset[str]() if self.null_words else words
        self.spelling = Spelling(
            DELIMITED.in_numbers | words,
            in_texts,
            in_texts | {""},
            has_booleans=True,
            # A word without quotes is none where the file quotes its texts; a word that its owner named is none either.
            categories=WORDS if chosen.missing is None and not self.null_words else (),
            listed=tuple(sorted(words & {cell for column in self._columns for cell in column})),
        )
        self._find_notation(report)

    def _words_without_quotes(self, words: frozenset[str], report: ReadingReport) -> Collection[str]:
        """Return the words that are missing without quotes only; none, if quotes make no difference."""
        quote = self._dialect.quote
        quoted = [cell for column in self._columns for cell in column if quote and cell.startswith(quote)]
        bare = [
            cell
            for column in self._columns
            for cell in column
            if cell and not (quote and cell.startswith(quote))
        ]
        has_quoted_words = any(cell[1:-1] in words - {""} for cell in quoted)
        quotes_texts = all(cell in words or shape_of(cell) != "text" for cell in bare)
        # Where all is in quotes, or nothing is, they say nothing.
        has_quoted_texts = any(shape_of(cell[1:-1]) == "text" for cell in quoted)
        is_told_apart = bool(bare) and (has_quoted_words or (has_quoted_texts and quotes_texts))
        why = "Texts are in quotes, and other cells are not." if is_told_apart else ""
        counts = report.decide(
            "quoted_missing", Found(not is_told_apart, "file" if is_told_apart else "default", why=why)
        )
        self.asked_words = words if counts and bare and report.chosen.quoted_missing is None else frozenset()
        return () if counts else sorted(words)

    def _find_notation(self, report: ReadingReport) -> None:
        missing = self.spelling.in_numbers
        columns = (
            [value for cell in column if (value := self._dialect.value(cell).strip(BLANKS)) not in missing]
            for column in self._columns
        )
        found = find_notation(values := list(columns))
        if found.is_plain and report.chosen.thousands == ".":
            found = replace(found, decimal=",")
        decimal = report.decide("decimal", Found(found.decimal, "default" if found.is_plain else "file"))
        thousands = found.thousands if found.thousands != decimal else ""
        doubt = self._about_points(values) if found.is_plain and report.chosen.decimal is None else None
        thousands = report.decide("thousands", Found(thousands, "file" if thousands else "default"), doubt)
        notation = replace(found, decimal=decimal, thousands=thousands if thousands != decimal else "")
        self.spelling = replace(self.spelling, notation=notation)

    def _about_points(self, columns: Sequence[Sequence[str]]) -> Doubt | None:
        """Return the question what points in numbers are, where semicolons leave the comma to be the decimal mark."""
        if self._dialect.delimiter != ";" or any(
            (shown := shown_by(values)) and shown.decimal for values in columns
        ):
            return None
        pointed = [
            values[0]
            for column in columns
            if all(map(_MAY_BE_POINTED.fullmatch, column))
            and (values := list(filter(_POINTED.fullmatch, column)))
        ]
        if not pointed:
            return None
        message = f"{shortened(pointed[0])} may be more than a thousand, or less: each such number has three digits."
        return Doubt("thousands", message, ("", "."))


def _width(rows: Sequence[Sequence[str]]) -> int:
    return min(max(map(len, rows), default=0), _MOST_COLUMNS)
