"""ARFF files that people bring: what has one reading is accepted and made canonical, what has none is refused."""

import random
from collections.abc import Callable
from typing import Any

import arff
import pytest

from app.tabular import Limits, TabularError
from openml_sandbox.tokenizer import tokenize

Converter = Callable[..., Any]
HEAD = "@RELATION 'r'\n@ATTRIBUTE 'n' REAL\n@ATTRIBUTE 'c' {a,\"b c\"}\n@ATTRIBUTE 's' STRING\n@DATA\n"


def refusal(converter: Converter, content: str | bytes, **fields: Any) -> TabularError:
    with pytest.raises(TabularError) as caught:
        converter(content, kind="arff", **fields)
    return caught.value


CANONICAL = (
    "% made by hand\n%\n@RELATION 'my table'\n@ATTRIBUTE 'n' NUMERIC\n@ATTRIBUTE 'i' INTEGER\n@ATTRIBUTE 'r r' REAL\n"
    "@ATTRIBUTE 'c' {a,\"b c\",\"{d}\",1.0}\n@ATTRIBUTE 's' STRING\n@DATA\n"
    '1e5,1,.5,a,plain\n?,1.0,-0,"b c","it\'s \\"q\\", 100% {x} \\\\ y"\n'
    '1,?,1,"{d}","?"\n2,3,4,1.0,""\n5,6,7,?,"tab\tand\\nline\\134"\n8,9,0,a,?\n1,2,3,a,"Zo\u00eb \U0001f600"\n'
)


def test_a_canonical_file_when_converted_then_not_a_byte_changes(converter: Converter) -> None:
    done = converter(CANONICAL, kind="arff")
    assert done.text == CANONICAL
    assert done["s"][1][1] == 'it\'s "q", 100% {x} \\ y'
    assert [column.missing for column in done.conversion.columns] == [1, 1, 0, 1, 1]


@pytest.mark.long
def test_a_canonical_file_when_long_then_the_fast_way_gives_the_same(converter: Converter) -> None:
    head, rows = CANONICAL.split("@DATA\n")
    text = head + "@DATA\n" + rows * 40_000
    done = converter(text, kind="arff")
    assert done.text == text
    assert done.conversion.columns[4].missing == 40_000


@pytest.mark.long
def test_a_long_file_when_its_blocks_are_not_canonical_then_the_values_are_the_same(
    converter: Converter,
) -> None:
    head, rows = CANONICAL.split("@DATA\n")
    loose = rows.replace("1e5,1,.5", "1e5 ,\t1, .5") + "\n% comment\n"
    assert converter(head + "@DATA\n" + loose * 40_000, kind="arff").text == head + "@DATA\n" + rows * 40_000


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("\ufeff" + HEAD + "1,a,x\n", HEAD + "1,a,x\n"),
        (HEAD.replace("\n", "\r\n") + "1,a,x\r\n", HEAD + "1,a,x\n"),
        (HEAD.lower() + "1,a,x", HEAD + "1,a,x\n"),
        (HEAD.replace(" ", "\t").replace("b\tc", "b c") + "1,\ta\t,x\n", HEAD + "1,a,x\n"),
        (HEAD.replace("'c' {a", "c{a") + "1,a,x\n", HEAD + "1,a,x\n"),
        (HEAD.replace("REAL", "REAL % note").replace("STRING", "STRING%") + "1,a,x\n", HEAD + "1,a,x\n"),
        (HEAD.replace("@DATA", "@data % here") + "1,a,x\n", HEAD + "1,a,x\n"),
        (HEAD.replace("@ATTRIBUTE 's'", "\n% comment\n\n@ATTRIBUTE \"s\"") + "1,a,x\n", HEAD + "1,a,x\n"),
        (HEAD.replace('{a,"b c"}', "{ a , 'b c' }") + "1,'b c','x, y'\n", HEAD + '1,"b c","x, y"\n'),
        (HEAD + "1,a,'it\\'s \\\"q\\\"'\n2,a,'\\101\\b'\n", HEAD + '1,a,"it\'s \\"q\\""\n2,a,"A\b"\n'),
        (HEAD + "1,a,'ends in \\\\'\n", HEAD + '1,a,"ends in \\134"\n'),
        (HEAD + "1,a,'bell \x07'\n", HEAD + '1,a,"bell \x07"\n'),
        (HEAD.removeprefix("@RELATION 'r'\n") + "1,a,x\n", HEAD.replace("'r'", "'table'") + "1,a,x\n"),
        (HEAD.replace("'r'", "r s") + "1,a,x\n", HEAD.replace("'r'", "'table'") + "1,a,x\n"),
        (HEAD + "% c\n\n  1 , a , x  \n%\n", HEAD + "1,a,x\n"),
        (HEAD + "1,a,a/b\n1,a,M\u00fcnchen\n", HEAD + '1,a,"a/b"\n1,a,"M\u00fcnchen"\n'),
        (HEAD + "1,a,'5\\%'\n", HEAD + '1,a,"5%"\n'),
        (HEAD + "'1','a','x'\n", HEAD + "1,a,x\n"),
        (HEAD + "1,a,back\\slash\n", HEAD + '1,a,"back\\\\slash"\n'),
    ],
)  # fmt: skip
def test_a_file_when_it_has_one_reading_then_it_is_made_canonical(
    converter: Converter, before: str, after: str
) -> None:
    done = converter(before, kind="arff")
    assert done.text == after
    arff.loads(done.text)


def test_latin_1_when_brought_then_written_as_utf_8(converter: Converter) -> None:
    done = converter((HEAD + "1,a,M\u00fcnchen\n").encode("latin-1"), kind="arff")
    assert done["s"][1] == ["M\u00fcnchen"]


@pytest.mark.parametrize(
    ("rows", "slug", "line"),
    [
        ("1,a,it's\n", "invalid-arff", 6),
        ("1,a,'it''s'\n", "invalid-arff", 6),
        ("1,a,x y\n", "invalid-arff", 6),
        ("1,a,x\u00a0y\n", "invalid-arff", 6),
        ("1,a,x{y}\n", "invalid-arff", 6),
        ("1,a,{y}\n", "invalid-arff", 6),
        ("1,a,x%y\n", "invalid-arff", 6),
        ("1,a,x % comment\n", "invalid-arff", 6),
        ("1,,x\n", "invalid-arff", 6),
        ("1,a,\n", "invalid-arff", 6),
        ("1,a,'x\ny'\n", "invalid-arff", 6),
        ("1,a,'x' y\n", "invalid-arff", 6),
        ("1,a,'\\u0041'\n", "invalid-arff", 6),
        ("1,a\n", "ragged-row", 6),
        ("1,a,x,y\n", "ragged-row", 6),
        ("1,a,x\n\n{0 1}\n", "invalid-arff", 8),
        ("1,a,x\n%\n1,A,x\n", "value-does-not-fit", 8),
        ("1,'',x\n", "value-does-not-fit", 6),
        ("one,a,x\n", "value-does-not-fit", 6),
        ("NaN,a,x\n", "value-does-not-fit", 6),
        ("inf,a,x\n", "value-does-not-fit", 6),
        ("1e999,a,x\n", "value-does-not-fit", 6),
        ("0x10,a,x\n", "value-does-not-fit", 6),
        ("1d,a,x\n", "value-does-not-fit", 6),
        ("'1 ',a,x\n", "value-does-not-fit", 6),
        ("'',a,x\n", "value-does-not-fit", 6),
        ("'?',a,x\n", "value-does-not-fit", 6),
        ("1,a,x\rb\n", "invalid-arff", 6),
        ("", "no-rows", None),
    ],
)
def test_a_row_when_a_reader_would_stumble_then_refused_with_its_line(
    converter: Converter, rows: str, slug: str, line: int | None
) -> None:
    error = refusal(converter, HEAD + rows)
    assert (error.slug, error.line) == (slug, line)


def test_a_row_when_wrong_after_the_first_thousand_then_refused_all_the_same(converter: Converter) -> None:
    row = "1,a," + "x" * 200 + "\n"
    error = refusal(converter, HEAD + row * 50_000 + "1,b,x\n")
    assert (error.slug, error.row, error.line) == ("value-does-not-fit", 50_001, 50_006)


@pytest.mark.parametrize(
    ("header", "slug", "line"),
    [
        ("@ATTRIBUTE 'n' REAL\n1\n", "invalid-arff", 2),
        ("@RELATION 'r'\n@DATA\n1\n", "invalid-arff", 2),
        ("@ATTRIBUTE 'n' REAL\n", "invalid-arff", None),
        ("@ATTRIBUTE 'n' REAL\n@RELATION 'r'\n@DATA\n1\n", "invalid-arff", 2),
        ("@RELATION r\n@RELATION r\n@ATTRIBUTE n REAL\n@DATA\n1\n", "invalid-arff", 2),
        ("@ATTRIBUTE 'n' REAL\n@ATTRIBUTE n REAL\n@DATA\n1,1\n", "duplicate-column", 2),
        ("@ATTRIBUTE n {a,a}\n@DATA\na\n", "duplicate-label", 1),
        ("@ATTRIBUTE n {a,''}\n@DATA\na\n", "bad-label", 1),
        ("@ATTRIBUTE n {a,'it\\'s'}\n@DATA\na\n", "bad-label", 1),
        ("@ATTRIBUTE n {a,\u00e9}\n@DATA\na\n", "bad-label", 1),
        ("@ATTRIBUTE n {a,?}\n@DATA\na\n", "bad-label", 1),
        ("@ATTRIBUTE n {a,' b'}\n@DATA\na\n", "bad-label", 1),
        ("@ATTRIBUTE n {}\n@DATA\na\n", "invalid-arff", 1),
        ("@ATTRIBUTE n {a b, c}\n@DATA\na\n", "invalid-arff", 1),
        ("@ATTRIBUTE n {a,b\n@DATA\na\n", "invalid-arff", 1),
        ("@ATTRIBUTE n {a,b} x\n@DATA\na\n", "invalid-arff", 1),
        ("@ATTRIBUTE 'a\\'b' REAL\n@DATA\n1\n", "bad-column-name", 1),
        ("@ATTRIBUTE it's REAL\n@DATA\n1\n", "invalid-arff", 1),
        ("@ATTRIBUTE '' REAL\n@DATA\n1\n", "bad-column-name", 1),
        ("@ATTRIBUTE 'n'REAL\n@DATA\n1\n", "invalid-arff", 1),
        ("@ATTRIBUTE \u00e9 REAL\n@DATA\n1\n", "bad-column-name", 1),
        (f"@ATTRIBUTE {'x' * 65} REAL\n@DATA\n1\n", "bad-column-name", 1),
        ("@ATTRIBUTE n FLOAT\n@DATA\n1\n", "invalid-arff", 1),
        ("@ATTRIBUTE n REAL from 0 to 1\n@DATA\n1\n", "invalid-arff", 1),
        ("@ATTRIBUTE n DATE\n@DATA\n1\n", "unusable-type", 1),
        ('@ATTRIBUTE n date "yyyy-MM-dd"\n@DATA\n1\n', "unusable-type", 1),
        ("@ATTRIBUTE n BOOLEAN\n@DATA\n1\n", "unusable-type", 1),
        ("@ATTRIBUTE n BINARY\n@DATA\n1\n", "unusable-type", 1),
        ("@ATTRIBUTE n RELATIONAL\n@DATA\n1\n", "unusable-type", 1),
        ("a,b\n1,2\n", "invalid-arff", 1),
        ("@ATTRIBUTE a REAL\n@ATTRIBUTE b REAL\n@ATTRIBUTE c REAL\n@DATA\n1,1,1\n", "too-many-columns", 3),
        ("@ATTRIBUTE n {a,b,c,d}\n@DATA\na\n", "too-many-labels", 1),
    ],
)
def test_a_header_when_a_reader_would_stumble_then_refused_with_its_line(
    converter: Converter, header: str, slug: str, line: int | None
) -> None:
    error = refusal(converter, header, limits=Limits(max_columns=2, max_labels=3), repair=False)
    assert (error.slug, error.line) == (slug, line)


@pytest.mark.parametrize("name", ["", "it's", "two\nlines", 'say "x"'])
def test_a_relation_when_no_reader_can_read_it_then_refused(converter: Converter, name: str) -> None:
    text = "@ATTRIBUTE n REAL\n@DATA\n1\n"
    assert refusal(converter, text, relation=name).slug == "bad-relation"


@pytest.mark.long
def test_a_line_when_longer_than_a_block_then_it_is_one_row_all_the_same(converter: Converter) -> None:
    value = "x" * 5_000_000
    done = converter(HEAD + f"1,a,{value}\n2,a,y\n", kind="arff", limits=Limits(max_cell_bytes=len(value)))
    assert done.rows == [f'1,a,"{value}"', "2,a,y"]
    assert refusal(converter, HEAD + f"1,a,{value}\n").slug == "cell-too-long"


@pytest.mark.parametrize("cell", ["1.5", "9007199254740993", "1e16"])
def test_an_integer_when_it_would_be_read_as_another_then_refused(converter: Converter, cell: str) -> None:
    text = f"@RELATION r\n@ATTRIBUTE n INTEGER\n@DATA\n{cell}\n"
    assert refusal(converter, text).slug == "value-does-not-fit"
    assert converter(text, kind="arff", attributes={"n": "string"})["n"] == ("STRING", [cell])


def test_types_when_declared_by_the_owner_then_they_replace_the_headers(converter: Converter) -> None:
    text = "@RELATION r\n@ATTRIBUTE d DATE\n@ATTRIBUTE s STRING\n@DATA\n2026-11-21,b\n?,NA\n'2026-11-22',b\n"
    done = converter(text, kind="arff", attributes={"d": "string", "s": "nominal"}, target_attributes=("s",))
    assert done["d"] == ("STRING", ["2026-11-21", None, "2026-11-22"])
    assert done["s"] == (["NA", "b"], ["b", "NA", "b"])


def test_a_text_target_when_the_header_says_so_then_it_stays_and_the_owner_is_warned(
    converter: Converter,
) -> None:
    done = converter("@RELATION r\n@ATTRIBUTE s STRING\n@DATA\nb\n", kind="arff", target_attributes=("s",))
    assert done["s"] == ("STRING", ["b"])
    assert "nominal" in done.conversion.warnings[0]


SPARSE_LABEL = "@RELATION r\n@ATTRIBUTE c {a,b}\n@DATA\n{0 A}\n"
LOOSE = "@RELATION 'r'\n@ATTRIBUTE 'n' REAL\n@ATTRIBUTE 's' STRING\n@ATTRIBUTE 'c' {a,b}\n@DATA\n"


@pytest.mark.parametrize(
    ("rows", "written"),
    [
        ("1,x,a,\n2,y,b ,\n", ["1,x,a", "2,y,b"]),
        ("1\tx\ta\n2\ty\tb\n", ["1,x,a", "2,y,b"]),
        ("1  x   a\n2 'y z' b\n", ["1,x,a", '2,"y z",b']),
        ("1,x,a % the first\n%\n2,y,b\t%%\n", ["1,x,a", "2,y,b"]),
        ("1,x,a\n2,?,?\n@end\n", ["1,x,a", "2,?,?"]),
        (" 1 , ? , a\n?\t'?'\tb\n", ["1,?,a", '?,"?",b']),
    ],
)
def test_rows_when_weka_reads_them_then_so_do_we(converter: Converter, rows: str, written: list[str]) -> None:
    done = converter(LOOSE + rows, kind="arff")
    assert done.text == LOOSE + "\n".join(written) + "\n"
    theirs = [tokenize(line.encode()) for line in rows.splitlines() if not line.startswith(("%", "@"))]
    assert [[token.value and token.value.decode() for token in row] for row in theirs] == [
        [None if value is None else str(value).removesuffix(".0") for value in row]
        for row in arff.loads(done.text)["data"]
    ]


@pytest.mark.parametrize(
    ("rows", "slug"),
    [
        ("1 x,a\n", "invalid-arff"),
        ("1,x y,a\n", "invalid-arff"),
        ("1,x,a,,\n", "invalid-arff"),
        (",1,x,a\n", "invalid-arff"),
        ("1 x\n", "ragged-row"),
        ("1\tx\ta\t\t2\n", "ragged-row"),
        ("1,x,a\n2,y,b,{2}\n", "invalid-arff"),
        ("1,x,a,{two}\n", "invalid-arff"),
        ("1,x,a%b\n", "invalid-arff"),
    ],
)
def test_rows_when_they_could_mean_two_things_then_refused(
    converter: Converter, rows: str, slug: str
) -> None:
    assert refusal(converter, LOOSE + rows).slug == slug


def test_a_percent_sign_when_behind_a_bare_text_then_refused(converter: Converter) -> None:
    error = refusal(converter, HEAD + "1,a,5 % off\n")
    assert (error.slug, error.line) == ("invalid-arff", 6)


def test_blanks_when_between_values_then_the_reading_says_so(converter: Converter) -> None:
    assert converter(LOOSE + "1\tx\ta\n", kind="arff").conversion.reading["delimiter"]["value"] == " "
    assert "delimiter" not in converter(LOOSE + "1,x,a\n", kind="arff").conversion.reading


def test_weights_of_rows_when_there_then_a_column(converter: Converter) -> None:
    done = converter(
        LOOSE + "1,x,a,{0.5}\n2,y,b\n3 z a {2}\n", kind="arff", ignore_attributes=("instance_weight",)
    )
    assert done.rows == ["1,x,a,0.5", "2,y,b,1", "3,z,a,2"]
    assert done["instance_weight"] == ("NUMERIC", [0.5, 1.0, 2.0])
    assert "weights" in done.conversion.repairs[0].change


@pytest.mark.parametrize(
    ("declaration", "written", "told"),
    [
        ("n real [4.3,7.9]", "'n' REAL", "[4.3,7.9]"),
        ("n integer[1, 10]", "'n' INTEGER", "[1, 10]"),
        ("n numeric {0.5} % heavy", "'n' NUMERIC", "{0.5}"),
        ("'n' { 1 2 3 }", "'n' {1,2,3}", ""),
        ("n {1,2,}", "'n' {1,2}", ""),
        ("\t'n'\tREAL\t", "'n' REAL", ""),
        ("'n\\\\n' REAL", "'n_n' REAL", "n_n"),
    ],
)
def test_a_declaration_when_weka_reads_it_then_it_is_made_canonical(
    converter: Converter, declaration: str, written: str, told: str
) -> None:
    done = converter(f"@relation r\n@attribute {declaration}\n@data\n1\n", kind="arff")
    assert done.text == f"@RELATION 'r'\n@ATTRIBUTE {written}\n@DATA\n1\n"
    assert [told in repair.change for repair in done.conversion.repairs] == [True] * bool(told)


def test_lines_of_keel_when_in_the_header_then_left_out_and_told(converter: Converter) -> None:
    text = "@relation r\n@attribute n real[0.0, 9.0]\n@attribute c {a, b}\n@inputs n\n@outputs c\n@data\n1.5, a\n"
    done = converter(text, kind="arff")
    assert done.rows == ["1.5,a"]
    assert [repair.change.split()[1] for repair in done.conversion.repairs] == ["range", "line", "line"]


def test_dates_when_declared_then_published_as_text_and_told(converter: Converter) -> None:
    text = "@relation r\n@attribute d date 'dd/MM/yyyy'\n@attribute e DATE\n@data\n21/11/2026,2026-11-21T12:00:00\n"
    done = converter(text, kind="arff")
    assert done["d"] == ("STRING", ["21/11/2026"])
    assert done["e"] == ("STRING", ["2026-11-21T12:00:00"])
    assert "dd/MM/yyyy" in done.conversion.repairs[0].change
    assert refusal(converter, text, repair=False).slug == "unusable-type"


@pytest.mark.parametrize("content", [LOOSE + "1,x,A\n", SPARSE_LABEL])
def test_a_label_when_not_declared_then_the_likeliest_is_named(converter: Converter, content: str) -> None:
    error = refusal(converter, content)
    assert error.slug == "value-does-not-fit"
    assert "Did you mean 'a'? The labels are 'a', 'b'." in str(error)


SPARSE = "@RELATION 'r'\n@ATTRIBUTE 'n' REAL\n@ATTRIBUTE 'm' INTEGER\n@ATTRIBUTE 'c' {a,b}\n@DATA\n"


@pytest.mark.parametrize(
    ("row", "written"),
    [
        ("{0 1,1 2,2 b}", "{0 1,1 2,2 b}"),
        ("{ 2 b , 0\t1.50 }", "{0 1.50,2 b}"),
        ("{0 1}", "{0 1,2 a}"),
        ("{}", "{2 a}"),
        ("{ }", "{2 a}"),
        ("{0 ?,1 0,2 'b'}", "{0 ?,1 0,2 b}"),
        ("{2 ?}", "{2 ?}"),
    ],
)
def test_a_sparse_row_when_it_has_one_reading_then_it_is_made_canonical(
    converter: Converter, row: str, written: str
) -> None:
    done = converter(SPARSE + row + "\n", kind="arff")
    assert done.rows == [written]
    assert done.conversion.arff_format == "Sparse_ARFF"
    assert sum(column.missing for column in done.conversion.columns) == row.count("?")


@pytest.mark.parametrize("seed", range(60))
def test_a_sparse_row_when_bare_then_read_as_entry_by_entry(converter: Converter, seed: int) -> None:
    """A blank before a comma has a row read entry by entry."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    cells = ["1", "-2.50", "+3", "007", "1e3", "1e400", "?", "a", "b", "x", "9007199254740993", "5\\", "2.0"]
    rows = []
    for _ in range(chance.randrange(1, 5)):
        indices = chance.choices(range(3 + (seed % 7 == 0)), k=chance.randrange(4))
        rows.append([f"{index} {chance.choice('ab' if index == 2 else cells)}" for index in indices])

    def outcome(comma: str) -> object:
        text = SPARSE + "".join(f"{{{comma.join(row)}}}\n" for row in rows)
        try:
            return converter(text, kind="arff").text
        except TabularError as error:
            return str(error)

    assert outcome(",") == outcome(" ,")


def test_an_empty_sparse_row_when_all_is_numeric_then_a_zero_is_stated(converter: Converter) -> None:
    done = converter("@RELATION r\n@ATTRIBUTE n REAL\n@ATTRIBUTE m REAL\n@DATA\n{1 5}\n{}\n", kind="arff")
    assert done.rows == ["{1 5}", "{0 0}"]


@pytest.mark.parametrize(
    ("row", "slug"),
    [
        ("{0 1,0 2}", "invalid-arff"),
        ("{3 1}", "invalid-arff"),
        ("{0 1,}", "invalid-arff"),
        ("{0 1", "invalid-arff"),
        ("{0}", "invalid-arff"),
        ("{-1 1}", "invalid-arff"),
        ("{0 1}, {5}", "invalid-arff"),
        ("1,2,a", "invalid-arff"),
        ("{0 x}", "value-does-not-fit"),
        ("{1 1.5}", "value-does-not-fit"),
        ("{2 c}", "value-does-not-fit"),
    ],
)
def test_a_sparse_row_when_a_reader_would_stumble_then_refused_with_its_line(
    converter: Converter, row: str, slug: str
) -> None:
    error = refusal(converter, f"{SPARSE}{{0 1}}\n\n{row}\n")
    assert (error.slug, error.line) == (slug, 8)


def test_a_sparse_file_when_it_has_texts_or_types_to_infer_then_refused(converter: Converter) -> None:
    assert refusal(converter, SPARSE.replace("REAL", "STRING") + "{0 x}\n").slug == "sparse-text"
    assert refusal(converter, SPARSE + "{0 1}\n", attributes={"n": "nominal"}).slug == "sparse-types"
