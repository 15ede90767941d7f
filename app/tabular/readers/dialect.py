"""Detection of how delimited text is written, from a sample of its beginning."""

import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from app.tabular.readers.fits import (
    DELIMITERS,
    TITLE_WIDTH,
    WEAK_DELIMITERS,
    Fit,
    first_lines,
    fit_with,
    fits_of,
    has_pairs,
    read_with,
    weak_rivals,
)
from app.tabular.readers.records import Dialect
from app.tabular.readers.shapes import shape_of
from app.tabular.reading import Doubt, Found, Reading, ReadingReport
from app.tabular.wording import counted, shortened

_COMMENTS = "#%|"
_SEP_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_GAP = re.compile(r"(?<=\S)[ \t]+(?=\S)")
_NO_DELIMITER = "\"'.-_\r\n"
"""Signs that values have, so that as many of them in each line say nothing."""
_AS_GOOD = 0.02
_PAIR = 2
_FEWEST_ROWS = 3
_LINES_OF_ROW = 10


class _Sign(NamedTuple):
    value: str
    found: Found
    doubt: Doubt | None = None


def lines_of(sample: str) -> list[str]:
    """Return the lines of a text, with their ends; `str.splitlines` splits at other characters as well."""
    return list(io.StringIO(sample, newline=""))


def find_dialect(sample: Sequence[str], report: ReadingReport, *, expected: str | None = None) -> Dialect:
    """Return the dialect of a sample's lines, as chosen by the owner or else detected, and report it.

    Args:
        sample: the first lines, with their ends.
        report: collects what is found, and in doubt.
        expected: the delimiter that the file's name implies.
    """
    chosen = report.chosen
    skipped = chosen.skip_lines or 0
    lines = first_lines(sample[skipped:])
    separator = _SEP_LINE.fullmatch(lines[0]) if lines and chosen.skip_lines is None else None
    if separator:
        skipped, lines = 1, lines[1:]
        expected = separator[1]
    comment = _comment(lines, chosen, expected)
    uncommented = [line for line in lines if not (comment.value and line.startswith(comment.value))]
    fits = fits_of(uncommented, chosen, expected)
    best = max(fits, key=lambda each: each.rank)
    if chosen.delimiter is None and (best.width == 1 or _may_be_one_column(best)):
        best = _one_column(uncommented, chosen, best)
    rivals = weak_rivals(uncommented, chosen, best)
    report.decide("delimiter", *_about_delimiter(best, fits, rivals, expected, uncommented))
    report.decide("quote", Found(best.dialect.quote, "file" if best.dialect.quote != '"' else "default"))
    _report_escape(best, uncommented, report)
    report.decide("comment", comment.found, comment.doubt)
    titles, doubt = (0, None) if chosen.skip_lines is not None else _before(lines, comment.value, best)
    skipped += titles
    why = f"They are no rows: {shortened(''.join(sample[:skipped]).strip())}." if skipped else ""
    report.decide("skip_lines", Found(skipped, "file" if skipped else "default", why=why), doubt)
    return replace(best.dialect, comment=comment.value, skip_lines=skipped)


def _may_be_one_column(fit: Fit) -> bool:
    """Return whether lines of two cells below a header of one may be texts, or numbers, with a delimiter in them."""
    if fit.width != _PAIR or len(fit.rows[0].cells) != 1 or _is_title_of_pairs(fit):
        return False
    pairs = [[shape_of(fit.dialect.value(cell)) for cell in row.cells] for row in fit.rows[1:]]
    return not all(pair == ["text", "number"] for pair in pairs)


def _one_column(lines: Sequence[str], chosen: Reading, fit: Fit) -> Fit:
    """Return the fit of lines that are one cell each."""
    best = fit_with(lines, "", chosen)
    return best if best.fault is None or fit.fault is not None else fit


def _about_delimiter(
    best: Fit, fits: Sequence[Fit], others: Sequence[Fit], expected: str | None, lines: Sequence[str]
) -> tuple[Found, Doubt | None]:
    delimiter = best.dialect.delimiter
    if delimiter == expected:
        return Found(delimiter), None
    rivals = tuple(
        fit.dialect.delimiter
        for fit in fits
        if fit is not best and fit.width > 1 and fit.share == 1 and not fit.fault
        and fit.share >= best.share
        and (fit.quality >= best.quality - _AS_GOOD or {fit.dialect.delimiter, delimiter} == set(WEAK_DELIMITERS))
    )  # fmt: skip
    rivals = tuple(dict.fromkeys((*rivals, *(fit.dialect.delimiter for fit in others))))
    found = Found(delimiter, considered=rivals)
    if delimiter == "":
        return found, _about_one_column(best, lines)
    shown = shortened(lines[0].rstrip("\r\n"), 80) if lines else ""
    if rivals:
        message = f"The cells may be separated by {_named((delimiter, *rivals))}: the first line is {shown}."
        return found, Doubt("delimiter", message, (delimiter, *rivals))
    if delimiter in WEAK_DELIMITERS and _may_be_text(best, lines):
        message = (
            f"Most lines have {best.width} parts with {_named((delimiter,))} between them, as sentences or columns of "
            f"fixed width may have: the first is {shown}."
        )
        return found, Doubt("delimiter", message, (delimiter, ""))
    return found, None


def _may_be_text(fit: Fit, lines: Sequence[str]) -> bool:
    """Return whether blanks or colons may be a part of the cells as well."""
    cells = [cell for row in fit.rows for cell in row.cells]
    quoted = [cell for cell in cells if cell.startswith(fit.dialect.quote or "\0")]
    if quoted and all(cell in quoted or shape_of(cell) != "text" for cell in cells):
        # The writer quotes texts.
        return False
    has_word_above = len(fit.rows[0].cells) == 1 and any(shape_of(cell) == "text" for cell in cells[1:])
    return has_word_above or not _has_numbers(fit) or (fit.dialect.has_blanks and _has_fixed_width(lines))


def _has_fixed_width(lines: Sequence[str]) -> bool:
    """Return whether some columns have more than a blank between them in each line, and a text has one in each."""
    rows = [line.split() for line in lines[1:]]
    gaps = [_GAP.findall(line.strip()) for line in lines[1:] if line.strip()]
    if len({len(row) for row in rows if row}) != 1 or len(gaps) < _FEWEST_ROWS:
        return False
    single = [all(gap == " " for gap in column) for column in zip(*gaps, strict=True)]
    is_wide = any(all(len(gap) > 1 for gap in column) for column in zip(*gaps, strict=True))
    texts = [
        all(shape_of(cell) == "text" for cell in column) for column in zip(*filter(None, rows), strict=True)
    ]
    return is_wide and any(each and any(ends) for each, ends in zip(single, pairwise(texts), strict=True))


def _about_one_column(best: Fit, lines: Sequence[str]) -> Doubt | None:
    """Return the doubt whether lines are one cell each, unless none of them could be more."""
    bare = [
        cell for row in best.rows for cell in row.cells if not cell.startswith(best.dialect.quote or "\0")
    ]
    are_values = all(shape_of(cell) != "text" for cell in bare[1:])
    in_each = _in_each_line(lines)
    signs = tuple(dict.fromkeys((*DELIMITERS, ":", " ", *(() if are_values else in_each))))
    present = {sign for sign in signs for cell in bare if sign in cell.strip(" ")}
    if not bare and (inside := [sign for sign in in_each if sign in DELIMITERS]):
        message = (
            f"Each line is one cell in quotes with {_named(inside)} in it: {shortened(lines[0].strip())}."
        )
        return Doubt("delimiter", f"{message} Most often a program quoted whole lines.", ("",))
    if not present or (are_values and not present & set(";\t|") and present <= {":", "-", " "}):
        return None
    shown = " and ".join(shortened(line.rstrip("\r\n")) for line in lines[:2])
    fixed = (
        all("  " in line.strip() for line in lines[:2]) and " Columns of fixed width need a delimiter first."
    )
    message = f"No character makes as many cells of each line, so that each line would be one: {shown}.{fixed or ''}"
    return Doubt("delimiter", message, ("", *(sign for sign in signs if sign in present)))


def _in_each_line(lines: Sequence[str]) -> list[str]:
    """Return the delimiters that occur equally often in each line."""
    counts = [Counter(sign for sign in line if not sign.isalnum()) for line in lines if line.strip()]
    first = counts[0] if counts else Counter[str]()
    return [
        sign
        for sign, number in first.items()
        if sign not in _NO_DELIMITER and all(each[sign] == number for each in counts)
    ]


def _has_numbers(fit: Fit) -> bool:
    """Return whether a column has numbers in all rows but the first."""
    columns = zip(*(row.cells for row in fit.rows[1:] if len(row.cells) == fit.width), strict=True)
    return any(all(shape_of(fit.dialect.value(cell)) == "number" for cell in column) for column in columns)


def _report_escape(best: Fit, lines: Sequence[str], report: ReadingReport) -> None:
    escape = best.dialect.escape
    ends = re.escape(best.dialect.delimiter) + "\r\n"
    # A cell that is \N is a missing value: the backslash is no escape.
    text = re.sub(rf"(?<![^{ends}])\\N(?![^{ends}])", "", "".join(lines))
    # Each backslash stands before what it would be the escape of.
    is_unclear = escape == "double" and "\\" in text and has_pairs(text, best.dialect)
    doubt = None
    if is_unclear:
        shown = next(line for line in lines if "\\" in line).rstrip("\r\n")
        message = (
            f"Backslashes may be a part of the text, or escape what is behind them: {shortened(shown, 80)}. "
            "With `double` they are kept, with `backslash` they are not."
        )
        doubt = Doubt("escape", message, ("double", "backslash"))
    report.decide("escape", Found(escape, "default" if escape == "double" else "file"), doubt)


def _comment(lines: Sequence[str], chosen: Reading, expected: str | None) -> _Sign:
    """Return the character that begins comment lines."""
    if chosen.comment is not None:
        return _Sign(chosen.comment, Found(chosen.comment))
    mark = next((mark for mark in _COMMENTS if any(line.startswith(mark) for line in lines)), "")
    others = [line for line in lines if not line.startswith(mark)] if mark else []
    if not others:
        return _Sign("", Found("", "default"))
    fit = max(fits_of(others, chosen, expected), key=lambda each: each.rank)
    marked = [(number, line) for number, line in enumerate(lines) if line.startswith(mark)]
    # A cell in quotes may go on in the next lines.
    read = [read_with(lines[number : number + _LINES_OF_ROW], fit.dialect).rows for number, _ in marked]
    widths = [len(found[0].cells) for found in read if found]
    as_wide = sum(width == fit.width for width in widths)
    if fit.width > 1 and not as_wide:
        return _Sign(mark, Found(mark, why=f"{counted(len(marked), 'line')} with other contents begin so."))
    is_top = len(marked) > 1 and marked[-1][0] == len(marked) - 1
    if fit.width > 1 and as_wide == len(widths) and not is_top:
        # The name of a first column such as #id, or values.
        return _Sign("", Found("", "default", (mark,)))
    shown = shortened(marked[0][1].strip())
    message = f"{counted(len(marked), 'line')} with {mark} at the beginning may be comments or rows: {shown}."
    return _Sign(mark, Found(mark, considered=("",)), Doubt("comment", message, (mark, "")))


def _before(lines: Sequence[str], comment: str, fit: Fit) -> tuple[int, Doubt | None]:
    """Return how many lines stand before the table, and the doubt about them."""
    if titles := _title_lines(lines, comment, fit):
        return titles, None
    if others := _other_lines(lines, comment, fit):
        return others, _about_others(fit, lines[:others])
    return 0, _about_title(fit, lines)


def _title_lines(lines: Sequence[str], comment: str, fit: Fit) -> int:
    """Return how many lines stand before the table."""
    before = 0
    for row in fit.rows:
        filled = sum(bool(fit.dialect.value(cell).strip()) for cell in row.cells)
        is_title = filled <= 1 and (
            len(row.cells) == 1 < fit.width - 1 or (len(row.cells) == fit.width >= TITLE_WIDTH) or not filled
        )
        is_title = is_title or (len(row.cells) == 1 < fit.width and _is_title_of_pairs(fit))
        if not is_title:
            break
        before += 1
    return _lines_before(before, lines, comment, fit)


def _lines_before(row: int, lines: Sequence[str], comment: str, fit: Fit) -> int:
    """Return how many lines stand before a row; 0 if there is no such row."""
    if not row or row == len(fit.rows):
        return 0
    # Lines with comments, which are left out anyway, count among those before the header.
    number = 0
    for at, line in enumerate(lines, start=1):
        number += not (comment and line.startswith(comment))
        if number == fit.rows[row].line:
            return at - 1
    return 0


def _other_lines(lines: Sequence[str], comment: str, fit: Fit) -> int:
    """Return how many lines stand before the table that are none of its rows by their width, or by what they hold."""
    widths = [len(row.cells) for row in fit.rows]
    before = next((at for at, width in enumerate(widths) if width == fit.width), 0)
    is_header = before == 1 and abs(widths[0] - fit.width) == 1 and not _has_names_below(fit)
    is_alike = all(width == fit.width for width in widths[before:])
    if before and (is_header or not is_alike or len(widths) < before * 2 + _FEWEST_ROWS):
        return 0
    return _lines_before(before or int(_has_counts(fit)), lines, comment, fit)


def _has_counts(fit: Fit) -> bool:
    """Return whether the first row has numbers above names, such as how many rows and columns there are."""
    shapes = [{shape_of(fit.dialect.value(cell)) for cell in row.cells} for row in fit.rows[:_FEWEST_ROWS]]
    return shapes[:-1] == [{"number"}, {"text"}] and _has_numbers(replace(fit, rows=fit.rows[1:]))


def _about_others(fit: Fit, lines: Sequence[str]) -> Doubt:
    """Return the doubt about leading lines that look different from all that follow."""
    message = (
        f"{counted(len(lines), 'line')} at the beginning may be counts or a description, for what is below looks "
        f"different: {shortened(''.join(lines).strip(), 80)}."
    )
    is_as_wide = len(fit.rows[0].cells) == fit.width
    return Doubt("skip_lines", message, (len(lines), 0) if is_as_wide else (len(lines),))


def _about_title(fit: Fit, lines: Sequence[str]) -> Doubt | None:
    """Return the doubt about a single cell above two columns."""
    if fit.width != _PAIR or len(fit.rows) < _PAIR or len(fit.rows[0].cells) != 1:
        return None
    shown = shortened(lines[0].strip())
    message = f"The first line may be a title, or the name of one of two columns: {shown}."
    return Doubt("skip_lines", message, (0, fit.rows[1].line - 1))


def _is_title_of_pairs(fit: Fit) -> bool:
    """Return whether the line above two columns is a title: names of both stand below it."""
    return fit.width == _PAIR and _has_names_below(fit)


def _has_names_below(fit: Fit) -> bool:
    """Return whether the second row has the names of all columns."""
    if len(fit.rows) < TITLE_WIDTH or len(fit.rows[1].cells) != fit.width:
        return False
    are_texts = all(shape_of(fit.dialect.value(cell)) == "text" for cell in fit.rows[1].cells)
    return are_texts and _has_numbers(replace(fit, rows=fit.rows[1:]))


def _named(signs: Sequence[str]) -> str:
    names = {"\t": "a tab", " ": "blanks", "": "nothing"}
    return " or ".join(names.get(sign, sign) for sign in signs)
