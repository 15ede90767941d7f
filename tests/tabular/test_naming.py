"""What OpenML would stick on is repaired if there is one safe way, and told; or refused if the owner wants it so."""

import io
from collections.abc import Callable
from typing import Any

import arff
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from app.tabular import Limits, TabularError
from app.tabular.reading import Reading

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
        (["é", "e"], ["e.1", "e"]),
        (["naïve", "naive", "naive"], ["naive.1", "naive", "naive.2"]),
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
def test_an_unnamed_first_column_when_it_is_no_index_then_it_gets_a_name_that_is_reported(
    converter: Converter, rows: str
) -> None:
    done = converter(",a\n" + rows)
    assert [column.name for column in done.conversion.columns] == ["row_name", "a"]
    assert ["row_name" in repair.change for repair in done.conversion.repairs] == [True]
    assert refusal(converter, ",a\n" + rows, repair=False).slug == "bad-column-name"


@pytest.mark.parametrize("row_names", ["keep", "leave-out"])
def test_an_unnamed_first_column_when_its_owner_chooses_then_it_is_kept_or_not(
    converter: Converter, row_names: Any
) -> None:
    for rows in ("1,x\n2,y\n", "p,x\nq,y\n"):
        done = converter(",a\n" + rows, reading=Reading(row_names=row_names))
        names = [column.name for column in done.conversion.columns]
        assert names == (["row_name", "a"] if row_names == "keep" else ["a"])


def test_an_index_when_it_breaks_off_after_the_sample_then_refused_with_the_choices(
    converter: Converter,
) -> None:
    error = refusal(converter, ",a\n" + "".join(f"{n},x\n" for n in range(2_000)) + "7,x\n")
    assert (error.slug, error.choices) == ("bad-column-name", {"row_names": ["keep", "leave-out"]})


def test_a_delimiter_when_at_the_end_of_each_row_then_the_empty_column_is_left_out(
    converter: Converter,
) -> None:
    done = converter("a,b,\n1,x,\n2,y,\n")
    assert done.rows == ["1,x", "2,y"]
    assert len(done.conversion.repairs) == 1
    assert converter("a,b,\n1,x,\n2,y,z\n")["V3"][1] == [None, "z"]
    error = refusal(converter, "a,b,\n" + "1,x,\n" * 2_000 + "2,y,z\n")
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


FORMS: dict[str, Callable[[], str | bytes]] = {
    "csv": lambda: "Größe,b,c d\n1,x,u\n2,y,v\n",
    "jsonl": lambda: '{"Größe": 1, "b": "x", "c d": "u"}\n{"Größe": 2, "b": "y", "c d": "v"}\n',
    "arff": lambda: (
        "@RELATION r\n@ATTRIBUTE 'Größe' INTEGER\n@ATTRIBUTE b STRING\n@ATTRIBUTE 'c d' {u,v}\n@DATA\n1,x,u\n2,y,v\n"
    ),
    "parquet": lambda: saved(pq.write_table),
    "feather": lambda: saved(pyarrow.feather.write_feather),
}


def saved(write: Callable[[pa.Table, Any], None]) -> bytes:
    sink = io.BytesIO()
    write(pa.table({"Größe": [1, 2], "b": ["x", "y"], "c d": ["u", "v"]}), sink)
    return sink.getvalue()


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("named", ["Größe", "Grosse", "size"])
def test_a_column_when_renamed_then_it_may_be_named_either_way(
    converter: Converter, kind: str, named: str
) -> None:
    done = converter(
        FORMS[kind](), kind=kind, rename={"Größe": "size"}, row_id_attribute=named, attributes={named: "real"}
    )
    assert next((each.name, each.kind) for each in done.conversion.columns) == ("size", "real")
    assert done.conversion.row_id_attribute == "size"
    assert done.conversion.repairs == ()


@pytest.mark.parametrize("kind", FORMS)
def test_columns_when_left_out_then_the_others_stay_as_they_were(converter: Converter, kind: str) -> None:
    whole = converter(FORMS[kind](), kind=kind)
    done = converter(
        FORMS[kind](), kind=kind, leave_out=("b",), attributes={"b": "integer"}, ignore_attributes=("b",)
    )
    assert [column.name for column in done.conversion.columns] == ["Grosse", "c d"]
    assert done["Grosse"] == whole["Grosse"]
    assert done["c d"] == whole["c d"]
    assert "'b'" in done.conversion.repairs[-1].change
    assert done.conversion.ignore_attributes == ()


def test_a_column_when_left_out_then_neither_its_type_nor_its_cells_matter(converter: Converter) -> None:
    head = "@RELATION r\n@ATTRIBUTE d RELATIONAL\n@ATTRIBUTE n REAL\n@DATA\n"
    assert converter(f"{head}x,1\n", kind="arff", leave_out=("d",)).rows == ["1"]
    assert converter('[{"a": 1, "b": [1]}]', kind="json", leave_out=("b",)).rows == ["1"]
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": [[1]], "b": [2]}), sink)
    assert converter(sink.getvalue(), kind="parquet", leave_out=("a",)).rows == ["2"]
    long = Limits(max_cell_bytes=5)
    assert converter("a,b\nlonger than five,2\n", leave_out=("a",), limits=long).rows == ["2"]


def test_a_sparse_column_when_left_out_then_the_indices_move_up(converter: Converter) -> None:
    head = "@RELATION r\n@ATTRIBUTE a REAL\n@ATTRIBUTE s STRING\n@ATTRIBUTE c {u,v}\n@DATA\n"
    done = converter(f"{head}{{0 1,1 text,2 v}}\n{{1 x}}\n", kind="arff", leave_out=("s",))
    assert done.rows == ["{0 1,1 v}", "{1 u}"]
    assert refusal(converter, f"{head}{{3 1}}\n", kind="arff", leave_out=("s",)).slug == "invalid-arff"


@pytest.mark.parametrize(
    ("fields", "slug", "message"),
    [
        ({"rename": {"a": "b"}}, "duplicate-column", "'a' and 'b' would both be called 'b'"),
        ({"rename": {"a": "x", "b": "x"}}, "duplicate-column", "'a' and 'b' would both be called 'x'"),
        ({"rename": {"a": "größe"}}, "bad-column-name", "non-ASCII"),
        ({"rename": {"a": ""}}, "bad-column-name", "has no name"),
        ({"rename": {"é": "x", "e": "y"}}, "bad-column-name", "two names"),
        ({"rename": {"zzz": "x"}}, "unknown-column", "'zzz'"),
        ({"leave_out": ("zzz",)}, "unknown-column", "'zzz'"),
        ({"leave_out": ("a",), "target_attributes": ("a",)}, "left-out-column", "target attribute 'a'"),
        ({"leave_out": ("é",), "row_id_attribute": "e"}, "left-out-column", "row id attribute 'e'"),
        ({"leave_out": ("a", "b", "é")}, "no-columns", "All columns"),
    ],
)
def test_choices_of_columns_when_they_cannot_be_then_refused_by_name(
    converter: Converter, fields: dict[str, Any], slug: str, message: str
) -> None:
    error = refusal(converter, "a,b,é\n1,2,3\n", **fields)
    assert error.slug == slug
    assert message in error.message


def test_new_names_when_two_columns_swap_them_then_they_do(converter: Converter) -> None:
    done = converter("a,b\n1,x\n", rename={"a": "b", "b": "a"}, target_attributes=("b",))
    assert [column.name for column in done.conversion.columns] == ["b", "a"]
    assert done.conversion.target_attributes == ("a",)


def test_a_new_name_when_a_repaired_one_is_the_same_then_the_chosen_one_stays(converter: Converter) -> None:
    done = converter("é,x\n1,2\n", rename={"x": "e"})
    assert [column.name for column in done.conversion.columns] == ["e.1", "e"]


def test_a_name_when_it_stands_twice_then_its_second_column_is_named_as_published(
    converter: Converter,
) -> None:
    done = converter("a,a,b\n1,2,3\n", rename={"a.1": "second"}, leave_out=("a",))
    assert [column.name for column in done.conversion.columns] == ["second", "b"]
    assert done.rows == ["2,3"]
