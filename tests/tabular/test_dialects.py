"""Delimited text in the forms in which programs and people write it: read as they meant it, asked about, or refused."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.tabular import ConversionRequest, TabularError, read_profile
from app.tabular.convert import convert
from app.tabular.profile.run import profile
from app.tabular.reading import Reading

Converter = Callable[..., Any]


def table_of(converter: Converter, content: str | bytes, **reading: Any) -> dict[str, list[Any]]:
    done = converter(content, reading=Reading(**reading))
    return {column.name: done[column.name][1] for column in done.conversion.columns}


def doubts_of(converter: Converter, content: str | bytes, **reading: Any) -> list[str]:
    return [doubt.field for doubt in converter(content, reading=Reading(**reading)).conversion.doubts]


SURE: dict[str, tuple[str, dict[str, list[Any]]]] = {
    "header-less iris": (
        "5.1,3.5,Iris-setosa\n4.9,3.0,Iris-setosa\n7.0,3.2,Iris-versicolor\n6.3,3.3,Iris-virginica\n",
        {"V1": [5.1, 4.9, 7.0, 6.3], "V2": [3.5, 3.0, 3.2, 3.3]},
    ),
    "header-less numbers": ("1,5,10\n2,6,20\n3,7,30\n", {"V1": [1, 2, 3], "V3": [10, 20, 30]}),
    "header-less labels": ("p,x\ne,y\np,y\ne,x\np,x\n", {"V1": ["p", "e", "p", "e", "p"]}),
    "header of years": ("country,1990,1991,1992\nNL,1.5,2,1\nDE,3,1,4\n", {"1990": [1.5, 3], "1992": [1, 4]}),
    "blanks": ("a b c\n1 2 x\n3   4\ty\n  5 6 z \n", {"a": [1, 3, 5], "c": ["x", "y", "z"]}),
    "colons": ("a:b\n1:2\n3:4\n", {"a": [1, 3], "b": [2, 4]}),
    "one token a line": ("x\n1\n2\n", {"x": [1, 2]}),
    "one column of times": ("at\n12:30\n12:45\n", {"at": ["12:30", "12:45"]}),
    "a separator's line": ("sep=;\nx;y\n1;a\n2;b\n", {"x": [1, 2], "y": ["a", "b"]}),
    "a separator's line in quotes": ('"sep=\t"\nx\ty\n1\ta\n', {"x": [1], "y": ["a"]}),
    "a title": ("Sales 2024,,\n,,\nx,y,z\n1,a,4\n2,b,5\n", {"x": [1, 2], "y": ["a", "b"], "z": [4, 5]}),
    "a title without delimiters": ("Sales 2024\n\nx,y,z\n1,a,4\n2,b,5\n", {"x": [1, 2], "z": [4, 5]}),
    "a title above two columns": ("Sales\nx,y\n1,2\n3,4\n", {"x": [1, 3], "y": [2, 4]}),
    "comments": ("# made by me\n# 2024\nx,y\n1,a\n# end\n2,b\n", {"x": [1, 2], "y": ["a", "b"]}),
    "comments with percent signs": ("% made by me\nx,y\n1,2\n", {"x": [1], "y": [2]}),
    "a name with a hash": ("#chrom\tpos\nc1\t1\nc2\t2\n", {"#chrom": ["c1", "c2"], "pos": [1, 2]}),
    "Ctrl-Z": ("a,b\n1,2\n3,4\n\x1a", {"a": [1, 3], "b": [2, 4]}),
    "Ctrl-Z in one column": ("a\n1\n2\r\n\x1a", {"a": [1, 2]}),
    "a delimiter at the end of rows": ("a,b\n1,2,\n3,4,\n", {"a": [1, 3], "b": [2, 4]}),
    "names of rows": ('"","mpg"\n"Mazda RX4",21\n"Datsun",22.8\n', {"row_name": ["Mazda RX4", "Datsun"]}),
    "a header one short": ("mpg,cyl\nMazda,21,6\nDatsun,22.8,4\n", {"row_name": ["Mazda", "Datsun"]}),
    "a header one short, blanks": ('mpg cyl\n"Mazda RX4" 21 6\n"Datsun" 22 4\n', {"row_name": ["Mazda RX4", "Datsun"]}),
    "blanks behind a quote at the end": ('x,"y"  \n1,2\n3,4\n', {"x": [1, 3], "y": [2, 4]}),
    "a quote behind a blank": ('x, y\n1, "c"\n2, "d, e"\n', {"x": [1, 2], "y": ["c", "d, e"]}),
    "an escaped quote": ('x,y\n"a\\"b",1\n"c",2\n', {"x": ['a"b', "c"], "y": [1, 2]}),
    "escaped quotes and backslashes": ('x,y\n"a\\"b\\\\",1\n"c, d",2\n', {"x": ['a"b\\', "c, d"]}),
    "an escaped quote beside lone backslashes": ('x,y\n"a\\"b",1\n"C:\\\\x\\d",2\n', {"x": ['a"b', "C:\\\\x\\d"]}),
    "an escaped delimiter": ("x,y\na\\,b,1\nc,2\nd,3\n", {"x": ["a,b", "c", "d"]}),
    "single quotes": ("x,y\n1,'a,b'\n2,'it''s'\n", {"y": ["a,b", "it's"]}),
    "blanks behind delimiters": (
        "5.1, 3.5, Iris-setosa\n4.9, 3.0, Iris-setosa\n7.0, 3.2, Iris-versicolor\n6.3, 3.3, NA\n5.9, 3.0, \n",
        {"V1": [5.1, 4.9, 7.0, 6.3, 5.9], "V3": ["Iris-setosa", "Iris-setosa", "Iris-versicolor", None, None]},
    ),
    "blanks before names": ("a, b c\n1, x y\n2, z\n", {"a": [1, 2], "b c": ["x y", "z"]}),
    "names above countries": (
        "Country,Group,ID\n" + "".join(f"{name},{'South' if name < 'K' else 'North'},{name[:2].upper()}\n" for name in (
            "Angola", "Benin", "Chad", "Gabon", "Idaho", "Kenya", "Libya", "Mali", "Niger")),
        {"ID": ["AN", "BE", "CH", "GA", "ID", "KE", "LI", "MA", "NI"]},
    ),
    "a name above codes": ("image\n" + "scan-1.png\nscan-20.png\n" * 4, {"image": ["scan-1.png", "scan-20.png"] * 4}),
    "header-less times": (
        "".join(f"{'Sat' if day % 2 else 'Sun'}, {day} Apr 2017 15:11:58\n" for day in range(11, 21)),
        {"V2": [f"{day} Apr 2017 15:11:58" for day in range(11, 21)]},
    ),
    "header-less falling numbers": (
        "5.1,3.5,1.4,0.2,0\n4.9,3.0,1.4,0.2,0\n7.0,3.2,4.7,1.4,1\n6.3,3.6,6.0,2.5,2\n4.7,3.2,1.3,0.2,0\n",
        {"V1": [5.1, 4.9, 7.0, 6.3, 4.7], "V5": [0, 0, 1, 2, 0]},
    ),
    "header-less negative numbers": (
        "1.14,-0.114,-1.0\n-1.52,-1.15,1.0\n-1.05,0.72,-1.0\n1.5,0.397,1.0\n1.2,-3.0,-1.0\n",
        {"V3": [-1, 1, -1, 1, -1]},
    ),
    "comments with bars": ("|1x3 Cross validator\n1, a, 3\n2, b, 4\n3, a, 5\n", {"V2": ["a", "b", "a"]}),
    "blanks and tabs": (
        "STATE\tEXEC  INCOME\nTexas    37\t 34453\nVirginia\t 9   41534\nOhio\t1\t20\n",
        {"STATE": ["Texas", "Virginia", "Ohio"], "EXEC": [37, 9, 1]},
    ),
    "types and flags of Orange": (
        "y\tlevel\tid\nd\tc\tstring\nclass\t\tmeta\na\t1.5\tp1\nb\t2.5\tp2\n",
        {"y": ["a", "b"], "level": [1.5, 2.5], "id": ["p1", "p2"]},
    ),
    "types of Orange, no flags": ("id\tstate\nd\ts\n\n1\tUK\n2\tRussia\n", {"id": [1, 2], "state": ["UK", "Russia"]}),
    "a null of databases": ("a,b\n1,x\n\\N,\\N\n3,y\n", {"a": [1, None, 3], "b": ["x", None, "y"]}),
    "texts in quotes, blanks between them": (
        '"a" "b"\n' + '"p q" "x"\n"r" "y z"\n' * 4, {"a": ["p q", "r"] * 4, "b": ["x", "y z"] * 4},
    ),
    "numbers with blanks, a tab, a name": (
        "".join(f"{n}.0   8   307.0      130.0  1\t\"chevrolet {n}\"\n" for n in range(9)),
        {"V1": list(range(9)), "V6": [f"chevrolet {n}" for n in range(9)]},
    ),
    "numbers of columns, numbers of rows": (",0,1\n0,7,a\n1,3,b\n2,5,a\n3,1,b\n", {"0": [7, 3, 5, 1]}),
    "header-less, the first value missing": (
        ",3.5,a\n1.5,0.1,a\n2.5,7.1,b\n0.5,4.1,a\n2.5,2.1,b\n", {"V1": [None, 1.5, 2.5, 0.5, 2.5], "V3": list("aabab")},
    ),
    "a row of two lines that begins like a comment": (
        'a,b,n\n%,"x\ny",1\nz,w,2\nz,v,3\nz,u,4\n', {"a": ["%", "z", "z", "z"], "b": ["x\ny", "w", "v", "u"]},
    ),
    "a mark of inches": ('x,y\n1,5" pipe\n2,q\n', {"y": ['5" pipe', "q"]}),
}  # fmt: skip


@pytest.mark.parametrize("name", SURE)
def test_a_dialect_when_certain_then_read_as_meant_and_without_a_question(
    converter: Converter, name: str
) -> None:
    content, wanted = SURE[name]
    found = table_of(converter, content)
    assert {column: found.get(column) for column in wanted} == wanted
    assert doubts_of(converter, content) == []


DOUBTFUL: dict[str, tuple[str, str, dict[str, list[Any]]]] = {
    "sentences": ("text\nhello world\nfoo bar\n", "delimiter", {"text": ["hello world", "foo bar"]}),
    "sentences with commas": ("review\nGood, nice\nBad, ugly\n", "delimiter", {"review": ["Good, nice", "Bad, ugly"]}),
    "counts and labels": (
        "4,3,malignant,benign,other\n" + "17.9,10.3,122.8\n20.5,17.7,132.9\n11.4,20.3,77.5\n20.2,14.3,135.1\n",
        "skip_lines", {"V1": [17.9, 20.5, 11.4, 20.2]},
    ),
    "counts above names": ('10,2\n"id","z"\n1,2.24\n2,3.1\n3,4.5\n', "skip_lines", {"z": [2.24, 3.1, 4.5]}),
    "a number above the same, a text above a time": ("0,low\n0,12:30\n", "header", {}),
    "a text as below, and one above a time": ("low,low\nlow,12:30\n", "header", {}),
    "names or values": ("John,Smith\nJane,Doe\nAnn,Lee\n", "header", {"John": ["Jane", "Ann"]}),
    "spectrum or values": ("400.5,401.0,402.5\n.1,.3,.2\n.5,.2,.3\n", "header", {"400.5": [0.1, 0.5]}),
    "backslashes in pairs": ("x,y\n1,a\\\\b\n2,x\n", "escape", {"y": ["a\\\\b", "x"]}),
    "two delimiters": ("a;b,c\nx;y,z\np;q,r\n", "delimiter", {}),
    "a title with a comma": ("Sales, 2024\nx,y,z\n1,a,4\n2,b,5\n3,c,6\n4,d,7\n", "skip_lines", {}),
    "a word above words": ("text\n" + "hello you 1\nbye me 2\n" * 3, "delimiter", {}),
    "columns of fixed width": (
        "id    full name  n\n1     New York   5\n2     Old Town   7\n3     Big Rock   8\n", "delimiter", {},
    ),
    "colons between decimal commas and words": ("a:b:c\n1,5:x:2,0\n2,5:y:3,5\n3,5:z:4,5\n", "delimiter", {}),
    "texts with a comma": ("id,name\n1,Doe, Jane\n2,Roe, Ann\n3,Poe, Ed\n", "row_names", {}),
    "numbers with a comma": ("name,level\nOuse,1,5\nAire,2,25\nNidd,3,0\n", "row_names", {}),
    "an unusual delimiter": ("id^name\n1^a\n2^b\n3^c\n", "delimiter", {"id^name": ["1^a", "2^b", "3^c"]}),
    "a control character": ("id\x01name\n1\x01a\n2\x01b\n3\x01c\n", "delimiter", {}),
    "whole lines in quotes": ('"id,name"\n"1,a"\n"2,b"\n"3,c"\n', "delimiter", {"id,name": ["1,a", "2,b", "3,c"]}),
    "points below a thousand": (
        "id;level\nr1;1.200\nr2;12.500\nr3;950\nr4;0\n", "thousands", {"level": [1.2, 12.5, 950, 0]},
    ),
    "comments as wide as rows": ("#a,b\n#c,d\n1,2\n3,4\n", "comment", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_dialect_when_it_may_be_another_then_asked(converter: Converter, name: str) -> None:
    content, field, wanted = DOUBTFUL[name]
    found = table_of(converter, content)
    assert {column: found.get(column) for column in wanted} == wanted
    with pytest.raises(TabularError) as caught:
        converter(content, refuse_doubts=True)
    assert caught.value.slug == "unsure-reading"
    assert caught.value.choices is not None
    assert field in caught.value.choices
    for choice in caught.value.choices[field]:
        assert field not in doubts_of(converter, content, **{field: choice})


@pytest.mark.parametrize(
    ("content", "reading", "wanted"),
    [
        ("T\n1,2\n3,4\n", {"header": False, "skip_lines": 1}, {"V1": [1, 3], "V2": [2, 4]}),
        ("1990,1991,1992\n5,2,7\n", {"header": False}, {"V1": [1990, 5]}),
        ("text\nhello world\nfoo bar\n", {"delimiter": " "}, {"text": ["world", "bar"]}),
        ("a,b\n", {"header": False}, {"V1": ["a"], "V2": ["b"]}),
        ('x,y\n1,"q"\n', {"quote": ""}, {"y": ['"q"']}),
        ("x,y\n1,'q'\n", {"quote": '"'}, {"y": ["'q'"]}),
        ("x,y\n1,a\\\\b\n", {"escape": "backslash"}, {"y": ["a\\b"]}),
        ("#x,y\n1,2\n", {"comment": ""}, {"#x": [1]}),
        ("x,y\n;c\n1,2\n", {"comment": ";"}, {"x": [1]}),
        ("x~y\n1~2\n", {"delimiter": "~"}, {"x": [1], "y": [2]}),
        ("x\u00a7y\n1\u00a72\n", {"delimiter": "\u00a7"}, {"x": [1], "y": [2]}),
    ],
)
def test_a_choice_when_made_then_it_holds_and_is_reported_as_the_owners(
    converter: Converter, content: str, reading: dict[str, Any], wanted: dict[str, list[Any]]
) -> None:
    found = table_of(converter, content, **reading)
    assert {column: found.get(column) for column in wanted} == wanted
    reported = converter(content, reading=Reading(**reading)).conversion.reading
    for field, value in reading.items():
        assert (reported[field]["value"], reported[field]["by"]) == (value, "owner")


@pytest.mark.long
@pytest.mark.parametrize("content", ['x,y\n1,"abc"def\n2,"g"\n', 'x,y\n1,""a\n', 'x,y\n1,"a"""b\n'])
@pytest.mark.parametrize("far", [0, 200_000])
def test_something_beside_quotes_when_anywhere_then_refused_with_the_row(
    converter: Converter, content: str, far: int
) -> None:
    header, rest = content.split("\n", 1)
    with pytest.raises(TabularError) as caught:
        converter(header + "\n" + '0,"q"\n' * far + rest)
    assert (caught.value.slug, caught.value.row) == ("misquoted-cell", far + 1)
    assert caught.value.choices == {"quote": [""]}


def test_something_beside_quotes_when_there_is_a_backslash_then_another_escape_is_offered(
    converter: Converter,
) -> None:
    with pytest.raises(TabularError) as caught:
        converter('x,y\n"a\\"b",1\n"c"d,2\n', reading=Reading(escape="double"))
    assert caught.value.choices == {"quote": [""], "escape": ["backslash"]}
    assert "`escape` is backslash" in str(caught.value)


@pytest.mark.long
def test_a_header_when_longer_than_a_block_then_read(converter: Converter) -> None:
    names = [f"{'n' * 50}{number}" for number in range(50_000)]
    done = converter(",".join(names) + "\n" + ",".join("1" * 50_000) + "\n")
    assert len(done.conversion.columns) == 50_000
    long = converter("a," + "b" * 3_000_000 + "\n1,2\n")
    assert [column.name for column in long.conversion.columns] == ["a", "b" * 64]


@pytest.mark.every(5)
@pytest.mark.parametrize("name", [*SURE, *DOUBTFUL])
def test_a_dialect_when_previewed_then_it_is_read_as_it_will_be_published(tmp_path: Path, name: str) -> None:
    source = tmp_path / "in.csv"
    content = (SURE[name] if name in SURE else DOUBTFUL[name])[0]
    source.write_text(content, newline="")
    request = ConversionRequest(source, tmp_path / "out", "csv", "table")
    done = convert(request)
    profile(replace(request, target=tmp_path / "profile"))
    page = read_profile(tmp_path / "profile")
    assert page.table["reading"] == done.reading
    assert page.table["warnings"] == list(done.warnings)
    assert [repair["change"] for repair in page.table["repairs"]] == [
        repair.change for repair in done.repairs
    ]
    assert [(column["name"], column["type"], column["missing"]) for column in page.columns] == [
        (column.name, column.kind, column.missing) for column in done.columns
    ]


def test_a_reading_when_it_is_in_doubt_and_a_column_unknown_then_the_doubt_is_told(tmp_path: Path) -> None:
    content = "".join(f"tree {number},{['dry', 'wet'][number % 2]}\n" for number in range(30))
    source = tmp_path / "in"
    source.write_text(content)
    request = ConversionRequest(
        source=source,
        target=tmp_path / "out",
        format="csv",
        relation="t",
        target_attributes=("V2",),
        refuse_doubts=True,
    )

    with pytest.raises(TabularError) as refused:
        convert(request)
    assert (refused.value.slug, refused.value.choices) == ("unsure-reading", {"header": [True, False]})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
@pytest.mark.parametrize(
    ("content", "kind", "row", "line"),
    [
        ("é,y\n1,2\ninf,3\n", "csv.gz", 2, 3),
        ("# c\n\né,y\n1,2\n3\n", "csv.gz", 2, 5),
        ("é\ty\n1\t2\n3\n", "tsv.gz", 2, 3),
        ('é,y\n1,"a\\"b"\n2,"c\n3,4\n', "csv.gz", 2, 3),
    ],
)
def test_a_packed_file_when_a_row_is_refused_then_its_line_is_named(  # noqa: PLR0917 - a table's columns
    converter: Converter, content: str, kind: str, row: int, line: int, encoding: str
) -> None:
    with pytest.raises(TabularError) as caught:
        converter(gzip.compress(content.encode(encoding)), kind=kind)
    assert (caught.value.row, caught.value.line) == (row, line)


def test_all_lines_when_skipped_then_refused_with_the_choice(converter: Converter) -> None:
    with pytest.raises(TabularError) as caught:
        converter("a,b\n1,2\n", reading=Reading(skip_lines=100))
    assert (caught.value.slug, caught.value.choices) == ("empty-file", {"skip_lines": [0]})


def test_blanks_when_each_text_begins_with_one_then_left_out_and_told(converter: Converter) -> None:
    done = converter("n, s\n" + "1, x\n" * 600).conversion
    assert any("'s'" in repair.change and "began with one" in repair.change for repair in done.repairs)
    assert converter("n, s\n1, x\n2, y\n", attributes={"s": "string"})["s"][1] == [" x", " y"]


@pytest.mark.long
@pytest.mark.parametrize("far", [1, 200_000])
def test_blanks_when_only_some_texts_begin_with_one_then_kept_and_told(
    converter: Converter, far: int
) -> None:
    done = converter("n,s\n" + "1, x\n" * far + "2,y\n")
    assert done["s"][1] == [" x"] * far + ["y"]
    assert any("begin with a blank" in each for each in done.conversion.warnings)
    assert not done.conversion.repairs


@pytest.mark.long
@pytest.mark.parametrize("far", [2, 300_000])
@pytest.mark.parametrize(
    ("row", "field", "shown"),
    [('3,"NA"\n', "quoted_missing", "'NA'"), ("3,a\\\\b\n", "escape", "a\\\\")],
)
def test_a_sign_when_only_a_late_row_shows_it_then_asked_and_the_choice_settles_it(
    converter: Converter, far: int, row: str, field: str, shown: str
) -> None:
    content = "n,s\n" + "1,low\n" * far + row + "2,high\n" * far
    if far > 2 or field == "escape":
        with pytest.raises(TabularError) as caught:
            converter(content, refuse_doubts=True)
        assert list(caught.value.choices or ()) == [field]
        assert shown in caught.value.message
        for choice in (caught.value.choices or {})[field]:
            assert doubts_of(converter, content, **{field: choice}) == []
    else:
        assert table_of(converter, content)["s"] == ["low", "low", "NA", "high", "high"]


def test_a_null_of_databases_or_a_lone_backslash_when_late_then_no_question(converter: Converter) -> None:
    content = "n,s\n" + "1,low\n" * 300_000 + "3,\\N\n"
    assert doubts_of(converter, content) == []
    assert doubts_of(converter, content + "4,C:\\dir\n5,a\\\\b\n") == []


@pytest.mark.parametrize("rows", ["d\tc\nc\tc\nc\td\nd\td\n", "d\tc\n\nc\td\nd\tc\nd\td\n"])
def test_letters_when_they_are_values_then_not_taken_for_types_of_orange(
    converter: Converter, rows: str
) -> None:
    done = converter("x\ty\n" + rows)
    assert done.conversion.rows == 4
    assert not done.conversion.repairs
