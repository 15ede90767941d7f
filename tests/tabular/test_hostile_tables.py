"""Tables that try to break out of their cells: read back unchanged, or refused for a reason that holds."""

import csv
import io
import math
import re
from collections.abc import Callable
from typing import Any

import arff
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from app.tabular import TabularError
from app.tabular.cells import NUMBER_MISSING

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
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
FUZZ = settings(
    max_examples=200,
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
    return any(CONTROL.search(cell) or cell.endswith("\\") for row in table for cell in row)


@FUZZ
@given(table=tables(), delimiter=st.sampled_from(",;\t|"))
def test_a_table_of_texts_when_hostile_then_each_cell_comes_back_or_is_refused(
    converter: Converter, table: list[list[str]], delimiter: str
) -> None:
    assume(len(table[0]) > 1 or delimiter == ",")
    declared = {f"c{number}": "string" for number in range(len(table[0]))}
    if cannot_be_carried(table):
        with pytest.raises(TabularError, match=r"NUL|control|backslash"):
            converter(as_csv(table, delimiter), attributes=declared)
        return
    done = converter(as_csv(table, delimiter), attributes=declared)
    assert arff.loads(done.text)["data"] == table
    assert converter(done.text, kind="arff").text == done.text


@FUZZ
@given(table=tables(), quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]), target=st.booleans())
def test_a_table_when_its_types_are_inferred_then_no_value_changes(
    converter: Converter,
    table: list[list[str]],
    quoting: int,
    target: bool,  # noqa: FBT001 - hypothesis names it
) -> None:
    targets = ("c0",) if target else ()
    done, slug = attempt(converter, as_csv(table, quoting=quoting), target_attributes=targets)
    if done is None:
        assert cannot_be_carried(table) or slug in {"not-finite", "bad-label", "empty-column"}
        return
    for values, cells in zip(arff.loads(done.text)["data"], table, strict=True):
        assert all(is_same(value, cell) for value, cell in zip(values, cells, strict=True))
    assert converter(done.text, kind="arff").text == done.text


def attempt(converter: Converter, content: str, **fields: Any) -> tuple[Any, str]:
    """Convert, and return what came of it and the slug of the refusal."""
    try:
        return converter(content, **fields), ""
    except TabularError as refused:
        return None, refused.slug


def is_same(value: Any, cell: str) -> bool:
    """Whether a value read back is what the cell said."""
    if value is None:
        return cell.strip(" \t") in NUMBER_MISSING
    if isinstance(value, str):
        return value == cell
    return math.isfinite(value) and float(cell) == value


TOKENS = st.one_of(
    st.sampled_from(["1", "a", "?", "''", "'a b'", '"a"', "'it\\'s'", "{0 1}", "it's", "a b", "x%y", "% c", "1.5"]),
    st.text(st.sampled_from("'\"\\{}%,? \tab1n\u00a0"), max_size=5),
)  # fmt: skip


@FUZZ
@given(rows=st.lists(st.lists(TOKENS, min_size=2, max_size=3).map(", ".join), min_size=1, max_size=3))
def test_arff_when_hostile_then_what_is_accepted_means_the_same_to_liac_arff(
    converter: Converter, rows: list[str]
) -> None:
    text = "@RELATION r\n@ATTRIBUTE s STRING\n@ATTRIBUTE c {a,'a b',1}\n@DATA\n" + "\n".join(rows) + "\n"
    done, _ = attempt(converter, text, kind="arff")
    if done is None:
        return
    ours = arff.loads(done.text)["data"]
    assert ours == arff.loads(text)["data"]
    assert converter(done.text, kind="arff").text == done.text
