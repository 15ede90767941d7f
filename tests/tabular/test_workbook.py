"""Workbooks: sheets, what stands around a table, and every kind of cell."""

import io
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.tabular import Limits, TabularError
from app.tabular.reading import Reading
from tests.tabular.made import archive, styled, workbook

Converter = Callable[..., Any]
SAMPLES = Path(__file__).with_name("samples")
TABLE: list[list[Any]] = [["a", "b"], [1, "x"], [2, "y"]]


def refusal(converter: Converter, content: bytes, **fields: Any) -> TabularError:
    with pytest.raises(TabularError) as caught:
        converter(content, kind="xlsx", **fields)
    return caught.value


CELLS: list[tuple[list[Any], str, list[str]]] = [
    ([1, 2.0, None], "INTEGER", ["1", "2", "?"]),
    ([1, 2.5, 1e300], "REAL", ["1", "2.5", "1e+300"]),
    ([0.1 + 0.2, 3], "REAL", ["0.30000000000000004", "3"]),
    (["007", "010"], "STRING", ["007", "010"]),
    (["12", 7], "INTEGER", ["12", "7"]),
    ([7, "seven"], "STRING", ["7", "seven"]),
    ([True, False], "{FALSE,TRUE}", ["TRUE", "FALSE"]),
    (["NA", 1], "INTEGER", ["?", "1"]),
    (['say "hi", twice\nand go', "x"], "STRING", ['"say \\"hi\\", twice\\nand go"', "x"]),
    ([styled(43832, "date"), styled(1, "date")], "STRING", ["2020-01-02", "1900-01-01"]),
    (
        [styled(43832.5, "datetime"), styled(43833, "datetime")],
        "STRING",
        ['"2020-01-02T12:00:00"', '"2020-01-03T00:00:00"'],
    ),
    ([styled(0.25, "time"), styled(0.75, "time")], "STRING", ['"06:00:00"', '"18:00:00"']),
    ([styled(1.25, "duration")], "STRING", ["PT30H0M0S"]),
    (['t="e"><v>#DIV/0!</v>', 5], "INTEGER", ["?", "5"]),
    (['t="str"><f>A1&amp;"z"</f><v>xz</v>', "y"], "STRING", ["xz", "y"]),
]


@pytest.mark.parametrize(("cells", "kind", "published"), CELLS)
def test_cells_when_of_a_kind_then_their_values_arrive(
    converter: Converter, cells: list[Any], kind: str, published: list[str]
) -> None:
    rows: list[list[Any]] = [["n", "x"], *([number, cell] for number, cell in enumerate(cells))]
    done = converter(workbook({"s": rows}), kind="xlsx")
    assert f"@ATTRIBUTE 'x' {kind}\n" in done.text
    assert [row.split(",", 1)[1] for row in done.rows] == published


def test_dates_when_the_epoch_is_1904_then_four_years_later(converter: Converter) -> None:
    rows: list[list[Any]] = [["n", "d"], [1, styled(42370, "date")]]
    assert converter(workbook({"s": rows}, is_1904=True), kind="xlsx").rows == ["1,2020-01-02"]


def test_sheets_when_several_hold_something_then_asked_and_hidden_ones_are_named(
    converter: Converter,
) -> None:
    sheets: dict[str, list[list[Any]]] = {
        "one": TABLE,
        "empty": [],
        "two": [["c"], [3], [4]],
        "secret": TABLE,
    }
    book = workbook(sheets, hidden=["secret"])
    done = converter(book, kind="xlsx")
    (doubt,) = done.conversion.doubts
    assert (doubt.field, doubt.choices) == ("sheet", ("one", "two"))
    assert any("'secret'" in warning for warning in done.conversion.warnings)
    assert converter(book, kind="xlsx", reading=Reading(sheet="two"), refuse_doubts=True).rows == ["3", "4"]
    assert converter(book, kind="xlsx", reading=Reading(sheet="secret")).rows == ["1,x", "2,y"]
    unknown = refusal(converter, book, reading=Reading(sheet="three"))
    assert (unknown.slug, unknown.choices) == (
        "unknown-sheet",
        {"sheet": ["one", "empty", "two", "secret"]},
    )
    assert refusal(converter, workbook({"s": []})).slug == "no-rows"


def test_a_table_when_other_things_stand_around_it_then_found_and_told(converter: Converter) -> None:
    rows: list[list[Any]] = [
        ["Sales of 2026"],
        [],
        [None, "a", "b", "c"],
        [None, 1, "x", 5],
        [None, None, None, None],
        [None, 2, None, 6],
        [],
    ]
    done = converter(workbook({"s": rows}), kind="xlsx")
    assert done.rows == ["1,x,5", "2,?,6"]
    changes = " ".join(repair.change for repair in done.conversion.repairs)
    assert "'Sales of 2026'" in changes
    assert "1 row without any cell was left out." in changes
    assert done.conversion.reading["skip_lines"]["value"] == 2
    assert not done.conversion.doubts
    assert not {"delimiter", "quote", "encoding"} & done.conversion.reading.keys()


def test_a_table_when_what_stands_above_could_be_a_row_then_asked(converter: Converter) -> None:
    rows: list[list[Any]] = [["2026", "June"], ["a", "b", "c", "d", "e"], [1, 2, 3, 4, 5]]
    (doubt,) = converter(workbook({"s": rows}), kind="xlsx").conversion.doubts
    assert (doubt.field, doubt.choices) == ("skip_lines", (1, 0))
    done = converter(workbook({"s": rows}), kind="xlsx", reading=Reading(skip_lines=1), refuse_doubts=True)
    assert done.rows == ["1,2,3,4,5"]


def test_merged_cells_when_in_a_table_then_told(converter: Converter) -> None:
    book = workbook({"s": [["a", "b"], [1, "x"], [None, "y"]]}, merged="A2:A3")
    done = converter(book, kind="xlsx")
    assert done.rows == ["1,x", "?,y"]
    assert any("merged" in warning for warning in done.conversion.warnings)


def test_a_fault_when_in_a_row_then_that_row_is_named_and_no_line(converter: Converter) -> None:
    book = workbook({"s": [["Title"], ["a", "b"], [1, "x"], ["no", "y"]]})
    error = refusal(converter, book, attributes={"a": "integer"})
    assert (error.slug, error.row, error.line, error.column) == ("value-does-not-fit", 2, None, "a")


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-30], lambda data: data[:200] + b"\xff" * 60 + data[260:]]
)
def test_a_workbook_when_damaged_then_refused(converter: Converter, damage: Callable[[bytes], bytes]) -> None:
    assert refusal(converter, damage(workbook({"s": TABLE}))).slug == "broken-file"


def test_a_workbook_when_too_large_unpacked_then_refused_before_it_is_read(converter: Converter) -> None:
    error = refusal(converter, workbook({"s": TABLE}), limits=Limits(max_unpacked_bytes=500))
    assert error.slug == "file-too-large"
    assert ".csv" in str(error)


def test_error_cells_when_in_a_sheet_then_told_which(converter: Converter) -> None:
    error = 't="e"><v>#DIV/0!</v>'
    book = workbook({"s": [["a", "b"], [1, error], [error, 2]], "other": [[error]]}, hidden=["other"])
    done = converter(book, kind="xlsx")
    assert done.rows == ["1,?", "?,2"]
    told = [warning for warning in done.conversion.warnings if "error" in warning]
    assert told == ["2 cells with an error such as #DIV/0! became missing: 'B2', 'A3'."]


@pytest.mark.parametrize("cell", ["XFD1048576", "CZ1048576"])
def test_a_sheet_when_a_cell_stands_far_away_then_refused_before_it_is_loaded(
    converter: Converter, cell: str
) -> None:
    far = f't="n"><v>1</v></c></row><row r="1048576"><c r="{cell}"><v>1</v>'
    error = refusal(converter, workbook({"s": [["a", "b"], [1, far]]}))
    assert error.slug == "file-too-large"
    assert "row 1048576" in error.message


def test_a_sheet_when_cells_far_away_only_look_like_something_then_read(converter: Converter) -> None:
    looks = 't="n"><v>1</v></c></row><row r="1048576"><c r="XFD1048576" s="1"/><c r="B3" s="1">'
    assert converter(workbook({"s": [["a", "b"], [1, looks]]}), kind="xlsx").rows == ["1,1"]


def changed(book: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    """Return a workbook with another content of a part."""
    with zipfile.ZipFile(io.BytesIO(book)) as source:
        files: dict[str, str | bytes] = {name: source.read(name) for name in source.namelist()}
    contents = files[part]
    assert isinstance(contents, bytes)
    return archive(files | {part: change(contents)})


def test_a_binary_workbook_when_read_then_as_its_cells_say(converter: Converter) -> None:
    done = converter((SAMPLES / "levels.xlsb").read_bytes(), kind="xlsb")
    assert done.rows == [
        'Ouse,4.25,"2020-01-02T00:00:00",TRUE,"a, \\"b\\""',
        'Aire,1,"2020-01-03T12:00:00",FALSE,007',
        'Wharfe,?,"2020-01-04T00:00:00",TRUE,"\u00e9\\nz"',
        'Nidd,-0.1,"2020-01-05T00:00:00",FALSE,x',
    ]
    assert any("'notes'" in warning for warning in done.conversion.warnings)


def test_errors_when_in_a_binary_workbook_then_missing_and_told(converter: Converter) -> None:
    number = struct.pack("<d", 4.25)

    def with_error(sheet: bytes) -> bytes:
        at = sheet.index(number)
        # The same place, of the kind for an error.
        return sheet[: at - 10] + b"\x03\x09" + sheet[at - 8 : at] + b"\x07" + sheet[at + 8 :]

    book = changed((SAMPLES / "levels.xlsb").read_bytes(), "xl/worksheets/sheet1.bin", with_error)
    done = converter(book, kind="xlsb")
    assert done["level"][1] == [None, 1, None, -0.1]
    assert "1 cell with an error such as #DIV/0! became missing: 'B2'." in done.conversion.warnings


def test_cells_when_in_a_short_form_then_refused_for_they_would_be_lost(converter: Converter) -> None:
    with pytest.raises(TabularError) as caught:
        converter((SAMPLES / "short_cells.xlsb").read_bytes(), kind="xlsb")
    assert caught.value.slug == "unsupported-cells"
    assert ".xlsx" in str(caught.value)


def test_a_sheet_when_its_names_have_a_prefix_then_looked_at_as_any_other(converter: Converter) -> None:
    def prefixed(sheet: bytes) -> bytes:
        return re.sub(rb"<(/?)(?=[a-z])", rb"<\1x:", sheet).replace(b"xmlns=", b"xmlns:x=")

    part, error = "xl/worksheets/sheet1.xml", 't="e"><v>#DIV/0!</v>'
    book = workbook({"s": [["a", "b"], [1, error], [2, 3]]}, merged="A2:A3")
    done = converter(changed(book, part, prefixed), kind="xlsx")
    assert done.rows == ["1,?", "2,3"]
    assert {"'B2'" in text or "1 group" in text for text in done.conversion.warnings[:2]} == {True}
    far = 't="n"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v>'
    too_far = changed(workbook({"s": [["a", "b"], [1, far]]}), part, prefixed)
    assert refusal(converter, too_far).slug == "file-too-large"


def test_errors_when_in_an_open_document_then_missing_and_told(converter: Converter) -> None:
    names = ("office", "table", "text")
    spaces = " ".join(f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in names)
    text = '<table:table-cell office:value-type="string"{}><text:p>{}</text:p></table:table-cell>'
    error = text.format(' office:string-value="" calcext:value-type="error"', "#DIV/0!")
    rows = [
        [text.format("", "a"), text.format("", "b")],
        [text.format("", "x"), error],
        [text.format("", "y"), error],
    ]
    table = "".join(f"<table:table-row>{''.join(row)}</table:table-row>" for row in rows)
    content = (
        f'<office:document-content {spaces} xmlns:calcext="urn:calcext">'
        f'<office:body><office:spreadsheet><table:table table:name="s">{table}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    done = converter(
        archive({"mimetype": kind, "META-INF/manifest.xml": "<m/>", "content.xml": content}),
        kind="ods",
        reading=Reading(header=True),
    )
    assert done.rows == ["x,?", "y,?"]
    assert "2 cells with an error such as #DIV/0! became missing." in done.conversion.warnings
