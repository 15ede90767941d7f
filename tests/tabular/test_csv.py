"""Delimited files as people save them: dialects, encodings, quotes, and rows that do not fit."""

import codecs
import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.tabular import ConversionRequest, Limits, TabularError
from app.tabular.convert import convert

Converter = Callable[..., Any]


def refusal(converter: Converter, content: str | bytes, **fields: Any) -> TabularError:
    with pytest.raises(TabularError) as caught:
        converter(content, **fields)
    return caught.value


def test_a_plain_file_when_converted_then_names_types_digits_and_order_are_kept(converter: Converter) -> None:
    done = converter("id,price,city\n1,1.10,Delft\n2,1e5,New York\n", target_attributes=("price",))
    assert done.text == (
        "@RELATION 'table'\n"
        "@ATTRIBUTE 'id' INTEGER\n"
        "@ATTRIBUTE 'price' REAL\n"
        "@ATTRIBUTE 'city' STRING\n"
        "@DATA\n"
        "1,1.10,Delft\n"
        '2,1e5,"New York"\n'
    )
    assert done.conversion.rows == 2
    assert done.conversion.warnings == ()


def test_the_conversion_when_done_then_length_and_digests_are_those_of_the_file(tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.arff"
    source.write_text("a,b\n1,x\n")
    conversion = convert(ConversionRequest(source, target, "csv", "table"))
    data = target.read_bytes()
    assert conversion.arff_bytes == len(data)
    assert conversion.arff_md5 == hashlib.md5(data, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_delimiter_when_not_the_comma_then_it_is_found_out(converter: Converter, delimiter: str) -> None:
    text = 'a,b,c\n1,"x,y;z|\t",2\n3,plain,4\n'.replace(",", "\0").replace("\0", delimiter)
    text = text.replace(f"x{delimiter}y", "x,y")
    done = converter(text)
    assert done["a"] == ("INTEGER", [1, 3])
    assert done["b"] == ("STRING", ["x,y;z|\t", "plain"])


def test_a_decimal_comma_when_the_delimiter_is_a_semicolon_then_the_column_is_numbers(
    converter: Converter,
) -> None:
    assert converter("a;b\n1,5;2\n2,5;3\n")["a"] == ("REAL", [1.5, 2.5])


def test_one_column_when_its_text_has_commas_in_quotes_then_it_stays_one(converter: Converter) -> None:
    assert converter('text\n"a, b"\nplain\n')["text"] == ("STRING", ["a, b", "plain"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_an_encoding_when_common_then_the_text_arrives(converter: Converter, encoding: str) -> None:
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    content = "name,n\nZoë Müller,1\n€,2\n".encode(encoding)
    done = converter(marks.get(encoding, b"") + content)
    assert done["name"] == ("STRING", ["Zoë Müller", "€"])
    assert any("Windows-1252" in each for each in done.conversion.warnings) == (encoding == "cp1252")


def test_utf_16_when_longer_than_a_block_then_no_character_is_torn(converter: Converter) -> None:
    cells = [f"é{number}€" * 10 for number in range(60_000)]
    done = converter(("name\n" + "\n".join(cells)).encode("utf-16"))
    assert done.rows == [f'"{cell}"' for cell in cells]


@pytest.mark.parametrize(
    ("content", "slug", "line"),
    [
        (b"a,b\n\xc3\xa9,1\nx,2\n\xff,3\n", "unsupported-encoding", 4),
        (codecs.BOM_UTF16_LE + b"a\x00,\x00b\x00\n\x00x", "unsupported-encoding", None),
        (b"a,b\n1,2\nx\x00y,3\n", "nul-character", 3),
        (b"a,b\n1,2\n\xff\xfe\x80\x81,1\n\xc3\xa9,2\n", "unsupported-encoding", 3),
    ],
)
def test_bytes_when_they_are_no_clean_text_then_refused_with_the_line(
    converter: Converter, content: bytes, slug: str, line: int | None
) -> None:
    error = refusal(converter, content)
    assert (error.slug, error.line) == (slug, line)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_when_of_any_system_then_rows_are_the_same(converter: Converter, end: str) -> None:
    done = converter(f"a,b{end}1,x{end}{end}2,y")
    assert (done["a"], done["b"]) == (("INTEGER", [1, 2]), ("STRING", ["x", "y"]))


def test_quotes_when_doubled_or_around_line_breaks_then_the_cell_is_whole(converter: Converter) -> None:
    done = converter('a,b\n1,"say ""hi"""\n2,"two\r\nlines"\n3,5" pipe\n')
    assert done["b"][1] == ['say "hi"', "two\r\nlines", '5" pipe']


def test_an_empty_text_when_in_quotes_then_it_is_a_text_and_otherwise_missing(converter: Converter) -> None:
    done = converter('a,b\n1,\n2,""\n3,x\n')
    assert done.rows == ["1,?", '2,""', "3,x"]
    assert done.conversion.columns[1].missing == 1


def test_blank_lines_when_anywhere_then_they_are_no_rows(converter: Converter) -> None:
    assert converter("\n\na,b\n\n1,2\n  \t \n\n3,4\n\n").rows == ["1,2", "3,4"]


@pytest.mark.every(5)
@pytest.mark.parametrize(
    ("content", "row", "line", "counts"),
    [
        ("a,b\n1,2\n3\n", 2, 3, ("1 cell;", "2")),
        ("a,b\n1,2,3\n", 1, 2, ("3 cells;", "2")),
        ('a,b\n\n"x\ny",1\n   \n\n"p\nq\nr",2\n5,6,7\n', 3, 10, ("3 cells;", "2")),
        ("a,b\n" + '"x\ny",2\n' * 300_000 + "1\n", 300_001, 600_002, ("1 cell;", "2")),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
@pytest.mark.parametrize("kind", ["csv", "csv.gz", "tsv.gz"])
def test_a_row_when_ragged_then_refused_with_row_line_and_counts(  # noqa: PLR0917 - a table's columns
    converter: Converter,
    content: str,
    row: int,
    line: int,
    counts: tuple[str, str],
    kind: str,
    encoding: str,
) -> None:
    data = content.replace(",", "\t" if kind.startswith("tsv") else ",").encode(encoding)
    error = refusal(converter, gzip.compress(data) if kind.endswith(".gz") else data, kind=kind)
    assert (error.slug, error.row, error.line) == ("ragged-row", row, line)
    assert all(count in error.message for count in counts)


@pytest.mark.parametrize(("row", "advice"), [("3", "Add the cells"), ("3,4,5", "double quotes")])
def test_a_row_when_too_short_or_too_long_then_the_advice_is_about_that(
    converter: Converter, row: str, advice: str
) -> None:
    error = refusal(converter, f"a,b\n1,2\n{row}\n")

    assert error.hint
    assert advice in error.hint


@pytest.mark.parametrize("tail", ['3,"x\n', '"3,x\n5,6\n', '3,"x"\n4,"\n5,6\n'])
def test_a_quote_when_never_closed_then_refused_instead_of_swallowing_rows(
    converter: Converter, tail: str
) -> None:
    error = refusal(converter, "a,b\n1,2\n" + tail)
    assert error.slug == "unclosed-quote"
    assert error.line in {3, 4}


@pytest.mark.parametrize(
    ("content", "slug"),
    [("", "empty-file"), ("\n \n\n", "empty-file"), ("a,b\n", "no-rows"), ("a,b", "no-rows")],
)
def test_a_file_when_it_holds_no_rows_then_refused(converter: Converter, content: str, slug: str) -> None:
    error = refusal(converter, content)

    assert error.slug == slug
    assert "Send one with" in str(error)


@pytest.mark.parametrize(
    ("header", "slug", "part"),
    [
        ("a,,c", "bad-column-name", "Column 2"),
        ("a,b ,c", "bad-column-name", "column 2"),
        ("a,b,caf\u00e9", "bad-column-name", "column 3"),
        ("a,b," + "x" * 65, "bad-column-name", "65 characters"),
        ("a,it's,c", "bad-column-name", "column 2"),
        ('a,b,"c\nd"', "bad-column-name", "column 3"),
        ("a,b,a", "duplicate-column", "Columns 1 and 3"),
    ],
)
def test_a_name_when_openml_cannot_take_it_and_nothing_may_be_repaired_then_refused_with_its_position(
    converter: Converter, header: str, slug: str, part: str
) -> None:
    error = refusal(converter, f"{header}\n1,2,3\n", repair=False)
    assert error.slug == slug
    assert part in error.message


def test_names_when_they_differ_by_case_only_then_both_are_kept(converter: Converter) -> None:
    assert [column.name for column in converter("a,A\n1,2\n").conversion.columns] == ["a", "A"]


@pytest.mark.parametrize(
    ("limits", "content", "slug"),
    [
        (Limits(max_columns=2), "a,b,c\n1,2,3\n", "too-many-columns"),
        (Limits(max_unpacked_bytes=5), "a,b\n1,2\n", "file-too-large"),
        (Limits(max_cell_bytes=3), "a,b\n1,2\n3,four\n", "cell-too-long"),
    ],
)
def test_a_limit_when_passed_then_refused(
    converter: Converter, limits: Limits, content: str, slug: str
) -> None:
    assert refusal(converter, content, limits=limits).slug == slug


def test_a_cell_when_too_long_then_refused_with_its_row_and_column(converter: Converter) -> None:
    error = refusal(converter, "a,b\n1,2\n3,four\n", limits=Limits(max_cell_bytes=3))
    assert (error.row, error.line, error.column) == (2, 3, "b")


def test_a_row_when_longer_than_a_block_then_refused_and_not_buffered(converter: Converter) -> None:
    assert refusal(converter, "a,b\n1," + "x" * 20_000_000 + "\n").slug == "row-too-long"
    lines = refusal(converter, 'a,b\n1,2\n3,"' + "x\n" * 6_000_000 + '"\n')
    assert (lines.slug, lines.row, lines.line) == ("row-too-long", 2, 3)


@pytest.mark.parametrize("role", ["target_attributes", "ignore_attributes"])
def test_a_column_when_misspelt_then_refused_with_the_nearest_names(converter: Converter, role: str) -> None:
    error = refusal(converter, "petal,sepal\n1,2\n", **{role: ("Petal",)})
    assert error.slug == "unknown-column"
    assert error.hint == "Did you mean 'petal'?"


def test_a_refused_file_when_half_written_then_nothing_is_left(tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.arff"
    source.write_text("a,b\n" + "1,x\n" * 600_000 + "2,y\n")
    request = ConversionRequest(source, target, "csv", "table", attributes={"b": {"nominal": ["x"]}})
    with pytest.raises(TabularError) as caught:
        convert(request)
    assert (caught.value.row, caught.value.line, caught.value.column) == (600_001, 600_002, "b")
    assert not target.exists()


def test_a_wide_table_when_its_blocks_are_short_then_every_cell_is_right(converter: Converter) -> None:
    width = 3_000
    names = [f"c{number}" for number in range(width)]
    rows = [[str(row * number) if number % 3 else f"t {row}" for number in range(width)] for row in range(40)]
    done = converter("\n".join(",".join(row) for row in [names, *rows]))
    kinds = [column.kind for column in done.conversion.columns]
    assert kinds == ["integer" if number % 3 else "string" for number in range(width)]
    assert done.rows[7].split(",") == [f'"{cell}"' if " " in cell else cell for cell in rows[7]]


def test_rows_of_delimiters_only_when_in_a_file_then_told_with_their_numbers(converter: Converter) -> None:
    done = converter("a;b\n1;x\n;\n2;y\n;\n" + "3;z\n" * 9 + ";\n")
    told = [warning for warning in done.conversion.warnings if "any column" in warning]
    assert [text.split(" are")[0] for text in told] == ["3 rows without a value in any column (row 2, 4, 14)"]
    assert done.rows[1] == "?,?"
    assert not any("any column" in text for text in converter("a;b\n1;\n;x\n").conversion.warnings)
