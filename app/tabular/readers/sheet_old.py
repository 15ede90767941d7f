"""What python-calamine does not say of an `.xls` sheet: how far it extends before it is loaded, and errors.

Source: [MS-XLS], 2.1.4 (records), 2.1.7.20 (parts of the stream) and 2.4 (kinds); Excel 5 and 95 wrote the same cells.
"""

import io
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from python_calamine import PasswordError

from app.tabular.readers.compound_file import CompoundFileError, open_stream
from app.tabular.readers.sheet_xml import SheetExtent, cell_name

_BEGIN, _END = 0x0809, 0x000A
_PASSWORD, _CODE_PAGE, _SHEET = 0x002F, 0x0042, 0x0085
_FORMULA, _BOOLEAN_OR_ERROR, _NUMBERS = 0x0006, 0x0205, 0x00BD
_CELLS = frozenset({_FORMULA, _BOOLEAN_OR_ERROR, _NUMBERS, 0x00D6, 0x00FD, 0x0203, 0x0204, 0x027E})
_LEAST_BYTES = {_FORMULA: 14, _BOOLEAN_OR_ERROR: 8}
_ERROR_RESULT, _NO_NUMBER = 2, b"\xff\xff"
_UNICODE_VERSION = 0x0600
_PAIR = struct.Struct("<HH").unpack_from
"""Kind and size of a record, or row and column of a cell."""


def old_extents(path: Path) -> dict[str, SheetExtent]:
    """Return the extent of each sheet of an `.xls` file by its name; nothing for other workbooks.

    Of one that is damaged, the sheets and cells before the damage.

    Raises:
        PasswordError: it is encrypted.
    """
    found: dict[str, SheetExtent] = {}
    with path.open("rb") as file, suppress(CompoundFileError):
        book = open_stream(file, ("Workbook", "Book"))
        for name, begin in _sheets(book):
            found[name] = _extent(book, begin)
    return found


def _sheets(book: io.BufferedReader) -> list[tuple[str, int]]:
    """Return the names of the sheets, and where each begins."""
    sheets: list[tuple[str, int]] = []
    version, code_page = 0, 0
    for kind, body in _records(book, 0):
        if kind == _PASSWORD:
            raise PasswordError("Workbook is password protected")
        if kind == _BEGIN:
            version = int.from_bytes(body[:2], "little")
        elif kind == _CODE_PAGE:
            code_page = int.from_bytes(body[:2], "little")
        elif kind == _SHEET:
            name = _unicode(body[6:]) if version == _UNICODE_VERSION else _bytes_text(body[6:], code_page)
            sheets.append((name, int.from_bytes(body[:4], "little")))
    return sheets


def _unicode(data: bytes) -> str:
    """Return a text behind its number of characters, and whether they have two bytes each."""
    wide = data[1:2] == b"\1"
    text = data[2 : 2 + data[0] * (1 + wide)] if data else b""
    return text.decode("utf-16-le" if wide else "latin-1", "replace")


def _bytes_text(data: bytes, code_page: int) -> str:
    """Return a text behind its number of bytes."""
    text = data[1 : 1 + data[0]] if data else b""
    try:
        return text.decode(f"cp{code_page}", "replace")
    except LookupError:
        return text.decode("cp1252", "replace")


def _extent(book: io.BufferedReader, begin: int) -> SheetExtent:
    found = SheetExtent(whole=False)
    with suppress(CompoundFileError):
        for kind, body in _records(book, begin):
            if kind not in _CELLS:
                continue
            if len(body) < _LEAST_BYTES.get(kind, 6):
                raise CompoundFileError("It has a cell that is too short")
            row, column = _PAIR(body)
            last = int.from_bytes(body[-2:], "little") if kind == _NUMBERS else column
            # Conditions take half the time of `max`: there are millions of cells.
            if row >= found.last_row:
                found.last_row = row + 1
            if last >= found.last_column:
                found.last_column = last + 1
            if kind in _LEAST_BYTES and _is_error(kind, body):
                found.add_error(cell_name(row + 1, column + 1))
        found.whole = True
    return found


def _is_error(kind: int, body: bytes) -> bool:
    if kind == _FORMULA:
        return body[12:14] == _NO_NUMBER and body[6] == _ERROR_RESULT
    return body[7] == 1


def _records(book: io.BufferedReader, begin: int) -> Iterator[tuple[int, bytes]]:
    """Yield the records of a part of the stream, without those of charts in it: their kinds, and what they hold.

    Raises:
        CompoundFileError: there is no such part, or it does not end.
    """
    book.seek(begin)
    depth = 0
    while len(head := book.read(4)) == 4:  # noqa: PLR2004 - kind and size
        kind, size = _PAIR(head)
        body = book.read(size)
        if kind == _BEGIN:
            depth += 1
        elif kind == _END:
            depth -= 1
        if len(body) < size or (depth < 1 and kind != _END):
            break
        if depth < 1:
            return
        if depth == 1:
            yield kind, body
    raise CompoundFileError("A part of its stream does not begin or end")
