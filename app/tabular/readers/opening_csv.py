"""Opening of delimited text: its columns' names, and a scan of each."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from app.tabular.readers.csv import CsvTable
from app.tabular.readers.text import open_text
from app.tabular.readers.unnamed import name_columns
from app.tabular.readers.values import ValueSpelling
from app.tabular.reading import ReadingReport
from app.tabular.schema.cells import BLANKS, Spelling
from app.tabular.schema.inference import scan_of
from app.tabular.schema.job import Job
from app.tabular.schema.naming import published_names
from app.tabular.schema.scans import LeftOutColumn, Scan, UnnamedColumn
from app.tabular.types import ConversionRequest, Repair


def open_csv(request: ConversionRequest, reading: ReadingReport) -> Job:
    """Open a file of delimited text.

    Raises:
        TabularError: it cannot be read, or has names or types that cannot be published.
    """
    text = open_text(request, reading)
    table = CsvTable(text, request.limits, reading, expected="\t" if request.format == "tsv" else None)
    named, repairs = name_columns(table.names, table.sample, reading) if request.repair else (table.names, ())
    # Columns that have no name by now are left out.
    may_leave_out = request.repair and any(named)
    positions = [
        position for position, name in enumerate(named, start=1) if name.strip(BLANKS) or not may_leave_out
    ]
    naming = published_names([named[position - 1] for position in positions], request, positions=positions)
    names, file_names = [""] * len(named), table.names
    for position, name in zip(positions, naming.names, strict=True):
        names[position - 1] = name
    table.names = names
    left_out = {positions[place] - 1 for place in naming.left_out}
    values = ValueSpelling(table.rows, table.dialect, reading)
    spelling = replace(values.spelling, trims_texts=request.repair)
    table.null_words, table.asked_words = values.null_words, values.asked_words
    return Job(
        naming.request,
        table,
        text.size,
        _scans(names, left_out, naming.request, spelling),
        file_names,
        request.relation,
        repairs=(*_about_description(table), *repairs, *naming.repairs),
        remarks=text.remarks,
        reading=reading,
        spelling=spelling,
    )


def _about_description(table: CsvTable) -> tuple[Repair, ...]:
    """Return the remark on lines below the names that describe the columns."""
    if not table.described:
        return ()
    lines = "One line" if table.described == 1 else f"{table.described} lines"
    return (
        Repair("", f"{lines} below the names were left out.", "They describe the columns, as Orange does."),
    )


def _scans(
    names: Sequence[str], left_out: Collection[int], request: ConversionRequest, spelling: Spelling
) -> list[Scan]:
    """Return a scan for each column of a delimited file, as it is published, left out, or without a name.

    Raises:
        TabularError: `unknown-type`, `bad-label`, `duplicate-label`, `too-many-labels`.
    """
    return [
        LeftOutColumn()
        if index in left_out
        else scan_of(name, request, spelling)
        if name
        else UnnamedColumn(index + 1, request.reading.row_names)
        for index, name in enumerate(names)
    ]
