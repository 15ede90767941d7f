"""Which type a column gets, what counts as missing, and what an owner may declare."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pyarrow as pa
import pytest

from app.tabular import Limits, TabularError
from app.tabular.schema.cells import BLANKS
from app.tabular.schema.labels import are_plain_labels
from app.tabular.schema.names import MAX_LABEL, label_fault

Converter = Callable[..., Any]
FAR = 400_000


def column_of(cells: list[str], name: str = "x") -> str:
    return f"{name},row\n" + "".join(f"{cell},{row}\n" for row, cell in enumerate(cells))


def kind_of(converter: Converter, cells: list[str], **fields: Any) -> tuple[str, list[str]]:
    done = converter(column_of(cells), **fields)
    return done.conversion.columns[0].kind, [row.rsplit(",", 1)[0] for row in done.rows]


def refusal(converter: Converter, cells: list[str], **fields: Any) -> TabularError:
    with pytest.raises(TabularError) as caught:
        converter(column_of(cells), **fields)
    return caught.value


@pytest.mark.parametrize(
    ("cells", "kind", "written"),
    [
        (["1", "-2", "+3", "0"], "integer", ["1", "-2", "+3", "0"]),
        (["9007199254740992", "-9007199254740992"], "integer", ["9007199254740992", "-9007199254740992"]),
        (["1", "", "3"], "integer", ["1", "?", "3"]),
        (["1", "2.50"], "real", ["1", "2.50"]),
        ([".5", "5.", "1E5", "-1e-300", "2e308"[:4]], "real", [".5", "5.", "1E5", "-1e-300", "2e30"]),
        (["0.1234567890123456789", "1"], "real", ["0.1234567890123456789", "1"]),
        (["9007199254740993", "1"], "string", ["9007199254740993", "1"]),
        (["12345678901234567890"], "string", ["12345678901234567890"]),
        (["12345678901234567890", "0.5"], "real", ["12345678901234567890", "0.5"]),
        (["1" * 5000, "1"], "string", [f'"{"1" * 5000}"', "1"]),
        (["007", "12"], "string", ["007", "12"]),
        (["-01.5", "2"], "string", ["-01.5", "2"]),
        ([" 1", "2 ", "\t3"], "integer", ["1", "2", "3"]),
        (["1", "  ", "3"], "integer", ["1", "?", "3"]),
        (["1", "?", "NA", "nan", "null"], "integer", ["1", "?", "?", "?", "?"]),
        (["", "NA", ""], "real", ["?", "?", "?"]),
        (["true", "false", ""], "nominal", ["true", "false", "?"]),
        (["true", "?", " NA ", "null"], "nominal", ["true", "?", "?", "?"]),
        (["true", " true"], "string", ["true", '" true"']),
        (["1", "true"], "string", ["1", "true"]),
        (["True", "true", "False"], "string", ["True", "true", "False"]),
        (["x", "NA", "None", ""], "string", ["x", "?", "?", "?"]),
        (["x", "?"], "string", ["x", '"?"']),
        (["x", " NA", " y "], "string", ["x", '" NA"', '" y "']),
        (["inf", "x"], "string", ["inf", "x"]),
        (["inf", "-inf"], "string", ["inf", "-inf"]),
        (["2026-11-21", "2026-11-22T10:00:00"], "string", ["2026-11-21", '"2026-11-22T10:00:00"']),
        (["0x10", "1"], "string", ["0x10", "1"]),
        (["1_000", "1"], "string", ["1_000", "1"]),
        (["\u0661", "1"], "string", ['"\u0661"', "1"]),
        (["1d", "1"], "string", ["1d", "1"]),
    ],
)
def test_a_column_when_inferred_then_its_type_keeps_every_value(
    converter: Converter, cells: list[str], kind: str, written: list[str]
) -> None:
    assert kind_of(converter, cells) == (kind, written)


@pytest.mark.long
@pytest.mark.parametrize(
    ("late", "kind"),
    [("1.5", "real"), ("x", "string"), ("NA", "integer"), ("007", "string"), ("90071992547409930", "string")],
)
def test_a_cell_when_in_the_last_block_then_it_still_decides(
    converter: Converter, late: str, kind: str
) -> None:
    found, written = kind_of(converter, [*("1" for _ in range(FAR)), late])
    assert (found, len(written)) == (kind, FAR + 1)


@pytest.mark.parametrize(("first", "late"), [("b", "a"), ("true", "false"), ("true", "x")])
def test_a_label_when_in_the_last_block_then_it_is_declared(
    converter: Converter, first: str, late: str
) -> None:
    done = converter(column_of([first] * FAR + [late]), target_attributes=("x",))
    assert done.conversion.columns[0].labels == tuple(sorted((first, late)))
    assert done.rows[-1] == f"{late},{FAR}"


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["true", "false"], ("false", "true")),
        (["TRUE", "TRUE"], ("FALSE", "TRUE")),
        (["False"], ("False", "True")),
    ],
)
def test_booleans_when_inferred_then_false_comes_first_as_spelled(
    converter: Converter, cells: list[str], labels: tuple[str, str]
) -> None:
    assert converter(column_of(cells)).conversion.columns[0].labels == labels


@pytest.mark.parametrize("bad", ["inf", "-Infinity", "1e999"])
def test_an_infinite_number_when_among_numbers_then_refused_with_its_row(
    converter: Converter, bad: str
) -> None:
    error = refusal(converter, ["1.5", "2", bad])
    assert (error.slug, error.row, error.line, error.column) == ("not-finite", 3, 4, "x")


def test_a_text_when_it_is_the_target_then_its_labels_are_sorted(converter: Converter) -> None:
    done = converter(column_of(["b", "a b", "", "B"]), target_attributes=("x",))
    assert done["x"] == (["B", "a b", "b"], ["b", "a b", None, "B"])
    assert any("missing" in warning for warning in done.conversion.warnings)


def test_codes_when_they_are_the_target_then_they_are_labels(converter: Converter) -> None:
    assert converter(column_of(["01", "00"]), target_attributes=("x",))["x"] == (["00", "01"], ["01", "00"])


def test_an_integer_target_when_not_declared_then_the_owner_is_warned(converter: Converter) -> None:
    done = converter(column_of(["1", "0"]), target_attributes=("x",))
    assert "nominal" in done.conversion.warnings[0]
    declared = converter(column_of(["1", "10", "2"]), target_attributes=("x",), attributes={"x": "nominal"})
    assert declared["x"] == (["1", "2", "10"], ["1", "10", "2"])
    assert declared.conversion.warnings == ()


@pytest.mark.parametrize(("targets", "word"), [((), "No default target"), (("x", "row"), "Several")])
def test_targets_when_not_exactly_one_then_the_owner_is_warned(
    converter: Converter, targets: tuple[str, ...], word: str
) -> None:
    done = converter(column_of(["1.5"]), target_attributes=targets)
    assert word in done.conversion.warnings[0]


@pytest.mark.parametrize(
    "label", ["it's", 'say "x"', "caf\u00e9", "x" * 257, "?", "back\\"], ids=lambda label: label[:8]
)
def test_a_label_when_openml_cannot_take_it_then_refused_with_its_row(
    converter: Converter, label: str
) -> None:
    quoted = '"' + label.replace('"', '""') + '"'
    error = refusal(converter, ["a", "b", quoted, quoted], target_attributes=("x",))
    assert (error.slug, error.row, error.column) == ("bad-label", 3, "x")


def test_words_for_missing_when_in_text_then_reported_and_kept_if_declared(converter: Converter) -> None:
    cells = ["EU", "NA", ""]
    done = converter(column_of(cells))
    assert any("1 cell" in warning and "'x'" in warning for warning in done.conversion.warnings)
    assert kind_of(converter, cells, attributes={"x": "string"}) == ("string", ["EU", "NA", "?"])
    listed = kind_of(converter, cells, attributes={"x": {"nominal": ["NA", "EU"]}})
    assert listed == ("nominal", ["EU", "NA", "?"])


@pytest.mark.parametrize(
    ("declared", "cells", "kind", "written"),
    [
        ("string", ["1", "NA", '""'], "string", ["1", "NA", '""']),
        ("integer", ["1.0", "007", " 2", "NA"], "integer", ["1.0", "007", "2", "?"]),
        ("real", ["1", "007", "12345678901234567890", ""], "real", ["1", "007", "12345678901234567890", "?"]),
        ("boolean", ["Yes", "No", ""], "nominal", ["Yes", "No", "?"]),
        ("boolean", ["1", "0"], "nominal", ["1", "0"]),
        ("nominal", ["b", "a"], "nominal", ["b", "a"]),
        ({"nominal": ["b", "a"]}, ["b", "a"], "nominal", ["b", "a"]),
    ],
)
def test_a_type_when_declared_then_it_is_used(
    converter: Converter, declared: Any, cells: list[str], kind: str, written: list[str]
) -> None:
    assert kind_of(converter, cells, attributes={"x": declared}) == (kind, written)


@pytest.mark.parametrize(
    ("declared", "bad"),
    [
        ("integer", "1.5"),
        ("integer", "9007199254740993"),
        ("integer", "x"),
        ("real", "1,000"),
        ("real", "1e999"),
        ("real", "inf"),
        ("boolean", "2"),
        ({"nominal": ["1", "0"]}, "2"),
    ],
)
def test_a_value_when_it_does_not_fit_the_declared_type_then_refused_with_its_row(
    converter: Converter, declared: Any, bad: str
) -> None:
    error = refusal(converter, ["1", "0", f'"{bad}"', "1"], attributes={"x": declared})
    assert (error.slug, error.row, error.line, error.column) == ("value-does-not-fit", 3, 4, "x")


@pytest.mark.parametrize(
    ("declared", "slug"),
    [
        ("date", "unknown-type"),
        ({"nominal": "ab"}, "unknown-type"),
        ({"labels": ["a"]}, "unknown-type"),
        ({"nominal": []}, "bad-label"),
        ({"nominal": ["a", "a"]}, "duplicate-label"),
        ({"nominal": ["a", "b", "c", "d"]}, "too-many-labels"),
        ("nominal", "too-many-labels"),
    ],
)
def test_a_declaration_when_it_makes_no_sense_then_refused(
    converter: Converter, declared: Any, slug: str
) -> None:
    limits = Limits(max_labels=3)
    assert refusal(converter, list("abcd"), attributes={"x": declared}, limits=limits).slug == slug


def test_a_declared_column_when_it_does_not_exist_then_refused(converter: Converter) -> None:
    assert refusal(converter, ["1"], attributes={"y": "string"}).slug == "unknown-column"


def test_too_many_labels_when_in_a_numeric_target_then_no_matter(converter: Converter) -> None:
    cells = [str(number) for number in range(50)]
    found, _ = kind_of(converter, cells, target_attributes=("x",), limits=Limits(max_labels=3))
    assert found == "integer"


def test_a_nominal_column_when_it_has_no_value_then_refused(converter: Converter) -> None:
    assert refusal(converter, ["", "NA"], attributes={"x": "nominal"}).slug == "empty-column"
    assert refusal(converter, ["", "NA"], attributes={"x": "boolean"}).slug == "empty-column"


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["1,234", "5"], '`thousands` is "," or that `decimal` is ","'),
        (["1,5", "2.5"], '`decimal` is ","'),
        (["$1,234.5", "$1"], '`thousands` is ",", and declare it "real"'),
        (["1 234,5", "x"], '`decimal` is "," and `thousands` is " "'),
        (["007", "12"], "leading zeros"),
        (["9007199254740993", "1"], "beyond 2^53"),
        (["2024-01-01", "x"], ""),
        (["a, b", "c"], ""),
    ],
)
def test_a_column_when_it_looks_like_numbers_and_is_text_then_its_owner_is_reported(
    converter: Callable[..., Any], cells: list[str], said: str
) -> None:
    table = "id;value;kind\n" + "".join(f"{n};{cell};b\n" for n, cell in enumerate(cells))
    found = [
        text
        for text in converter(table, target_attributes=("kind",)).conversion.warnings
        if "'value'" in text
    ]

    assert len(found) == bool(said)
    assert said in "".join(found)


def test_labels_when_taken_by_one_pattern_then_none_has_a_fault() -> None:
    characters = [*map(chr, range(130)), "\u00e9"]
    pairs = map("".join, product("a?\\ '\"\t~", repeat=2))
    texts = ["", "x" * MAX_LABEL, "x" * (MAX_LABEL + 1), "a b\\", "a b", *pairs, *characters]
    for text in texts:
        is_good = label_fault(text) is None and text.strip(BLANKS) == text
        assert are_plain_labels(pa.array([text])).to_pylist() == [is_good], text
