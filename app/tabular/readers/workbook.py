"""Workbooks of Excel and LibreOffice: one sheet, written anew as delimited text."""

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
    ZipError,
)

from app.tabular.readers.rewriting import BoundedFile, Rewritten, new_file
from app.tabular.readers.sheet_binary import binary_extents
from app.tabular.readers.sheet_old import old_extents
from app.tabular.readers.sheet_xml import SheetExtent, open_document_errors, sheet_extents
from app.tabular.reading import Doubt, Found, ReadingReport
from app.tabular.schema.cells import EXACT_INTEGER
from app.tabular.types import MIB, ConversionRequest, Repair, TabularError
from app.tabular.wording import counted, duration_text, shortened

_MOST_BYTES = 600 * MIB
"""Of a workbook, unpacked: a sheet is held in memory as a whole."""
_MOST_CELLS = 5_000_000
"""Of a sheet, empty ones included; a million takes 250 MiB."""
_HIDDEN = frozenset({"format", "delimiter", "quote", "escape", "encoding", "comment"})
_SAMPLE_ROWS = 100
_SHOWN = 5

_Row = list[Any]


def rewrite_workbook(request: ConversionRequest) -> Rewritten:
    """Write one sheet anew.

    Raises:
        TabularError: `broken-file`, `encrypted-file`, `file-too-large`, `no-rows`, `unknown-sheet`.
    """
    report = ReadingReport(request.reading)
    with _errors_translated(), request.source.open("rb") as file:
        _check_size(request)
        extents = (
            sheet_extents(request.source) or binary_extents(request.source) or old_extents(request.source)
        )
        _check_extents(extents)
        extents = extents or open_document_errors(request.source)
        _check_sums(request)
        workbook = CalamineWorkbook.from_filelike(file)
        sheet = _sheet(workbook, report)
        remarks = _remarks(workbook, sheet, extents.get(sheet.name))
        layout = _Layout(sheet, report)
        with new_file(request, "csv") as (path, target):
            layout.write(target)
    reading = replace(
        request.reading,
        delimiter=",",
        quote='"',
        escape="double",
        encoding="utf-8",
        comment="",
        skip_lines=0,
        sheet=None,
    )
    inner = replace(request, source=path, format="csv", reading=reading)
    return Rewritten(inner, report, layout.repairs, remarks, hidden=_HIDDEN)


def _check_size(request: ConversionRequest) -> None:
    """Refuse a workbook that would not fit into memory."""
    size = request.source.stat().st_size
    if zipfile.is_zipfile(request.source):
        with zipfile.ZipFile(request.source) as archive:
            size = sum(member.file_size for member in archive.infolist())
    limit = min(_MOST_BYTES, request.limits.max_unpacked_bytes)
    if size > limit:
        message = (
            f"Unpacked, the workbook has {size} bytes; {limit} are allowed, because it is read as a whole."
        )
        raise TabularError(
            "file-too-large", message, hint="Save the sheet as .csv, which may be of any length."
        )


def _check_sums(request: ConversionRequest) -> None:
    """Refuse a workbook with a part that is damaged: python-calamine reads parts without looking at their sums.

    Raises:
        zipfile.BadZipFile: there is one.
    """
    if zipfile.is_zipfile(request.source):
        with zipfile.ZipFile(request.source) as archive:
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"{damaged} is damaged")


def _check_extents(extents: Mapping[str, SheetExtent]) -> None:
    """Refuse a sheet that would not fit into memory: empty cells between others take as much as those."""
    for name, extent in extents.items():
        if extent.last_row * extent.last_column > _MOST_CELLS:
            message = (
                f"The sheet {shortened(name)} extends to row {extent.last_row} and column {extent.last_column}; "
                f"{_MOST_CELLS} cells are the most that can be read, empty ones included."
            )
            hint = "Remove what stands far from the table; or save the sheet as .csv, which may be of any length."
            raise TabularError("file-too-large", message, hint=hint)


def _sheet(workbook: CalamineWorkbook, report: ReadingReport) -> CalamineSheet:
    """Return the sheet that its owner chose, or else the first that is visible and not empty."""
    sheets = [each for each in workbook.sheets_metadata if each.typ is SheetTypeEnum.WorkSheet]
    names = [each.name for each in sheets]
    chosen = report.chosen.sheet
    if chosen is not None and chosen not in names:
        hint = f"It has {_listed(names)}."
        raise TabularError(
            "unknown-sheet", f"There is no sheet {shortened(chosen)}.", hint=hint, choices={"sheet": names}
        )
    shown = [each.name for each in sheets if each.visible is SheetVisibleEnum.Visible]
    filled = [name for name in shown if not _is_empty(workbook.get_sheet_by_name(name))]
    filled = filled or [name for name in names if not _is_empty(workbook.get_sheet_by_name(name))]
    if not filled and chosen is None:
        raise TabularError.no_rows()
    first, *others = filled or names
    message = f"The workbook has {counted(len(filled), 'sheet')} with something in them: {_listed(filled)}."
    doubt = Doubt("sheet", message, tuple(filled)) if others else None
    name = report.decide("sheet", Found(first, considered=tuple(others)), doubt)
    return workbook.get_sheet_by_name(name)


def _is_empty(sheet: CalamineSheet) -> bool:
    return not sheet.height or all(cell == "" for row in sheet.iter_rows() for cell in row)


def _remarks(workbook: CalamineWorkbook, sheet: CalamineSheet, extent: SheetExtent | None) -> tuple[str, ...]:
    hidden = [
        each.name
        for each in workbook.sheets_metadata
        if each.visible is not SheetVisibleEnum.Visible and each.name != sheet.name
    ]
    remarks = [f"The workbook has hidden sheets, which were not read: {_listed(hidden)}."] if hidden else []
    merged = (extent.merged if extent else 0) or len(sheet.merged_cell_ranges or ())
    if merged:
        count = counted(merged, "group")
        remarks.append(
            f"The sheet has {count} of merged cells: the value counts for the first cell, and the others are empty."
        )
    if extent and extent.errors:
        count = counted(extent.errors, "cell")
        where = f": {_listed(extent.examples)}" if extent.examples else ""
        remarks.append(f"{count} with an error such as #DIV/0! became missing{where}.")
    if not extent or not extent.whole:
        which = "Other cells" if extent and extent.errors else "Cells"
        remarks.append(
            f"{which} with an error such as #DIV/0!, if there are any, became missing without being named: "
            "the workbook is damaged, or built in an unusual way."
        )
    return tuple(remarks)


class _Layout:
    """Where the table is in a sheet, and how its cells are spelled."""

    def __init__(self, sheet: CalamineSheet, report: ReadingReport) -> None:
        """Find the first row and the columns.

        Raises:
            TabularError: `no-rows`.
        """
        self._sheet = sheet
        sample = list(islice(sheet.iter_rows(), _SAMPLE_ROWS))
        self._skip: int = report.decide("skip_lines", *_first_row(sample))
        used: set[int] = set()
        self._exact: set[int] = set()
        self._last = -1
        for number, row in self._rows():
            filled = [index for index, cell in enumerate(row) if cell != ""]
            self._last = number if filled else self._last
            used.update(filled)
            self._exact.update(index for index in filled if isinstance(row[index], datetime))
        if not used:
            raise TabularError.no_rows()
        self._columns = range(min(used), max(used) + 1)
        titles = [cell for row in sample[: self._skip] for cell in row if cell != ""]
        self.repairs: tuple[Repair, ...] = ()
        if titles:
            shown = shortened(" ".join(map(str, titles)))
            change = f"What stands above the table was left out: {shown}."
            self.repairs = (Repair("", change, f"The table begins in row {self._skip + 1} of the sheet."),)

    def write(self, file: BoundedFile) -> None:
        """Write the table as delimited text; rows without any cell are left out."""
        empty = 0
        for number, row in self._rows():
            if number > self._last:
                break
            cells = [self._text(row, index) for index in self._columns]
            empty += not any(cells)
            if any(cells):
                text = io.StringIO(newline="")
                csv.writer(text).writerow(cells)
                file.write(text.getvalue().encode())
        if empty:
            change = f"{counted(empty, 'row')} without any cell {'was' if empty == 1 else 'were'} left out."
            self.repairs += (Repair("", change, "An empty row of a sheet is no row of a table."),)

    def _rows(self) -> Iterator[tuple[int, _Row]]:
        return islice(enumerate(self._sheet.iter_rows()), self._skip, None)

    def _text(self, row: _Row, index: int) -> str:
        cell = row[index] if index < len(row) else ""
        if index in self._exact and type(cell) is date:
            cell = datetime.combine(cell, time())
        return _spelled(cell)


def _first_row(sample: Sequence[_Row]) -> tuple[Found, Doubt | None]:
    """Return how many rows stand above the table: those before one that is more than half as full as the fullest."""
    filled = [sum(cell != "" for cell in row) for row in sample]
    fullest = max(filled, default=0)
    first = next((number for number, count in enumerate(filled) if count), 0)
    half_full = next((number for number, count in enumerate(filled) if count > fullest / 2), 0)
    skip = _fuller_names(sample, filled, half_full)
    above = [filled[number] for number in range(skip) if filled[number]]
    considered = tuple(number for number in dict.fromkeys((half_full, first)) if number != skip)
    if max(above, default=0) <= 1:
        return Found(skip, considered=considered), None
    cells = [cell for cell in sample[first] if cell != ""]
    message = (
        f"The table seems to begin in row {skip + 1} of the sheet; above stand {counted(len(above), 'row')} with fewer "
        f"cells, such as {_listed([str(cell) for cell in cells])}."
    )
    return Found(skip, considered=considered), Doubt("skip_lines", message, (skip, *considered))


def _fuller_names(sample: Sequence[_Row], filled: Sequence[int], first: int) -> int:
    """Return the row that may have the names below a row of several titles: a fuller one, with texts alone to there.

    A row whose first cell is empty stands above names of rows, and is a header.
    """
    for number in range(first, len(sample) if sample and sample[first][0] != "" else 0):
        if not all(isinstance(cell, str) for cell in sample[number]):
            break
        if filled[number] > filled[first]:
            return number
    return first


def _spelled(cell: object) -> str:
    """Return the text of a cell: numbers with the fewest digits that give the same number, times in ISO 8601."""
    match cell:
        case bool():
            return str(cell).upper()
        case float() if cell.is_integer() and abs(cell) <= EXACT_INTEGER:
            return str(int(cell))
        case timedelta():
            return duration_text(cell)
        case datetime() | time():
            text = cell.isoformat()
            return text.rstrip("0") if cell.microsecond else text
        case date():
            return cell.isoformat()
    return str(cell)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    shown = ", ".join(shortened(name) for name in names[:_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown


@contextmanager
def _errors_translated() -> Iterator[None]:
    try:
        yield
    except PasswordError:
        hint = "Save it without a password."
        raise TabularError("encrypted-file", "The workbook is encrypted.", hint=hint) from None
    except (CalamineError, ZipError, zipfile.BadZipFile, zlib.error) as error:
        hint = "Open it in a spreadsheet program, and save it anew as .xlsx."
        raise TabularError(
            "broken-file", f"The workbook cannot be read: {shortened(str(error), 200)}.", hint=hint
        ) from None
