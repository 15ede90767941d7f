"""What python-calamine does not say of an `.xlsb` sheet: how far it extends, errors, and cells that it passes over.

Source: [MS-XLSB], 2.1.4 (records) and 2.4 (their kinds).
"""

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from app.tabular.readers.sheet_xml import SheetExtent, cell_name
from app.tabular.types import MIB, TabularError
from app.tabular.wording import shortened

_BOOK, _LINKS = "xl/workbook.bin", "xl/_rels/workbook.bin.rels"
_ROW, _SHEET, _MERGED = 0, 156, 176
_CELLS, _SHORT_CELLS = range(2, 12), range(12, 19)
_ERRORS = frozenset({3, 11})
_MOST_PART_BYTES = 16 * MIB
_HEAD = 8
"""Bytes of a record that are looked at: the number of a row or of a column comes first."""


def binary_extents(path: Path) -> dict[str, SheetExtent]:
    """Return the extent of each sheet of an `.xlsb` file by its name; nothing for other workbooks.

    Raises:
        TabularError: `unsupported-cells`: a sheet has cells in a short form, which would be lost.
        zipfile.BadZipFile: it is damaged.
    """
    if not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        if not {_BOOK, _LINKS} <= set(archive.namelist()):
            return {}
        there = set(archive.namelist())
        parts = {name: part for name, part in _parts(archive).items() if part in there}
        return {name: _extent(archive, name, part) for name, part in parts.items()}


def _parts(archive: zipfile.ZipFile) -> dict[str, str]:
    """Return the names of sheets with the parts of the archive that hold them."""
    try:
        with archive.open(_LINKS) as file:
            links = fromstring(file.read(_MOST_PART_BYTES))
    except (ParseError, DefusedXmlException):
        return {}
    targets = {link.get("Id"): (link.get("Target") or "") for link in links}
    parts: dict[str, str] = {}
    with archive.open(_BOOK) as file:
        for kind, record in _records(file, _MOST_PART_BYTES):
            if kind == _SHEET:
                link, end = _text(record, _HEAD)
                target = targets.get(link, "")
                parts[_text(record, end)[0]] = target[1:] if target.startswith("/") else f"xl/{target}"
    return parts


def _text(record: bytes, begin: int) -> tuple[str, int]:
    """Return a text behind its number of characters, and where it ends."""
    end = begin + 4 + 2 * int.from_bytes(record[begin : begin + 4], "little")
    return record[begin + 4 : end].decode("utf-16-le", "replace"), end


def _extent(archive: zipfile.ZipFile, name: str, part: str) -> SheetExtent:
    found = SheetExtent()
    row = 0
    with archive.open(part) as file:
        for kind, head in _records(file, _HEAD):
            if kind in _SHORT_CELLS:
                message = (
                    f"The sheet {shortened(name)} has cells in a short form, as SheetJS writes them. They are not "
                    "read here, and would be missing."
                )
                hint = "Open it in a spreadsheet program, and save it anew as .xlsx."
                raise TabularError("unsupported-cells", message, hint=hint)
            if kind not in _CELLS and kind not in {_ROW, _MERGED}:
                continue
            number = struct.unpack_from("<I", head.ljust(4, b"\0"))[0] + 1
            if kind == _ROW:
                row = number
            elif kind == _MERGED:
                found.merged += 1
            else:
                found.last_row, found.last_column = max(found.last_row, row), max(found.last_column, number)
                if kind in _ERRORS:
                    found.add_error(cell_name(row, number))
    return found


def _records(file: IO[bytes], most: int) -> Iterator[tuple[int, bytes]]:
    """Yield the records of a part: their kind, and their first bytes."""
    data, at = b"", 0
    while True:
        if len(data) - at < most + _HEAD:
            data, at = data[at:] + file.read(MIB), 0
            while len(data) < most + _HEAD and (more := file.read(MIB)):
                data += more
        if at >= len(data):
            return
        kind, at = _number(data, at, 2)
        size, at = _number(data, at, 4)
        yield kind, data[at : at + min(size, most)]
        at += size
        if at > len(data):
            file.seek(at - len(data), 1)
            data, at = b"", 0


def _number(data: bytes, at: int, most: int) -> tuple[int, int]:
    """Return a number of seven bits in each byte, and where it ends."""
    number = 0
    for place, byte in enumerate(data[at : at + most]):
        number |= (byte & 0x7F) << (7 * place)
        at += 1
        if byte < 0x80:  # noqa: PLR2004 - the last byte has no eighth bit
            break
    return number, at
