"""Numbers as people write them, and words that mean no value: read where it is certain, else told or asked."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.tabular import ConversionRequest, TabularError, read_profile
from app.tabular.convert import convert
from app.tabular.profile.run import profile
from app.tabular.reading import Reading
from app.tabular.schema.numbers import Notation, Shown, are_simple, find_notation, shown_by, unsigned

Converter = Callable[..., Any]
NBSP, NARROW = "\u00a0", "\u202f"


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (["1,5", "2"], (",", "")),
        (["1.5", "2"], (".", "")),
        (["1,200", "3,400"], ("", "")),
        (["1.200", "3.400"], ("", "")),
        (["1,200", "5,1"], (",", "")),
        (["1,234,567", "5"], ("", ",")),
        (["1.234,5", "2"], (",", ".")),
        (["1,200.5"], (".", ",")),
        (["1 200", "300"], ("", " ")),
        ([f"1{NBSP}200,5"], (",", " ")),
        (["1'200"], ("", "'")),
        (["5", "6"], ("", "")),
    ],
)
def test_numbers_of_a_column_when_read_then_marks_that_are_certain_are_shown(
    values: list[str], shown: tuple[str, str]
) -> None:
    assert shown_by(values) == Shown(*shown)


def test_a_column_when_it_has_other_values_then_it_shows_nothing() -> None:
    assert shown_by(["1,5", "x"]) is None
    assert shown_by(["0,", "7,"]) is None
    assert shown_by(["0,", "1,5"]) == (",", "")
    assert find_notation([["1,5"], ["2.5"]]) == Notation()
    assert find_notation([["1,5"], ["x"], ["1.234.567"]]) == Notation(",", ".")


@pytest.mark.parametrize(
    ("text", "number", "signs"),
    [
        ("$1200", "1200", {"$"}),
        ("5%", "5", {"%"}),
        ("(1200)", "-1200", {"()"}),
        ("\u22123", "-3", {"\u2212"}),
        ("(\u20ac 1,200.50)", "-1200.50", {"\u20ac", "()"}),
        ("-$5", "-5", {"$"}),
        ("1,200 \u20ac", "1200", {"\u20ac"}),
    ],
)
def test_signs_when_around_a_number_then_taken_off(text: str, number: str, signs: set[str]) -> None:
    found = unsigned(text, Notation(".", ","))
    assert found is not None
    assert (found.number, set(found.signs)) == (number, signs)


@pytest.mark.parametrize("text", ["1200", "(-5)", "$5%", "<5", "5 kg", "(5", "--5", "$", "1,20%"])
def test_a_text_when_it_is_no_number_with_signs_then_none(text: str) -> None:
    assert unsigned(text, Notation(".", ",")) is None


@pytest.mark.parametrize(
    ("content", "kind", "written"),
    [
        ("x;y\n1,5;2,5\n3,25;4,0\n", "real", ["1.5", "3.25"]),
        ("x;y\n1.234,5;a\n-2,5;b\n", "real", ["1234.5", "-2.5"]),
        ("x;y\n1.234.567;a\n20;b\n", "integer", ["1234567", "20"]),
        ("x;y\n1 200;a\n300;b\n", "integer", ["1200", "300"]),
        (f"x;y\n1{NBSP}200,5;a\n1{NARROW}300;b\n", "real", ["1200.5", "1300"]),
        ("x;y\n1'200;a\n300;b\n", "integer", ["1200", "300"]),
        ("x;y\n1\u2019200.5;a\n300;b\n", "real", ["1200.5", "300"]),
        ('x,y\n"1,200.5",a\n300,b\n', "real", ["1200.5", "300"]),
        ("x;y\n1,5;a\n 2,5 ;b\n", "real", ["1.5", "2.5"]),
    ],
)
def test_marks_when_whole_columns_agree_then_numbers_are_published(
    converter: Converter, content: str, kind: str, written: list[str]
) -> None:
    done = converter(content)
    assert done.conversion.columns[0].kind == kind
    assert [row.split(",")[0] for row in done.rows] == written
    assert not done.conversion.doubts


@pytest.mark.parametrize(
    ("reading", "kind", "written"),
    [
        ({}, "string", ['"1', '"3']),
        ({"thousands": ","}, "integer", ["1200", "3400"]),
        ({"decimal": ","}, "real", ["1.200", "3.400"]),
    ],
)
def test_a_mark_when_it_may_be_two_things_then_text_until_its_owner_says(
    converter: Converter, reading: dict[str, Any], kind: str, written: list[str]
) -> None:
    done = converter('x,y\n"1,200",2\n"3,400",4\n', reading=Reading(**reading))
    assert done.conversion.columns[0].kind == kind
    assert [row.split(",")[0] for row in done.rows] == written
    assert any("`thousands`" in each for each in done.conversion.warnings) == (not reading)


def test_points_when_semicolons_separate_and_each_has_three_digits_then_asked(converter: Converter) -> None:
    content = "x;y\n1.200;a\n3.400;b\n"
    with pytest.raises(TabularError) as caught:
        converter(content, refuse_doubts=True)
    assert caught.value.choices == {"thousands": ["", "."]}
    assert converter(content, reading=Reading(thousands="."), refuse_doubts=True)["x"][1] == [1200, 3400]
    assert converter(content, reading=Reading(thousands=""), refuse_doubts=True)["x"][1] == [1.2, 3.4]
    assert converter("x;y;z\n1.200;a;.5\n3.400;b;2.25\n", refuse_doubts=True)["x"][1] == [1.2, 3.4]


@pytest.mark.parametrize("odd", [["*"], ["#DIV/0!", "-", "<0.5"], ["."], ["n/d"], ["foo", "foo"]])
def test_a_few_odd_cells_when_among_numbers_then_told_with_their_count_and_the_remedy(
    converter: Converter, odd: list[str]
) -> None:
    cells = [*(f"{number}.5" for number in range(97)), *odd]
    content = "level,y\n" + "".join(f"{cell},k\n" for cell in cells)
    done = converter(content)
    assert done.conversion.columns[0].kind == "string"
    (warning,) = [each for each in done.conversion.warnings if "'level'" in each]
    for text in odd:
        assert f"{text!r} ({odd.count(text)} cell" in warning
    assert "row 98" in warning
    assert "`missing`" in warning
    again = converter(content, reading=Reading(missing=tuple(odd)))
    assert (again.conversion.columns[0].kind, again.conversion.columns[0].missing) == ("real", len(odd))


def test_odd_cells_when_they_come_late_or_are_many_then_a_remark_or_none(converter: Converter) -> None:
    late = converter("x,y\n" + "1,a\n" * 400_000 + "*,b\n")
    assert any("'*' (1 cell)" in each for each in late.conversion.warnings)
    many = converter("x,y\n1,a\n" + "".join(f"t{number},b\n" for number in range(20)))
    assert not any("'x'" in each for each in many.conversion.warnings)


def test_signs_when_a_column_is_declared_to_hold_numbers_then_left_out_and_reported(
    converter: Converter,
) -> None:
    content = "p,q,r\n$1200,5%,(12.5)\n$3400,7%,\u22123\n"
    assert [column.kind for column in converter(content).conversion.columns] == ["string"] * 3
    done = converter(content, attributes={"p": "integer", "q": "real", "r": "real"})
    assert done.rows == ["1200,5,-12.5", "3400,7,-3"]
    assert [repair.column for repair in done.conversion.repairs] == ["p", "q", "r", "r"]
    remarks = [
        each for each in converter(content).conversion.warnings if "'real'" in each or '"real"' in each
    ]
    assert len(remarks) == 3


@pytest.mark.parametrize("cells", [["5%", "0.07"], ["$5", "\u20ac7"]])
def test_signs_when_only_some_values_have_them_then_refused(converter: Converter, cells: list[str]) -> None:
    content = "x,y\n" + "".join(f"{cell},a\n" for cell in cells)
    with pytest.raises(TabularError) as caught:
        converter(content, attributes={"x": "real"})
    assert (caught.value.slug, caught.value.column) == ("value-does-not-fit", "x")


@pytest.mark.parametrize("attributes", [{}, {"x": "real"}])
def test_a_number_when_its_square_overflows_then_told_before_it_is_published(
    converter: Converter, attributes: dict[str, str]
) -> None:
    done = converter("x,c\n1.35e154,p\n1,q\n", target_attributes=("c",), attributes=attributes)
    (warning,) = done.conversion.warnings
    assert "'x'" in warning
    assert "row 1" in warning
    assert converter("x,c\n1.34e154,p\n1,q\n", target_attributes=("c",)).conversion.warnings == ()


@pytest.mark.parametrize(
    ("content", "values"),
    [
        ('"x","y"\n1,"None"\n2,"Some"\n3,"None"\n4,NA\n', ["None", "Some", "None", None]),
        ('x,y\n1,"NA"\n2,b\n3,NA\n', ["NA", "b", None]),
        ('"x","y"\n"1","NA"\n"2","b"\n', [None, "b"]),
        ("x,y\n1,NA\n2,b\n", [None, "b"]),
    ],
)
def test_a_word_in_quotes_when_the_file_tells_them_apart_then_it_is_a_value(
    converter: Converter, content: str, values: list[str | None]
) -> None:
    done = converter(content)
    assert done["y"][1] == values
    assert done.conversion.columns[0].kind == "integer"
    assert not done.conversion.doubts


@pytest.mark.parametrize(
    ("quoted_missing", "values"), [(True, [None, "Some", None]), (False, ["None", "Some", None])]
)
def test_words_in_quotes_when_their_owner_chooses_then_so(
    converter: Converter, quoted_missing: Any, values: list[str | None]
) -> None:
    done = converter('"x","y"\n1,"None"\n2,"Some"\n3,NA\n', reading=Reading(quoted_missing=quoted_missing))
    assert done["y"][1] == values


def test_a_word_when_it_is_a_frequent_category_then_asked(converter: Converter) -> None:
    content = "x,y\n1,None\n2,Some\n3,Marked\n4,None\n5,NA\n"
    with pytest.raises(TabularError) as caught:
        converter(content, refuse_doubts=True, target_attributes=("y",))
    assert caught.value.slug == "unsure-reading"
    assert "2 cells with 'None'" in caught.value.message
    assert caught.value.choices is not None
    kept, lost = caught.value.choices["missing"]
    for words, values in (
        (kept, ["None", "Some", "Marked", "None", None]),
        (lost, [None, "Some", "Marked", None, None]),
    ):
        done = converter(content, refuse_doubts=True, reading=Reading(missing=tuple(words)))
        assert done["y"][1] == values
    assert not converter(content, attributes={"y": "string"}).conversion.doubts


@pytest.mark.parametrize(
    ("content", "attributes", "reading"),
    [
        ("x;y\n1,5;a\n2,25;NA\n;b\n", {}, {}),
        ("x;y\n1 200,5;a\n-3;b\n", {}, {}),
        ("p,q\n$1200,5%\n$3400,7%\n", {"p": "integer", "q": "real"}, {}),
        ('x,y\n"1,200",2\n"3,400",4\n', {}, {"thousands": ","}),
        ("x,y\n1,a\n*,b\nNA,c\n", {}, {"missing": ("*",)}),
        ('"x","y"\n1,"None"\n2,"Some"\n3,NA\n', {}, {}),
        ("x,y\n1,a\n2,b\n*,c\n4,d\n", {}, {}),
    ],
)
def test_numbers_when_previewed_then_those_that_will_be_published(
    tmp_path: Path, content: str, attributes: dict[str, str], reading: dict[str, Any]
) -> None:
    source = tmp_path / "in.csv"
    source.write_text(content, encoding="utf-8")
    request = ConversionRequest(
        source, tmp_path / "out", "csv", "t", attributes=attributes, reading=Reading(**reading)
    )
    done = convert(request)
    profile(replace(request, target=tmp_path / "profile"))
    page = read_profile(tmp_path / "profile")
    assert page.table["reading"] == done.reading
    assert page.table["warnings"] == list(done.warnings)
    assert page.table["repairs"] == [
        {"column": each.column, "change": each.change, "reason": each.reason} for each in done.repairs
    ]
    rows = (tmp_path / "out").read_text(encoding="utf-8").split("@DATA\n")[1].replace('"', "").splitlines()
    shown = [",".join("?" if cell is None else cell for cell in row) for row in page.table["first_rows"]]
    assert shown == rows
    assert [(each["name"], each["type"], each["missing"]) for each in page.columns] == [
        (each.name, each.kind, each.missing) for each in done.columns
    ]


@pytest.mark.parametrize("declared", [{}, {"y": "nominal"}])
def test_a_word_when_it_is_a_frequent_category_in_late_rows_only_then_asked(
    converter: Converter, declared: dict[str, Any]
) -> None:
    content = "x,y\n" + "1,Brick\n2,Stone\n" * 2000 + "3,None\n" * 150
    with pytest.raises(TabularError) as caught:
        converter(content, attributes=declared, refuse_doubts=True)
    assert "150 cells with 'None'" in caught.value.message
    assert list(caught.value.choices or ()) == ["missing"]


def test_a_decimal_mark_when_late_rows_contradict_it_then_asked(converter: Converter) -> None:
    content = "x;y\n" + "1,5;1,200\n2,25;3,400\n" * 500 + "3,5;1,200,000\n"
    with pytest.raises(TabularError) as caught:
        converter(content, refuse_doubts=True)
    assert "'1,200,000' in row 1001" in caught.value.message
    assert caught.value.choices == {"decimal": [",", "."]}
    sure = converter(content.replace("1,200,000", "1,2"), refuse_doubts=True)
    assert sure["y"][1][-1] == 1.2


@pytest.mark.parametrize("cell", ['="{}"', '"=""{}"""'])
def test_texts_when_written_as_formulas_then_published_as_they_stand_and_told(
    converter: Converter, cell: str
) -> None:
    rows = [f"{cell.format(code)},{code[-1]}\n" for code in ("007", "012", "113")]
    done = converter("code,n\n" + "".join(rows))
    assert done["code"][1] == ['="007"', '="012"', '="113"']
    assert any("spreadsheet shows as '007'" in text for text in done.conversion.warnings)


@given(
    st.lists(
        st.none() | st.integers(-1, 10**16).map(str) | st.text("01.,+-e\u0663 ", max_size=17), max_size=8
    ),
    st.sampled_from([Notation(), Notation(",", "."), Notation(".", " ")]),
)
@example(["0", "7", "123456789012345", None, "10"], Notation())
@example(["00", "1"], Notation())
@example([*["1"] * 20, "01"], Notation())
@example([*["1"] * 20, "1234567890123456"], Notation())
def test_simple_numbers_when_they_are_digits_then_as_the_pattern_has_them(
    texts: list[str | None], notation: Notation
) -> None:
    cells = pa.array(texts, pa.string())

    for pattern in (notation.integer_pattern, notation.number_pattern):
        assert are_simple(cells, pattern).equals(pc.match_substring_regex(cells, pattern))
