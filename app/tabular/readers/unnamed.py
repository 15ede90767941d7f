"""Names for the columns of delimited text that have none in the file."""

from collections.abc import Sequence

from app.tabular.reading import Found, ReadingReport
from app.tabular.schema.cells import BLANKS
from app.tabular.schema.naming import ROW_NAME
from app.tabular.types import Repair
from app.tabular.wording import shortened


def name_columns(
    in_file: Sequence[str], sample: Sequence[Sequence[str]], report: ReadingReport
) -> tuple[list[str], tuple[Repair, ...]]:
    """Return the names of the columns, and what is to be told of the table.

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
    numbers = range(len(column))
    is_index = list(column) in ([str(number) for number in numbers], [str(number + 1) for number in numbers])
    found = Found("leave-out", considered=("keep",), why="They are the numbers of the rows.")
    if not is_index:
        found = Found(
            "keep", considered=("leave-out",), why=f"The first column has no name: {shortened(column[0])} …"
        )
    return ROW_NAME if report.decide("row_names", found) == "keep" else ""


def _naming(index: int, name: str) -> Repair:
    return Repair(
        column=name,
        change=f"Column {index + 1}, which had no name, is published as {name!r}.",
        reason="Each column needs a name."
        if index
        else "It names the rows; `row_names` says whether it is kept.",
    )


def _about_table(columns: int, report: ReadingReport) -> tuple[Repair, ...]:
    """Return what was made of lines that are no rows, and of a table without a header."""
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
