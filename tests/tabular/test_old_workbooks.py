"""Workbooks of Excel 97 and before (`.xls`): errors, what is far away, encryption, and damage."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.tabular import TabularError
from app.tabular.readers.compound_file import CompoundFileError, open_stream
from app.tabular.readers.sheet_old import old_extents
from app.tabular.reading import Reading
from tests.tabular.made import compound_file

Converter = Callable[..., Any]
SAMPLE = Path(__file__).with_name("samples") / "levels.xls"
SHEET = Reading(sheet="P\u00e9gel \u03a9")
TOLD = "3 cells with an error such as #DIV/0! became missing: 'C2', 'B3', 'C3'."
ROWS = ["Ouse,4.25,?", "Aire,?,?", "Nidd,3,?"]


def record(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def begin(version: int = 0x0600) -> bytes:
    return record(0x0809, struct.pack("<HHHH", version, 0x10, 0, 0).ljust(16, b"\0"))


def text(row: int, column: int, value: str) -> bytes:
    return record(0x0204, struct.pack("<HHHH", row, column, 0, len(value)) + b"\0" + value.encode())


def number(row: int, column: int, value: float) -> bytes:
    return record(0x0203, struct.pack("<HHHd", row, column, 0, value))


def error(row: int, column: int, *, is_error: bool = True) -> bytes:
    return record(0x0205, struct.pack("<HHHBB", row, column, 0, 7 if is_error else 1, is_error))


def formula(row: int, column: int, result: bytes) -> bytes:
    return record(0x0006, struct.pack("<HHH", row, column, 0) + result + bytes(8))


END = record(0x000A)
NAMES = text(0, 0, "a") + text(0, 1, "b") + number(1, 0, 1)


def stream(cells: bytes, *, before: bytes = b"", version: int = 0x0600, end: bytes = END) -> bytes:
    """Return a stream with one sheet."""
    unicode = b"\0" if version == 0x0600 else b""
    name = b"\1" + unicode + (b"s" if unicode else b"\xe9")
    size = len(begin(version) + before + END) + 10 + len(name)
    sheet = record(0x0085, struct.pack("<IH", size, 0) + name)
    return begin(version) + before + sheet + END + begin(version) + NAMES + cells + end


def stream_of(file: bytes) -> bytes:
    return open_stream(io.BytesIO(file), ["Workbook"]).read()


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(lambda file: file, id="in mini sectors"),
        pytest.param(lambda file: compound_file(stream_of(file)), id="in sectors from the last to the first"),
        pytest.param(lambda file: compound_file(stream_of(file), length=7_500_000), id="with a long table"),
    ],
)
def test_errors_when_in_an_old_workbook_then_missing_and_told(
    converter: Converter, stored: Callable[[bytes], bytes]
) -> None:
    done = converter(stored(SAMPLE.read_bytes()), kind="xls", reading=SHEET)
    assert done.rows == ROWS
    assert [warning for warning in done.conversion.warnings if "error" in warning] == [TOLD]


@pytest.mark.parametrize(
    ("cell", "value", "told"),
    [
        (error(1, 1), "?", "'B2'"),
        (error(1, 1, is_error=False), "TRUE", ""),
        (formula(1, 1, b"\2\0\7\0\0\0\xff\xff"), "?", "'B2'"),
        (formula(1, 1, b"\1\0\1\0\0\0\xff\xff"), "TRUE", ""),
        (formula(1, 1, struct.pack("<d", 2.5)), "2.5", ""),
        # A chart in a sheet keeps values of its own.
        (number(1, 1, 7) + begin() + error(4, 4) + END, "7", ""),
    ],
)
def test_a_cell_when_it_may_be_an_error_then_told_if_it_is(
    converter: Converter, cell: bytes, value: str, told: str
) -> None:
    done = converter(compound_file(stream(cell)), kind="xls", reading=Reading(header=True))
    assert done.rows == [f"1,{value}"]
    warnings = [warning for warning in done.conversion.warnings if "error" in warning]
    assert warnings == ([f"1 cell with an error such as #DIV/0! became missing: {told}."] if told else [])


def test_errors_when_excel_95_wrote_them_then_told(tmp_path: Path) -> None:
    book = stream(error(1, 1), before=record(0x0042, struct.pack("<H", 1252)), version=0x0500)
    (tmp_path / "in").write_bytes(compound_file(book, name="Book"))
    (found,) = old_extents(tmp_path / "in").items()
    assert (found[0], found[1].examples, found[1].whole) == ("\u00e9", ["B2"], True)


@pytest.mark.parametrize(
    ("book", "slug"),
    [
        (stream(number(65535, 255, 1)), "file-too-large"),
        (stream(number(65535, 255, 1), end=b""), "file-too-large"),
        (stream(error(1, 1), before=record(0x002F, bytes(6))), "encrypted-file"),
    ],
)
def test_an_old_workbook_when_too_large_or_encrypted_then_refused(
    converter: Converter, book: bytes, slug: str
) -> None:
    with pytest.raises(TabularError) as caught:
        converter(compound_file(book), kind="xls")
    assert caught.value.slug == slug


@pytest.mark.parametrize("end", [b"", begin() + END], ids=["no end", "a chart without an end"])
def test_a_sheet_when_it_does_not_end_then_read_and_what_is_not_known_is_told(
    converter: Converter, end: bytes
) -> None:
    # The zeros that fill up the file are whole records.
    fill = record(0x01FF, bytes(-len(stream(error(1, 1), end=end)) % 4))
    book = compound_file(stream(fill + error(1, 1), end=end))
    done = converter(book, kind="xls", reading=Reading(header=True))
    assert done.rows == ["1,?"]
    named, unnamed = (warning for warning in done.conversion.warnings if "#DIV/0!" in warning)
    assert named.endswith("became missing: 'B2'.")
    assert unnamed.startswith("Other cells")


def put(at: int, *numbers: int) -> Callable[[bytes], bytes]:
    return lambda file: file[:at] + struct.pack(f"<{len(numbers)}I", *numbers) + file[at + 4 * len(numbers) :]


TABLE = 512  # where the sample's first sector, its table, is


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(put(TABLE + 4 * 5, 3), id="sectors in a circle"),
        pytest.param(put(TABLE + 4 * 5, 999), id="a sector beyond the end"),
        pytest.param(put(TABLE + 4 * 9, 9), id="the directory in a circle"),
        pytest.param(put(48, 0xFFFFFF00), id="no directory"),
        pytest.param(put(60, 7777), id="no table of mini sectors"),
        pytest.param(put(76, *[0xFFFFFFFF] * 109), id="no table"),
        pytest.param(put(30, 0xFFFF), id="sectors of any size"),
        pytest.param(lambda file: file[:3000], id="cut off"),
        pytest.param(lambda file: file[:300], id="cut off in the header"),
        pytest.param(lambda _: b"", id="empty"),
    ],
)
def test_a_compound_file_when_damaged_then_an_error_says_so(damage: Callable[[bytes], bytes]) -> None:
    file = damage(SAMPLE.read_bytes())
    with pytest.raises(CompoundFileError):
        open_stream(io.BytesIO(file), ["Workbook"])


def test_an_old_workbook_when_damaged_where_nothing_is_lost_then_read_and_what_is_not_known_is_told(
    converter: Converter,
) -> None:
    damaged = put(TABLE + 4 * 7, 1)(SAMPLE.read_bytes())
    done = converter(damaged, kind="xls", reading=SHEET)
    assert done.rows == ROWS
    (told,) = [warning for warning in done.conversion.warnings if "#DIV/0!" in warning]
    assert told.startswith("Cells with an error such as #DIV/0!, if there are any, became missing without")


def test_an_old_workbook_when_bytes_are_changed_then_never_another_error(tmp_path: Path) -> None:
    whole, path = SAMPLE.read_bytes(), tmp_path / "in"
    for at in range(0, len(whole), 16):
        path.write_bytes(whole[:at] + b"\xff\xff" + whole[at + 2 :])
        old_extents(path)
