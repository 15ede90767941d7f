"""Each choice of how a table is read and published: its preview is, bit by bit, what the conversion then publishes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import arff
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.tabular import ConversionRequest, TabularError, read_profile
from app.tabular.convert import convert
from app.tabular.profile.base import MOST_ROWS
from app.tabular.profile.run import profile
from app.tabular.reading import Doubt, Reading
from app.tabular.types import Format
from tests.conftest import LONG
from tests.tabular.made import archive, workbook

POOLS = (
    ("1", "2", "30", "", "NA"),
    ("1", "-3.5", "1e3", "NA", "-", ""),
    ("1,5", "1.000", "-2,25", "12.345,5", ""),
    ("007", "1", "2 ", "x"),
    ("a", "b b", "NA", '"NA"', "None", "", "'s'", "\u00e9", '"q;r"'),
    ("true", "false", ""),
)
"""Cells of one column, by what it holds."""
ROWS = st.tuples(*[st.sampled_from(POOLS)] * 3).flatmap(
    lambda pools: st.lists(st.tuples(*map(st.sampled_from, pools)), min_size=6, max_size=20)
)
READINGS: dict[str, st.SearchStrategy[Any]] = {
    "encoding": st.sampled_from(["cp1252", "iso8859-1"]),
    "delimiter": st.sampled_from([";", "|", ","]),
    "quote": st.sampled_from(['"', "'", ""]),
    "header": st.booleans(),
    "skip_lines": st.integers(0, 2),
    "comment": st.sampled_from(["", "#"]),
    "decimal": st.sampled_from([".", ","]),
    "thousands": st.sampled_from(["", "."]),
    "missing": st.sampled_from([(), ("-",), ("NA", "a")]),
    "quoted_missing": st.booleans(),
}
TYPES = st.sampled_from(["string", "integer", "real", "boolean", "nominal", {"nominal": ["a", "1", "2"]}])
NAMES = ("x", "y", "z")
CHOICES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "reading": st.fixed_dictionaries({}, optional=READINGS).map(lambda given: {"reading": Reading(**given)}),
    "types": st.dictionaries(st.sampled_from(NAMES), TYPES).map(lambda given: {"attributes": given}),
    "roles": st.fixed_dictionaries(
        {},
        optional={
            "target_attributes": st.sampled_from([("x",), ("y", "z")]),
            "row_id_attribute": st.sampled_from(NAMES),
            "ignore_attributes": st.sampled_from([("z",), ("x",)]),
        },
    ),
    "repair": st.booleans().map(lambda given: {"repair": given}),
    "rename": st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["u", "v", "y"])).map(
        lambda given: {"rename": given}
    ),
    "leave_out": st.lists(st.sampled_from(NAMES), unique=True, max_size=2).map(
        lambda given: {"leave_out": tuple(given)}
    ),
}
"""By kind of choice, what may be chosen."""


def outcome_of(work: Any, request: ConversionRequest) -> Any:
    """What comes of a conversion or a profile: its result, or the slug of its refusal."""
    try:
        return work(request)
    except TabularError as error:
        return error.slug


def require_as_published(request: ConversionRequest) -> bool:
    """Compare the preview with the ARFF file that is made of the same choices; say whether there is one."""
    preview = request.target.with_name("profile")
    shown = outcome_of(profile, replace(request, target=preview))
    done = outcome_of(convert, request)
    if isinstance(shown, str):
        assert shown == done
        return False
    page = read_profile(preview)
    table, columns = page.table, page.columns
    if isinstance(done, str):
        assert any(column["error"] for column in columns), done
        return False
    published = arff.loads(request.target.read_text())
    rows = published["data"]
    assert [column["name"] for column in columns] == [name for name, _ in published["attributes"]]
    assert [column["type"] for column in columns] == [
        "nominal" if isinstance(kind, list) else kind.lower() for _, kind in published["attributes"]
    ]
    assert [column["labels"] for column in columns] == [
        kind if isinstance(kind, list) else None for _, kind in published["attributes"]
    ]
    assert [column["missing"] for column in columns] == [
        sum(row[at] is None for row in rows) for at in range(len(columns))
    ]
    assert [
        [as_read(cell, column) for cell, column in zip(row, columns, strict=True)]
        for row in table["first_rows"]
    ] == rows[:MOST_ROWS]
    assert (table["rows"], table["errors"]) == (len(rows), 0)
    assert table["warnings"] == list(done.warnings)
    assert table["repairs"] == [asdict(repair) for repair in done.repairs]
    assert (table["reading"], table["doubts"]) == (done.reading, [as_json(doubt) for doubt in done.doubts])
    return True


def as_read(cell: str | None, column: dict[str, Any]) -> float | str | None:
    """A cell of the preview as a reader of ARFF has it."""
    return cell if cell is None or column["type"] in {"string", "nominal"} else float(cell)


def as_json(doubt: Doubt) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(asdict(doubt)))
    return found


def readings(**fields: Sequence[Any]) -> st.SearchStrategy[Reading]:
    """Readings in which each of the fields is one of these values, or is found."""
    return st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(values) for name, values in fields.items()}
    ).map(lambda given: Reading(**given))


def delimited(rows: Sequence[Sequence[str]], names: Sequence[str] = NAMES) -> bytes:
    return "".join(f"{';'.join(row)}\n" for row in [names, *rows]).encode()


def escaped(rows: Sequence[Sequence[str]]) -> bytes:
    """Texts with quotes in them, in either spelling."""
    texts = ['"a\\"b"', '"a""b"', r'"c\\"', '"\\n"', "plain"]
    return delimited([[*row[:2], texts[len("".join(row)) % len(texts)]] for row in rows])


def document(rows: Sequence[Sequence[str]]) -> bytes:
    """Two tables in a document of JSON, one of them as an object of objects."""
    records = [dict(zip(NAMES, map(valued, row), strict=True)) for row in rows]
    by_name = {f"row {number}": record for number, record in enumerate(records)}
    return json.dumps({"made": "by hand", "first": records, "more": {"second": by_name}}).encode()


def orientable(rows: Sequence[Sequence[str]]) -> bytes:
    """A table whose orientation is a choice."""
    columns = {
        name: {f"k{at}": valued(row[place]) for at, row in enumerate(rows)}
        for place, name in enumerate(NAMES)
    }
    return json.dumps(columns).encode()


def listed(rows: Sequence[Sequence[str]]) -> bytes:
    return json.dumps([list(NAMES), *[[valued(cell) for cell in row] for row in rows]]).encode()


def valued(cell: str) -> float | str | None:
    try:
        return float(cell)
    except ValueError:
        return cell or None


def sheets(rows: Sequence[Sequence[str]]) -> bytes:
    first: list[list[Any]] = [
        ["A title", None, None],
        list(NAMES),
        *[[valued(cell) for cell in row] for row in rows],
    ]
    return workbook({"First": first, "Second": [[*row[::-1]] for row in first[1:]]})


def packed(rows: Sequence[Sequence[str]]) -> bytes:
    tabs = delimited(rows, names=("1", "2", "3")).replace(b";", b"\t")
    return archive({"one.csv": delimited(rows), "in/two.json": listed(rows), "three.tsv": tabs})


FILES: dict[str, tuple[Format, Callable[..., bytes], st.SearchStrategy[Reading]]] = {
    "escape": ("csv", escaped, readings(escape=["double", "backslash"], quote=['"', ""])),
    "row_names": (
        "csv",
        lambda rows: delimited([[f"r{at}", *row[1:]] for at, row in enumerate(rows)], names=("", "y", "z")),
        readings(row_names=["keep", "leave-out"], header=[True, False]),
    ),
    "format": (
        "csv",
        delimited,
        readings(format=["csv", "tsv", "json", "jsonl", "arff", "svmlight", "parquet"]),
    ),
    "format of JSON": ("csv", document, readings(format=["json", "jsonl"], array=["first"])),
    "array": (
        "json",
        document,
        readings(array=["first", "more.second", "third"], row_names=["keep", "leave-out"]),
    ),
    "orient": (
        "json",
        orientable,
        readings(
            orient=["records", "columns", "index", "split", "table", "values"],
            row_names=["keep", "leave-out"],
        ),
    ),
    "orient of lists": ("json", listed, readings(orient=["values", "records"], header=[True, False])),
    "sheet": (
        "workbook",
        sheets,
        readings(sheet=["First", "Second", "Third"], header=[True, False], skip_lines=[0, 1, 2]),
    ),
    "member": (
        "zip",
        packed,
        readings(member=["one.csv", "in/two.json", "three.tsv", "four.csv"], header=[True, False]),
    ),
}
"""By field of the reading, files in which it is a choice: format, what makes one of rows, and what may be chosen."""


@pytest.mark.parametrize("field", FILES)
@pytest.mark.long
def test_reading_when_previewed_then_that_is_what_is_published(tmp_path: Path, field: str) -> None:
    kind, make, chosen = FILES[field]
    outcomes = set()

    @settings(
        max_examples=100 if LONG else 15,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(rows=ROWS, reading=chosen, other=st.one_of(*CHOICES.values()))
    def compare(rows: list[tuple[str, ...]], reading: Reading, other: dict[str, Any]) -> None:
        source = tmp_path / "in"
        source.write_bytes(make(rows))
        fields = {"reading": reading, **{name: value for name, value in other.items() if name != "reading"}}
        request = ConversionRequest(
            source=source, target=tmp_path / "out", format=kind, relation="t", **fields
        )
        outcomes.add(require_as_published(request))

    compare()
    assert True in outcomes, "some of them are tables"


@pytest.mark.parametrize("kind", [*CHOICES, "all"])
@pytest.mark.long
def test_choices_when_previewed_then_that_is_what_is_published(tmp_path: Path, kind: str) -> None:
    chosen = st.tuples(*CHOICES.values()) if kind == "all" else st.tuples(CHOICES[kind])

    @settings(
        max_examples=150 if LONG else 20,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(rows=ROWS, choices=chosen)
    def compare(rows: list[tuple[str, ...]], choices: tuple[dict[str, Any], ...]) -> None:
        lines = [";".join(row) for row in [NAMES, *rows]]
        source = tmp_path / "in"
        source.write_text("\n".join(lines) + "\n", encoding="cp1252")
        fields = {name: value for each in choices for name, value in each.items()}
        require_as_published(
            ConversionRequest(source=source, target=tmp_path / "out", format="csv", relation="t", **fields)
        )

    compare()
