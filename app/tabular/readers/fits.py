"""How well delimited text is read in each way that it may be written."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import dropwhile, islice

from app.tabular.readers.records import Dialect, MisquotedError, Row, rows
from app.tabular.readers.shapes import shape_of
from app.tabular.reading import Reading

DELIMITERS = ",;\t|"
WEAK_DELIMITERS = ": "
"""Characters that texts have as well: they separate cells only where every line agrees."""
TITLE_WIDTH = 3
"""Columns from which on a row with one cell is a title."""
_LINES, _CHARACTERS, _FEWEST_LINES = 300, 256 * 1024, 5
_FEWEST_NUMBERS = 3
_TYPED, _TEXT, _MIXED = 1.0, 0.9, 0.5
"""What a cell says for a delimiter: a number, a text, a text with another delimiter in it."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a dialect fits some lines.

    Attributes:
        dialect: with the lines to skip.
        rows: all of them.
        width: the usual number of cells.
        share: of the rows that have it.
        quality: how much the cells look like values, from 0 to 1.
        fault: why reading ended, if it did.
        is_cut: whether more lines may follow, so that a quote that is open may be closed there.
    """

    dialect: Dialect
    rows: list[Row]
    width: int
    share: float
    quality: float
    fault: MisquotedError | None
    is_cut: bool

    @property
    def rank(self) -> tuple[bool, float, float]:
        """What the best of several fits has most of: readable at all, share, quality."""
        is_readable = self.fault is None or (self.fault.is_open and self.is_cut)
        return is_readable, self.share, self.quality


def first_lines(lines: Sequence[str]) -> list[str]:
    """Return as many lines as a dialect is found from."""
    size = 0
    some: list[str] = []
    for line in islice(lines, _LINES):
        size += len(line)
        if size > _CHARACTERS and len(some) >= _FEWEST_LINES:
            break
        some.append(line)
    return some


def fits_of(lines: Sequence[str], chosen: Reading, expected: str | None) -> list[Fit]:
    """Return how well the lines are read with each delimiter."""
    if chosen.delimiter is not None:
        return [fit_with(lines, chosen.delimiter, chosen)]
    strong = [fit_with(lines, delimiter, chosen) for delimiter in DELIMITERS]
    if expected:
        named = fit_with(lines, expected, chosen)
        if named.width > 1 and len(named.rows[0].cells) > 1:
            return [named]
    known = [fit for fit in strong if fit.width > 1]
    good = [fit for fit in known if fit.share >= 0.5]  # noqa: PLR2004 - most of the rows
    # Some align columns with blanks and tabs.
    are_tabs = {fit.dialect.delimiter for fit in good} == {"\t"} and (
        not _is_even(good[0]) or _has_lists(good[0])
    )
    if good and not are_tabs:
        return known
    weak = [fit_with(lines, delimiter, chosen) for delimiter in (" " if are_tabs else WEAK_DELIMITERS)]
    return known + [fit for fit in weak if _is_sure(fit)] or strong


def _is_even(fit: Fit) -> bool:
    """Return whether all rows have as many cells, but for titles above them."""
    widths = [len(row.cells) for row in fit.rows]
    return set(dropwhile(lambda width: width == 1, widths)) == {fit.width}


def _has_lists(fit: Fit) -> bool:
    """Return whether a column has several numbers in each cell, with blanks between them."""
    columns = zip(*(row.cells for row in fit.rows[1:]), strict=True) if fit.share == 1 else ()
    return any(all(_is_list(fit.dialect.value(cell)) for cell in column) for column in columns)


def _is_list(text: str) -> bool:
    numbers = text.split()
    return (
        len(numbers) >= _FEWEST_NUMBERS
        and shape_of(text) == "text"
        and all(shape_of(number) in {"number", "missing"} for number in numbers)
    )


def weak_rivals(lines: Sequence[str], chosen: Reading, best: Fit) -> list[Fit]:
    """Return how colons or blanks separate lines that the best fit may divide within their cells.

    That is so where all lines have as many cells with them, and the first, which would be a title, too; or where they
    leave values, some of which have decimal commas.
    """
    delimiter = best.dialect.delimiter
    if chosen.delimiter is not None or delimiter not in DELIMITERS or best.width == 1:
        return []
    is_below_title = len(best.rows[0].cells) == 1
    divided = [line for line in lines if delimiter in line]
    weak = [sign for sign in WEAK_DELIMITERS if sign != delimiter]
    as_wide = [fit_with(lines, sign, chosen) for sign in weak] if is_below_title else []
    of_values = [fit_with(divided, sign, chosen) for sign in weak] if delimiter == "," else []
    return [fit for fit in as_wide if _is_sure(fit) and fit.width == len(fit.rows[0].cells)] + [
        fit
        for fit in of_values
        if _is_sure(fit)
        and (fit.quality == _TYPED or (len(divided) == len(lines) and fit.quality >= best.quality))
        and all(cell.strip(",") == cell for row in fit.rows for cell in row.cells)
    ]


def _is_sure(fit: Fit) -> bool:
    """Return whether blanks or colons separate cells in every line."""
    if fit.width == 1 or fit.fault or len(fit.rows) < 2:  # noqa: PLR2004 - a header and a row
        return False
    widths = [len(row.cells) for row in fit.rows]
    is_short = fit.dialect.has_blanks and widths[0] == fit.width - 1
    is_below = widths[0] == 1 and fit.width >= TITLE_WIDTH and len(widths) >= _FEWEST_LINES
    return all(width == fit.width for width in widths[is_short or is_below :])


def fit_with(lines: Sequence[str], delimiter: str, chosen: Reading) -> Fit:
    """Return how well lines are read with a delimiter, and the quotes that fit best."""
    fits = [read_with(lines, dialect) for dialect in _quotings(lines, delimiter, chosen)]
    # The first of those that are as good: it is the usual one.
    return max(fits, key=lambda fit: fit.rank[:2])


def _quotings(lines: Sequence[str], delimiter: str, chosen: Reading) -> Iterator[Dialect]:
    text = "".join(lines)
    quotes = ['"'] if chosen.quote is None else [chosen.quote]
    single = re.compile(
        rf"(?:^|[{re.escape(delimiter or ',')}\n\r])'[^'\n\r]*'(?:$|[{re.escape(delimiter or ',')}\n\r])"
    )
    if chosen.quote is None and single.search(text) and '"' not in text:
        quotes = ["'", '"']
    for quote in quotes:
        plain = Dialect(delimiter, quote)
        escaped = replace(plain, escape="backslash", has_pairs=has_pairs(text, plain))
        is_padded = bool(quote) and _has_padding(text, plain)
        for dialect in (plain, escaped):
            if chosen.escape in {None, dialect.escape} and (
                dialect is plain or "\\" in text or chosen.escape
            ):
                yield replace(dialect, is_padded=is_padded)


def has_pairs(text: str, dialect: Dialect) -> bool:
    """Return whether a backslash is written twice: none stands alone before what needs no escape."""
    rest = re.sub(r"\\\\", "", text)
    signs = re.escape(dialect.quote + dialect.delimiter)
    return not re.search(rf"\\(?![{signs}\r\nN])", rest)


def _has_padding(text: str, dialect: Dialect) -> bool:
    """Return whether blanks stand between a delimiter and a quote."""
    quote, delimiter = re.escape(dialect.quote), re.escape(dialect.delimiter)
    # Among many blanks that separate cells, each would be tried as the first.
    blanks = "[ ]" if dialect.delimiter == " " else "[ ]+"
    return bool(delimiter) and bool(
        re.search(rf"{delimiter}{blanks}{quote}|{quote}[ ]+[{delimiter}\r\n]", text)
    )


def read_with(lines: Sequence[str], dialect: Dialect) -> Fit:
    """Return how well lines are read in one way."""
    found: list[Row] = []
    fault = None
    try:
        for row in rows(lines, dialect):
            found.append(row)  # noqa: PERF402 - what is read before a fault counts
    except MisquotedError as error:
        fault = error
    is_cut = len(lines) >= _LINES or sum(map(len, lines)) > _CHARACTERS // 2
    widths = Counter(len(row.cells) for row in found)
    if not widths:
        return Fit(dialect, found, 1, 0.0, 0.0, fault, is_cut)
    first = len(found[0].cells)
    width = max(widths, key=lambda each: (widths[each], each == first, each))
    return Fit(dialect, found, width, widths[width] / len(found), _quality(found, dialect), fault, is_cut)


def _quality(found: Sequence[Row], dialect: Dialect) -> float:
    """Return how much the cells below the first row look like values."""
    others = re.compile(f"[{re.escape(DELIMITERS.replace(dialect.delimiter, ''))}]")
    cells = list(islice((cell for row in found[1:] for cell in row.cells), 10_000))
    if not cells:
        return 0.0
    return sum(
        _TYPED if shape_of(dialect.value(cell)) != "text" else
        _MIXED if not cell.startswith(dialect.quote or "\0") and others.search(cell) else _TEXT
        for cell in cells
    ) / len(cells)  # fmt: skip
