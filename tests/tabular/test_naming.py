"""What OpenML would stick on is repaired if there is one safe way, and told; or refused if the owner wants it so."""

from collections.abc import Callable
from typing import Any

import arff
import pytest

from app.tabular import TabularError

Converter = Callable[..., Any]


def refusal(converter: Converter, content: str, **fields: Any) -> TabularError:
    with pytest.raises(TabularError) as caught:
        converter(content, **fields)
    return caught.value


def csv_of(names: list[str]) -> str:
    quoted = ('"' + name.replace('"', '""') + '"' for name in names)
    return ",".join(quoted) + "\n" + ",".join("1" for _ in names) + "\n"


@pytest.mark.parametrize(
    ("names", "published"),
    [
        (["a", "b "], ["a", "b"]),
        ([" a", "\u00a0b\t"], ["a", "b"]),
        (["Größe", "Straße"], ["Grosse", "Strasse"]),
        (["café", "œuvre", "Łódź", "naïve"], ["cafe", "oeuvre", "Lodz", "naive"]),
        (["年齢", "\U0001f600"], ["u5E74u9F62", "u1F600"]),
        (["½", "x²", "5 µm", "20 °C"], ["u00BD", "x2", "5 um", "20 degC"]),
        (["it's", 'say "x"', "back\\slash"], ["it_s", "say _x_", "back_slash"]),
        (["two\nlines", "tab\there"], ["two lines", "tab here"]),
        (["x" * 70, "y"], ["x" * 64, "y"]),
        (["x" * 70, "x" * 71], ["x" * 64, "x" * 62 + ".1"]),
        (["a", "a", "a"], ["a", "a.1", "a.2"]),
        (["a", "a", "a.1"], ["a", "a.2", "a.1"]),
        (["a", "a "], ["a", "a.1"]),
        (["é", "e"], ["e", "e.1"]),
    ],
)
def test_names_when_openml_cannot_take_them_then_changed_and_reported(
    converter: Converter, names: list[str], published: list[str]
) -> None:
    done = converter(csv_of(names))
    assert [column.name for column in done.conversion.columns] == published
    assert [name for name, _ in arff.loads(done.text)["attributes"]] == published
    changed = [new for old, new in zip(names, published, strict=True) if old != new]
    assert [repair.column for repair in done.conversion.repairs] == changed
    assert refusal(converter, csv_of(names), repair=False).slug in {"bad-column-name", "duplicate-column"}


def test_names_when_openml_takes_them_then_none_is_changed(converter: Converter) -> None:
    names = ["a", "A", "my column", "x%", "{y}", "a,b", "x" * 64, "u5E74"]
    done = converter(csv_of(names))
    assert [column.name for column in done.conversion.columns] == names
    assert done.conversion.repairs == ()


@pytest.mark.parametrize("asked", ["Größe [cm]", "Grosse [cm]", "Grosse__cm_"])
def test_a_column_when_it_has_a_role_then_its_name_fits_and_either_name_will_do(
    converter: Converter, asked: str
) -> None:
    content = 'Größe [cm],"a,b",id no\n1,2,3\n'
    done = converter(
        content, target_attributes=(asked,), ignore_attributes=("a,b",), row_id_attribute="id no"
    )
    conversion = done.conversion
    assert conversion.target_attributes == ("Grosse__cm_",)
    assert conversion.ignore_attributes == ("a_b",)
    assert conversion.row_id_attribute == "id_no"
    assert [column.name for column in conversion.columns] == ["Grosse__cm_", "a_b", "id_no"]
    with pytest.raises(TabularError, match="letters"):
        converter("my col,b\n1,2\n", target_attributes=("my col",), repair=False)


def test_a_declared_type_when_under_the_name_in_the_file_then_it_is_found(converter: Converter) -> None:
    done = converter("Größe ,b\n1,2\n", attributes={"Größe ": "string", "b": "real"})
    assert [column.kind for column in done.conversion.columns] == ["string", "real"]


def test_a_name_when_misspelt_then_both_kinds_of_names_are_offered(converter: Converter) -> None:
    error = refusal(converter, "Größe,b\n1,2\n", target_attributes=("größe",))
    assert (error.slug, error.hint) == ("unknown-column", "Did you mean 'Größe'?")


def test_many_names_when_changed_then_the_list_ends(converter: Converter) -> None:
    done = converter(csv_of([f"é{number}" for number in range(300)]))
    assert len(done.conversion.repairs) == 101
    assert "200 more" in done.conversion.repairs[-1].change


@pytest.mark.parametrize("first", [0, 1])
def test_a_row_index_when_pandas_or_r_wrote_it_then_left_out_and_reported(
    converter: Converter, first: int
) -> None:
    rows = "".join(f'"{first + number}",x\n' for number in range(300_000))
    done = converter('"",a\n' + rows)
    assert done.rows == ["x"] * 300_000
    assert len(done.conversion.repairs) == 1
    assert refusal(converter, '"",a\n' + rows[:20], repair=False).slug == "bad-column-name"


@pytest.mark.parametrize("rows", ["0,x\n2,y\n", "a,x\n", "1,x\n,y\n", "2,x\n3,y\n"])
def test_an_unnamed_column_when_it_holds_something_else_then_refused(converter: Converter, rows: str) -> None:
    assert refusal(converter, ",a\n" + rows).slug == "bad-column-name"


def test_a_delimiter_when_at_the_end_of_each_row_then_the_empty_column_is_left_out(
    converter: Converter,
) -> None:
    done = converter("a,b,\n1,x,\n2,y,\n")
    assert done.rows == ["1,x", "2,y"]
    assert len(done.conversion.repairs) == 1
    error = refusal(converter, "a,b,\n1,x,\n2,y,z\n")
    assert error.slug == "bad-column-name"
    assert "Column 3" in error.message
    assert refusal(converter, "a,b,\n1,x,\n", repair=False).slug == "bad-column-name"


def test_labels_when_with_blanks_around_then_trimmed_and_reported(converter: Converter) -> None:
    done = converter("a, c\n1, yes\n2, no \n3, \n", target_attributes=(" c",))
    assert done["c"] == (["no", "yes"], ["yes", "no", None])
    assert [repair.column for repair in done.conversion.repairs] == ["c", "c"]
    error = refusal(converter, "a,c\n1, yes\n", target_attributes=("c",), repair=False)
    assert (error.slug, error.row) == ("bad-label", 1)


def test_labels_when_only_blanks_tell_them_apart_then_refused_with_the_row(converter: Converter) -> None:
    error = refusal(converter, "a,c\n1,yes\n2,yes \n", target_attributes=("c",))
    assert (error.slug, error.row) == ("bad-label", 2)
    assert "blanks" in error.message


def test_arff_when_its_names_stick_then_repaired_as_well(converter: Converter) -> None:
    text = "@RELATION r\n@ATTRIBUTE 'Größe ' REAL\n@ATTRIBUTE x REAL\n@ATTRIBUTE x {a,b}\n@DATA\n1,2,a\n"
    done = converter(text, kind="arff", target_attributes=("x.1",))
    assert [column.name for column in done.conversion.columns] == ["Grosse", "x", "x.1"]
    assert len(done.conversion.repairs) == 2
    assert refusal(converter, text, kind="arff", repair=False).line == 2
