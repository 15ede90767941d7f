"""SPSS, Stata and SAS: values, labels, missing values, dates and encodings."""

import datetime as dt
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from app.tabular import ConversionRequest, Limits, TabularError
from app.tabular.process import convert_in_process, profile_in_process
from app.tabular.reading import Reading
from app.tabular.types import Format
from tests.tabular.made import written

Converter = Callable[..., Any]
KINDS: dict[str, Format] = {
    "sav": "sav", "zsav": "sav", "por": "por", "dta": "dta", "xpt": "xport",
}  # fmt: skip


def refusal(converter: Converter, content: bytes, kind: str, **fields: Any) -> TabularError:
    with pytest.raises(TabularError) as caught:
        converter(content, kind=kind, **fields)
    return caught.value


@pytest.mark.parametrize("ending", KINDS)
def test_values_when_of_any_kind_then_they_arrive(converter: Converter, ending: str) -> None:
    frame = pd.DataFrame(
        {
            "whole": [1, -3, 250],
            "part": [1.5, None, -0.25],
            "gaps": [7, None, 8],
            "text": ["a b", "", "c"],
            "day": [dt.date(2020, 2, 29), None, dt.date(1959, 12, 31)],
            "moment": [dt.datetime(2020, 2, 29, 13, 14, 15), None, dt.datetime(1959, 12, 31)],  # noqa: DTZ001 - has none
        }
    )
    done = converter(written(ending, frame), kind=ending)
    kinds = {column.name.lower(): column.kind for column in done.conversion.columns}
    assert kinds == {
        "whole": "integer", "part": "real", "gaps": "integer", "text": "string", "day": "string", "moment": "string",
    }  # fmt: skip
    assert done.rows == [
        '1,1.5,7,"a b",2020-02-29,"2020-02-29T13:14:15"',
        "-3,?,?,?,?,?",
        '250,-0.25,8,c,1959-12-31,"1959-12-31T00:00:00"',
    ]


@pytest.mark.parametrize("ending", ["sav", "zsav", "dta"])
def test_labels_when_all_values_have_one_then_published_else_the_values(
    converter: Converter, ending: str
) -> None:
    frame = pd.DataFrame({"full": [2, 1, None], "half": [1, 4, 7], "same": [1, 2, 1], "free": [5, 6, 7]})
    labels = {
        "full": {1: "low", 2: "high", 3: "unseen"},
        "half": {1: "bad", 7: "good"},
        "same": {1: "x", 2: "x"},
    }
    options = {"variable_value_labels": labels, "column_labels": ["How much", "", "", ""]}
    done = converter(written(ending, frame, **options), kind=ending)
    assert [row.lower() for row in done.rows] == ["high,1,1,5", "low,4,2,6", "?,7,1,7"]
    assert "{low,high,unseen}" in done.text.lower()
    head = done.text.partition("@RELATION")[0].lower()
    assert "% full: how much\n" in head
    assert "% half: 1 = bad, 7 = good\n" in head
    told = [warning.lower() for warning in done.conversion.warnings]
    assert any("'half'" in each and "labels are in a comment" in each for each in told)
    assert not any("'full'" in each for each in told)


def test_values_when_declared_missing_then_missing_and_told(converter: Converter) -> None:
    frame = pd.DataFrame({"age": [30, 99, 41], "answer": [1, 2, 9], "word": ["yes", "NA!", "no"]})
    options = {
        "missing_ranges": {"age": [{"lo": 97, "hi": 99}], "answer": [9], "word": ["NA!"]},
        "variable_value_labels": {"answer": {1: "yes", 2: "no", 9: "refused"}},
    }
    done = converter(written("sav", frame, **options), kind="sav")
    assert done.rows == ["30,yes,yes", "?,no,?", "41,?,no"]
    assert "{yes,no}" in done.text
    told = " ".join(done.conversion.warnings)
    assert "'age', values that the file declares missing (97 to 99)" in told
    assert "'answer', values that the file declares missing (9)" in told


def test_values_when_missing_for_a_reason_then_missing_and_told(converter: Converter) -> None:
    frame = pd.DataFrame({"x": [1, "a", 2, None]})
    content = written(
        "dta",
        frame,
        missing_user_values={"x": ["a"]},
        variable_value_labels={"x": {1: "one", 2: "two", "a": "lost"}},
    )
    done = converter(content, kind="dta")
    assert done.rows == ["one", "?", "two", "?"]
    assert any("(.a)" in warning for warning in done.conversion.warnings)


@pytest.mark.parametrize(
    ("form", "value", "shown"),
    [
        ("%td", 21975, "2020-03-01"),
        ("%tdDD/NN/CCYY", 0, "1960-01-01"),
        ("%tc", 1000, '"1960-01-01T00:00:01"'),
        ("%tm", 723, "2020-04"),
        ("%tm", -1, "1959-12"),
        ("%tq", 241, "2020q2"),
        ("%th", 120, "2020h1"),
        ("%tw", 3121, "2020w02"),
        ("%ty", 2020, "2020"),
        ("%9.0g", 5, "5"),
    ],
)
def test_times_when_of_stata_then_by_their_format(
    converter: Converter, form: str, value: int, shown: str
) -> None:
    frame = pd.DataFrame({"t": [float(value)]})
    assert converter(written("dta", frame, variable_format={"t": form}), kind="dta").rows == [shown]


@pytest.mark.parametrize(
    ("form", "value", "shown"),
    [
        ("DATE11", 13802400000.0, "2020-03-01"),
        ("DATETIME20", 13802400061.5, '"2020-03-01T00:01:01.500"'),
        ("TIME8", 3661.0, '"01:01:01"'),
        ("TIME8", 90000.0, "PT25H0M0S"),
        ("DTIME12", 3600.0, "PT1H0M0S"),
        ("F8.2", 1.25, "1.25"),
    ],
)
def test_times_when_of_spss_then_by_their_format(
    converter: Converter, form: str, value: float, shown: str
) -> None:
    frame = pd.DataFrame({"t": [value]})
    assert converter(written("sav", frame, variable_format={"t": form}), kind="sav").rows == [shown]


def test_texts_when_the_encoding_is_chosen_then_read_by_it(converter: Converter) -> None:
    content = written("sav", pd.DataFrame({"s": ["Zoë", "x"]}))
    # As an old program would have written it: the texts in Windows-1252, and nothing that says so.
    old = content.replace("Zoë".encode(), "Zoë ".encode("cp1252")).replace(b"UTF-8", b"cp125")
    assert refusal(converter, old, "sav").slug == "unsupported-encoding"
    assert converter(old, kind="sav", reading=Reading(encoding="cp1252")).rows == ['"Zoë"', "x"]
    wrong = refusal(converter, old, "sav", reading=Reading(encoding="utf-8"))
    assert wrong.slug == "unsupported-encoding"
    assert "cp1252" in (wrong.choices or {})["encoding"]


@pytest.mark.parametrize("ending", KINDS)
def test_a_file_when_cut_off_or_another_then_refused(converter: Converter, ending: str) -> None:
    content = written(ending, pd.DataFrame({"a": range(3000), "b": ["text"] * 3000}))
    assert refusal(converter, content[: len(content) // 2], ending).slug == "broken-file"
    assert refusal(converter, b"a,b\n1,2\n", ending).slug in {"mislabelled-file", "broken-file"}


def test_a_file_when_its_rows_come_in_several_chunks_then_in_order(
    converter: Converter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.tabular.readers.statistics._CELLS_AT_ONCE", 200)
    frame = pd.DataFrame({"a": range(1000), "b": [f"t{number}" for number in range(1000)]})
    for ending in KINDS:
        done = converter(written(ending, frame), kind=ending)
        assert done.rows == [f"{number},t{number}" for number in range(1000)], ending


def test_columns_when_too_many_then_refused(converter: Converter) -> None:
    content = written("sav", pd.DataFrame({f"v{number}": [1] for number in range(20)}))
    assert refusal(converter, content, "sav", limits=Limits(max_columns=10)).slug == "too-many-columns"


def test_a_library_when_it_is_not_there_then_what_to_install(
    converter: Converter, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = written("sav", pd.DataFrame({"a": [1]}))
    monkeypatch.setitem(sys.modules, "pyreadstat", None)
    error = refusal(converter, content, "sav")
    assert error.slug == "not-installed"
    assert "openml-web[tables]" in str(error)


@pytest.mark.parametrize("ending", ["sav", "rds"])
async def test_a_file_when_read_in_the_child_process_then_within_its_limits(
    tmp_path: Path, ending: str
) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    (tmp_path / "in").write_bytes(written(ending, frame))
    kind: Format = "sav" if ending == "sav" else "r"
    request = ConversionRequest(tmp_path / "in", tmp_path / "out", kind, "t")
    assert (await convert_in_process(request)).rows == 2
    assert (tmp_path / "out").read_text().endswith("@DATA\n1,x\n2,y\n")
    assert (await profile_in_process(request)).columns == 2
    assert not request.workspace.exists()


@pytest.mark.parametrize("ending", ["sav", "dta"])
def test_a_name_when_it_has_other_letters_than_ascii_then_its_column_is_read(
    converter: Converter, ending: str
) -> None:
    done = converter(written(ending, pd.DataFrame({"Gr\u00f6\u00dfe": [1.0, 2.0]})), kind=ending)
    assert done["Grosse"] == ("INTEGER", [1, 2])


def test_numbers_when_of_32_bits_then_with_the_digits_that_were_meant(converter: Converter) -> None:
    sink = io.BytesIO()
    pd.DataFrame({"x": pd.array([0.1, 2.5], "float32"), "y": [0.1, 0.30000000000000004]}).to_stata(
        sink, write_index=False
    )
    assert converter(sink.getvalue(), kind="dta").rows == ["0.1,0.1", "2.5,0.30000000000000004"]
