"""What python-calamine does not say of a sheet of XML: how far it extends before it is loaded, errors, merged cells.

python-calamine lists merged cells as well, in a time that grows with the square of their number.
"""

import re
import zipfile
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from app.tabular.types import MIB

# A cell that holds anything; those that only look like something have no end of their own.
_CELL = re.compile(rb'<(?:\w{1,20}:)?c [^<>]{0,200}?\br="([A-Z]{1,3})([0-9]{1,7})"([^<>]{0,200})(?<!/)>')
_MERGED = re.compile(rb"<(?:\w{1,20}:)?mergeCell ")
_TABLE = re.compile(
    rb'<table:table [^<>]{0,2000}?\btable:name="([^"]{0,1000})"'
    rb'|<table:(?:covered-)?table-cell [^<>]{0,20000}?\bcalcext:value-type="error"'
)
_OVERLAP = 1024
_MOST_PART_BYTES = 16 * MIB
_SHOWN = 3


@dataclass(slots=True)
class SheetExtent:
    """The cells of a sheet that hold anything.

    Attributes:
        last_row: the last row, from 1; 0 if there is none.
        last_column: the last column, from 1.
        errors: how many cells are errors such as `#DIV/0!`.
        examples: the names of some of those.
        merged: how many groups of cells are merged.
        whole: whether all cells could be looked at.
    """

    last_row: int = 0
    last_column: int = 0
    errors: int = 0
    examples: list[str] = field(default_factory=list)
    merged: int = 0
    whole: bool = True

    def add_error(self, name: str = "") -> None:
        """Count an error, and keep the name of its cell if it is one of the first."""
        self.errors += 1
        if name and len(self.examples) < _SHOWN:
            self.examples.append(name)


def sheet_extents(path: Path) -> dict[str, SheetExtent]:
    """Return the extent of each sheet of an `.xlsx` file by its name; nothing for other workbooks.

    Raises:
        zipfile.BadZipFile: it is damaged.
    """
    if not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        return {name: _extent(archive, part) for name, part in _parts(archive).items()}


def _parts(archive: zipfile.ZipFile) -> dict[str, str]:
    """Return the names of sheets with the parts of the archive that hold them."""
    try:
        book = fromstring(_read(archive, "xl/workbook.xml"))
        links = fromstring(_read(archive, "xl/_rels/workbook.xml.rels"))
    except (KeyError, ParseError, DefusedXmlException):
        return {}
    targets = {link.get("Id"): (link.get("Target") or "") for link in links}
    sheets = [element for element in book.iter() if element.tag.endswith("}sheet")]
    ids = {
        sheet.get("name") or "": value
        for sheet in sheets
        for key, value in sheet.items()
        if key.endswith("}id")
    }
    paths = {name: targets.get(link, "") for name, link in ids.items()}
    parts = {name: path[1:] if path.startswith("/") else f"xl/{path}" for name, path in paths.items()}
    there = set(archive.namelist())
    return {name: part for name, part in parts.items() if part in there and part.endswith(".xml")}


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        return file.read(_MOST_PART_BYTES)


def _extent(archive: zipfile.ZipFile, part: str) -> SheetExtent:
    found = SheetExtent()
    columns: set[bytes] = set()
    rest = b""
    with archive.open(part) as file:
        while chunk := file.read(MIB):
            text = rest + chunk
            # A cell that is cut off is looked at with the next chunk.
            end = text.rfind(b"<")
            text, rest = (text[:end], text[end:]) if end > 0 else (b"", text[-_OVERLAP:])
            found.merged += len(_MERGED.findall(text))
            cells = _CELL.findall(text + b"<")
            if not cells:
                continue
            columns.update(column for column, _, _ in cells)
            found.last_row = max(found.last_row, *(int(row) for _, row, _ in cells))
            for column, row, more in cells:
                if b't="e"' in more:
                    found.add_error((column + row).decode())
    found.last_column = max(map(_number, columns), default=0)
    return found


def open_document_errors(path: Path) -> dict[str, SheetExtent]:
    """Return how many errors each sheet of an `.ods` file of LibreOffice has, by its name, and nothing else of it.

    Raises:
        zipfile.BadZipFile: it is damaged.
    """
    found: dict[str, SheetExtent] = {}
    if not zipfile.is_zipfile(path):
        return found
    with zipfile.ZipFile(path) as archive:
        if "content.xml" not in archive.namelist():
            return found
        sheet, rest = SheetExtent(), b""
        with archive.open("content.xml") as file:
            while chunk := file.read(MIB):
                text = rest + chunk
                end = text.rfind(b"<")
                text, rest = (text[:end], text[end:]) if end > 0 else (b"", text[-_OVERLAP:])
                for match in _TABLE.finditer(text):
                    if match[1] is None:
                        sheet.add_error()
                    else:
                        sheet = found.setdefault(unescape(match[1].decode("utf-8", "replace")), SheetExtent())
    return found


def cell_name(row: int, column: int) -> str:
    """Return the name of a cell, such as `B3`, by its row and its column, from 1."""
    letters = ""
    while column:
        column, letter = divmod(column - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return f"{letters}{row}"


def _number(column: bytes) -> int:
    number = 0
    for letter in column:
        number = number * 26 + letter - ord("A") + 1
    return number
