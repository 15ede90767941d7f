"""Each choice of how a table is read and published: its preview is, bit by bit, what the conversion then publishes."""

import json
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
from tests.conftest import LONG

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


def require_as_published(request: ConversionRequest) -> None:
    """Compare the preview with the ARFF file that is made of the same choices."""
    preview = request.target.with_name("profile")
    shown = outcome_of(profile, replace(request, target=preview))
    done = outcome_of(convert, request)
    if isinstance(shown, str):
        assert shown == done
        return
    page = read_profile(preview)
    table, columns = page.table, page.columns
    if isinstance(done, str):
        assert any(column["error"] for column in columns), done
        return
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


def as_read(cell: str | None, column: dict[str, Any]) -> float | str | None:
    """A cell of the preview as a reader of ARFF has it."""
    return cell if cell is None or column["type"] in {"string", "nominal"} else float(cell)


def as_json(doubt: Doubt) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(asdict(doubt)))
    return found


@pytest.mark.parametrize("kind", [*CHOICES, "all"])
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
