"""Names for the columns of delimited text that have none in the file."""

import re
from collections.abc import Sequence
from itertools import pairwise

from app.tabular.readers.records import Dialect
from app.tabular.readers.shapes import shape_of
from app.tabular.reading import Doubt, Found, ReadingReport
from app.tabular.schema.cells import BLANKS
from app.tabular.schema.naming import ROW_NAME
from app.tabular.types import Repair
from app.tabular.wording import shortened

_WHOLE = re.compile("[+-]?[0-9]+")


def about_row_names(rows: Sequence[Sequence[str]], dialect: Dialect) -> tuple[Doubt, ...]:
    """Return the doubt about a header that is one short, unless the first column does name the rows.

    Args:
        rows: the cells as they are written, with quotes.
        dialect: how they are written.
    """
    if dialect.has_blanks or not any(_may_be_one(pair) for pair in _pairs(rows, dialect.quote)):
        return ()
    message = (
        f"Each row has one cell more than the header: the first may name the rows, as {shortened(rows[0][0])}, or some "
        f"cells have {dialect.delimiter} in them: {shortened(dialect.delimiter.join(rows[0]))}. If they do, put such "
        "cells into double quotes."
    )
    return (Doubt("row_names", message, ("keep", "leave-out")),)


def _pairs(rows: Sequence[Sequence[str]], quote: str) -> list[list[tuple[str, str]]]:
    """Return neighbouring cells, by column; the numbers of the rows are a part of none, and quoted cells neither."""
    columns = list(zip(*rows, strict=True))
    columns = columns[_are_row_numbers(columns[0]) :]
    return [
        list(zip(left, right, strict=True))
        for left, right in pairwise(columns)
        if not (quote and any(cell.startswith(quote) for cell in (*left, *right)))
    ]


def _may_be_one(pairs: Sequence[tuple[str, str]]) -> bool:
    """Return whether two columns may be one that has the delimiter in its cells: texts, or whole numbers and digits."""
    are_texts = all(shape_of(cell) == "text" for pair in pairs for cell in pair)
    return are_texts or all(_WHOLE.fullmatch(left) and right.isdecimal() for left, right in pairs)


def name_columns(
    in_file: Sequence[str], sample: Sequence[Sequence[str]], report: ReadingReport
) -> tuple[list[str], tuple[Repair, ...]]:
    """Return the names of the columns, and the repairs to report.

    Args:
        in_file: the names in the file; a column that is to be left out keeps none.
        sample: the first rows.
        report: how the file is read.
    """
    names = list(in_file)
    repairs = _about_table(len(names), report)
    if not any(name.strip(BLANKS) for name in names):
        return names, repairs
    for index, name in enumerate(names):
        if name.strip(BLANKS):
            continue
        column = [row[index] for row in sample if index < len(row)]
        names[index] = _name_of(index, column, report)
        if names[index]:
            repairs = (*repairs, _naming(index, names[index]))
    return names, repairs


def _name_of(index: int, column: Sequence[str], report: ReadingReport) -> str:
    if not any(column):
        return ""
    if index:
        return f"V{index + 1}"
    found = Found("leave-out", considered=("keep",), why="They are the numbers of the rows.")
    if not _are_row_numbers(column):
        found = Found(
            "keep", considered=("leave-out",), why=f"The first column has no name: {shortened(column[0])} …"
        )
    return ROW_NAME if report.decide("row_names", found) == "keep" else ""


def _are_row_numbers(column: Sequence[str]) -> bool:
    numbers = range(len(column))
    return list(column) in ([str(number) for number in numbers], [str(number + 1) for number in numbers])


def _naming(index: int, name: str) -> Repair:
    return Repair(
        column=name,
        change=f"Column {index + 1}, which had no name, is published as {name!r}.",
        reason="Each column needs a name."
        if index
        else "It names the rows; `row_names` says whether it is kept.",
    )


def _about_table(columns: int, report: ReadingReport) -> tuple[Repair, ...]:
    """Return the repairs to report for lines that are not rows, and for a table without a header."""
    found: list[Repair] = []
    skipped, comment = report.found["skip_lines"], report.found["comment"]
    if skipped.value and skipped.by == "file":
        lines = "The first line was" if skipped.value == 1 else f"The first {skipped.value} lines were"
        found.append(Repair("", f"{lines} left out.", skipped.why))
    if comment.value and comment.by == "file":
        found.append(Repair("", f"Lines that begin with {comment.value} were left out.", comment.why))
    header = report.found["header"]
    if not header.value and header.by == "file":
        names = "V1" if columns == 1 else f"V1 to V{columns}"
        found.append(Repair("", f"The file has no header; the columns are published as {names}.", header.why))
    return tuple(found)
