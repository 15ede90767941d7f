"""Tables that try to break out of their cells: read back unchanged, or refused for a reason that holds."""

import csv
import io
import json
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import arff
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from app.tabular import TabularError
from app.tabular.reading import Reading
from app.tabular.schema.cells import NUMBER_MISSING
from openml_sandbox.tokenizer import tokenize

Converter = Callable[..., Any]

HOSTILE = "'\"\\{}%,?@ \t\r\n;|#-+.eE019aZ_\u00a0\u00e9\u2028\u0085\U0001f600"
FIXED = (
    "?", "'", '"', "\\", "\\n", "a\\", "{x}", "{0 1}", "%", "% c", "@data", "@ATTRIBUTE", "NA", "nan", "None",
    "true", "False", "1e308", "1.7976931348623157e308", "1e309", "12345678901234567890", "9007199254740993", "007",
    "-0", "+1", ".5", "5.", "1_0", "0x1", " 1", "it's", 'say "hi"', "a,b", "tab\there", "two\nlines", "cr\rlf\r\n",
    "\u00a0", "nul\x00", "bell\x07", "\U0001f600 emoji", "\u0661", "inf", "",
)  # fmt: skip
CELLS = st.one_of(
    st.sampled_from(FIXED),
    st.text(st.sampled_from(HOSTILE), max_size=6),
    st.text(st.characters(codec="utf-8"), max_size=6),
    st.integers(-(10**20), 10**20).map(str),
    st.floats(allow_nan=False).map(repr),
)
FUZZ = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    print_blob=True,
)


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    width = draw(st.integers(1, 4))
    return draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=5))


def as_csv(table: list[list[str]], delimiter: str = ",", quoting: int = csv.QUOTE_ALL) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type] # an int of the module
    writer.writerow([f"c{number}" for number in range(len(table[0]))])
    writer.writerows(table)
    return text.getvalue()


def cannot_be_carried(table: list[list[str]]) -> bool:
    return any("\0" in cell for row in table for cell in row)


@FUZZ
@given(table=tables(), delimiter=st.sampled_from(",;\t|"))
def test_a_table_of_texts_when_hostile_then_each_cell_comes_back_or_is_refused(
    converter: Converter, table: list[list[str]], delimiter: str
) -> None:
    assume(len(table[0]) > 1 or delimiter == ",")
    declared = {f"c{number}": "string" for number in range(len(table[0]))}
    if cannot_be_carried(table):
        with pytest.raises(TabularError, match="NUL"):
            converter(as_csv(table, delimiter), attributes=declared)
        return
    done = converter(as_csv(table, delimiter), attributes=declared)
    assert arff.loads(done.text)["data"] == table
    assert converter(done.text, kind="arff").text == done.text


@FUZZ
@example(table=[["0,"]], quoting=csv.QUOTE_ALL, target=False)
@example(table=[[",5"]], quoting=csv.QUOTE_ALL, target=False)
@given(table=tables(), quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]), target=st.booleans())
def test_a_table_when_its_types_are_inferred_then_no_value_changes(
    converter: Converter,
    table: list[list[str]],
    quoting: int,
    target: bool,  # noqa: FBT001 - hypothesis names it
) -> None:
    targets = ("c0",) if target else ()
    # Without repairs, which take blanks off the ends of labels, and say so. What is in doubt is asked before.
    done, slug = attempt(
        converter,
        as_csv(table, quoting=quoting),
        target_attributes=targets,
        repair=False,
        reading=Reading(header=True),
        refuse_doubts=True,
    )
    if done is None:
        assert cannot_be_carried(table) or slug in {
            "not-finite",
            "bad-label",
            "empty-column",
            "unsure-reading",
        }
        return
    # `,5` alone is half, and said to have a decimal comma.
    decimal = done.conversion.reading["decimal"]["value"]
    for values, cells in zip(arff.loads(done.text)["data"], table, strict=True):
        assert all(is_same(value, cell, decimal) for value, cell in zip(values, cells, strict=True))
    assert converter(done.text, kind="arff").text == done.text


def attempt(converter: Converter, content: str | bytes, **fields: Any) -> tuple[Any, str]:
    """Convert, and return what came of it and the slug of the refusal."""
    try:
        return converter(content, **fields), ""
    except TabularError as refused:
        return None, refused.slug


def is_same(value: Any, cell: str, decimal: str = ".") -> bool:
    """Whether a value read back is what the cell said, with such a decimal mark."""
    if value is None:
        return cell.strip(" \t\r\n") in NUMBER_MISSING
    if isinstance(value, str):
        return value == cell
    return math.isfinite(value) and float(cell.replace(decimal, ".")) == value


VALUES = {
    "text": st.one_of(CELLS, st.none()),
    "number": st.one_of(
        st.floats(allow_nan=False), st.none(), st.sampled_from([1e308, 5e-324, -0.0, float("inf")])
    ),
    "whole": st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-100, 100), st.none()),
    "truth": st.one_of(st.booleans(), st.none()),
    "any": st.one_of(
        CELLS, st.booleans(), st.integers(-(10**22), 10**22), st.floats(allow_nan=False), st.none()
    ),
}
NAMES = st.one_of(st.text(st.sampled_from(HOSTILE), max_size=5), st.text(max_size=70), st.sampled_from(FIXED))
REASONS = {
    "not-finite", "value-does-not-fit", "bad-column-name", "bad-label", "no-rows", "not-text", "empty-column",
    "nul-character",
}  # fmt: skip


@st.composite
def typed_tables(draw: st.DrawFn, kinds: tuple[str, ...]) -> dict[str, list[Any]]:
    rows = draw(st.integers(1, 4))
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    return {
        name: draw(st.lists(VALUES[draw(st.sampled_from(kinds))], min_size=rows, max_size=rows))
        for name in names
    }


def read_back(done: Any) -> list[list[Any]]:
    assert len(done.conversion.repairs) <= len(done.conversion.columns)
    found: list[list[Any]] = arff.loads(done.text)["data"]
    return found


def is_value(found: Any, value: Any) -> bool:
    """Whether what was read back is the value of a typed table."""
    if value is None or isinstance(value, bool):
        return bool(found == (None if value is None else str(value)))
    if isinstance(found, str):
        # A number among texts, or too long for a double.
        return bool(found == (value if isinstance(value, str) else json.dumps(value)))
    return found is not None and math.isfinite(found) and float(value) == found


@FUZZ
@given(table=typed_tables(("text", "number", "whole", "truth")), kind=st.sampled_from(["parquet", "feather"]))
def test_a_typed_table_when_hostile_then_no_value_changes(
    converter: Converter, table: dict[str, list[Any]], kind: str
) -> None:
    try:
        data = pa.table(table)
    except (pa.ArrowInvalid, UnicodeEncodeError):  # half a character
        assume(False)  # noqa: FBT003 - hypothesis
    sink = io.BytesIO()
    (pyarrow.parquet.write_table if kind == "parquet" else pyarrow.feather.write_feather)(data, sink)
    done, slug = attempt(converter, sink.getvalue(), kind=kind)
    if done is None:
        assert slug in REASONS
        return
    for values, rows in zip(read_back(done), zip(*table.values(), strict=True), strict=True):
        assert all(is_value(found, value) for found, value in zip(values, rows, strict=True))
    assert converter(done.text, kind="arff").text == done.text


@FUZZ
@given(table=typed_tables(tuple(VALUES)), orient=st.sampled_from(["records", "lines", "columns"]))
def test_a_json_table_when_hostile_then_no_value_changes(
    converter: Converter, table: dict[str, list[Any]], orient: str
) -> None:
    records = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    content = {
        "records": json.dumps(records),
        "lines": "\n".join(map(json.dumps, records)),
        "columns": json.dumps(table),
    }[orient]
    done, slug = attempt(converter, content, kind="jsonl" if orient == "lines" else "json")
    if done is None:
        assert slug in REASONS
        return
    for values, row in zip(read_back(done), records, strict=True):
        for found, value in zip(values, row.values(), strict=True):
            # A column of texts that are all numbers is read as numbers, as pandas does.
            is_number = isinstance(value, str) and isinstance(found, float | int)
            assert is_value(found, float(value) if is_number else value)
    assert converter(done.text, kind="arff").text == done.text


TOKENS = st.one_of(
    st.sampled_from(["1", "a", "?", "''", "'a b'", '"a"', "'it\\'s'", "{0 1}", "it's", "a b", "x%y", "% c", "1.5"]),
    st.text(st.sampled_from("'\"\\{}%,? \tab1n\u00a0"), max_size=5),
)  # fmt: skip


@FUZZ
@given(rows=st.lists(st.lists(TOKENS, min_size=2, max_size=3).map(", ".join), min_size=1, max_size=3))
def test_arff_when_hostile_then_what_is_accepted_means_the_same_to_weka_and_liac_arff(
    converter: Converter, rows: list[str]
) -> None:
    text = "@RELATION r\n@ATTRIBUTE s STRING\n@ATTRIBUTE c {a,'a b',1}\n@DATA\n" + "\n".join(rows) + "\n"
    done, _ = attempt(converter, text, kind="arff")
    if done is None:
        return
    ours = arff.loads(done.text)["data"]
    lines = (tokenize(row.encode()) for row in rows)
    assert ours == [
        [None if token.value is None else token.value.decode() for token in line] for line in lines if line
    ]
    # Rows that have blanks between values, or comments behind them, are Weka's alone.
    with suppress(arff.ArffException, ValueError):
        assert ours == arff.loads(text)["data"]
    assert converter(done.text, kind="arff").text == done.text
