"""The preview: it says what the conversion then does, of every format, and counts exactly."""

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.tabular import (
    ConversionRequest,
    ProcessLimits,
    Progress,
    TabularError,
    format_of,
    read_profile,
)
from app.tabular.convert import convert
from app.tabular.process import profile_in_process
from app.tabular.profile.alternatives import CHOICES
from app.tabular.profile.run import profile
from app.tabular.profile.stats import Cells, Detail, Values, ValueState
from tests.oracle import SKLEARN, STATSMODELS, load

MESSY = {
    "number": ["1", "2", "n/a", "4", ""],
    "padded": [" 1", "2 ", "?", "3.50", "1e3"],
    "late": ["1", "2", "x", "4", "5"],
    "code": ["007", "8", "9", "", "9"],
    "long": ["9007199254740993", "1", "1", "1", "1"],
    "huge": ["1e400", "x", "1", "1", "1"],
    "flag": ["true", "false", "", "true", "NA"],
    "flags": ["True", "true", "False", "", "False"],
    "bits": ["0", "1", "1", "0", "1"],
    "empty": ["", "", "", "", ""],
    "text": ["a", "b", "NA", "a", "c"],
    "odd": ["caf\u00e9", "b", "c", "d", "e"],
    "end": ["a", "b\\", "c", "d", "e"],
    "blanks": ["a", " a", "b", "c", "d"],
    "spaced": [" low", "high ", "NA", "low", "high"],
    "mark": ["?", "1", "2", "3", "4"],
    "day": ["2026-11-21", "2026-11-22", "", "x", "y"],
    "Gr\u00f6\u00dfe": ["1,5", "2,5", "3", "4", "5"],
}
ARFF = """@RELATION t
@ATTRIBUTE a INTEGER
@ATTRIBUTE b REAL
@ATTRIBUTE c NUMERIC
@ATTRIBUTE d {x,y,z}
@ATTRIBUTE e STRING
@ATTRIBUTE f {0,1}
@DATA
1,1.0,1,x,'some text',0
2,?,2.5,y,?,1
?,3.0,3,x,'other\\'s',1
"""
SPARSE = """@RELATION t
@ATTRIBUTE a INTEGER
@ATTRIBUTE b REAL
@ATTRIBUTE c NUMERIC
@ATTRIBUTE d {x,y}
@DATA
{0 1, 3 y}
{1 -2.5, 2 7}
{0 ?, 1 2.0}
{}
"""


def request_for(folder: Path, content: str | bytes, kind: str = "csv", **fields: Any) -> ConversionRequest:
    source = folder / "in"
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    name = format_of(f"table.{kind}")
    assert name is not None
    return ConversionRequest(
        source, folder / "out", name.format, "table", compression=name.compression, **fields
    )


def profiled(request: ConversionRequest) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    profile(request)
    page = read_profile(request.target, most=100_000)
    assert page.table["columns"] == len(page.columns)
    return page.table, {column["name"]: column for column in page.columns}


def column_of(folder: Path, cells: list[str], **fields: Any) -> dict[str, Any]:
    content = "x,row\n" + "".join(f"{cell},{row}\n" for row, cell in enumerate(cells))
    return profiled(request_for(folder, content, **fields))[1]["x"]


def frame(kind: str) -> pd.DataFrame:
    table = pd.DataFrame(MESSY, dtype=object).assign(
        whole=[1, 2, 3, 4, 2**60], real=[0.5, math.nan, 1, 2, 3], truth=[True, False, True, True, True]
    )
    if kind in {"parquet", "feather"}:
        days = ["2026-11-21", None, "2026-11-22", "2026-11-22", "2026-11-22"]
        table["moment"] = pd.to_datetime(days).astype("datetime64[us]")
        table["group"] = pd.Categorical(["u", "v", None, "u", "v"], categories=["w", "v", "u"])
        table["infinite"] = [1.0, 2.0, math.inf, 3.0, 4.0]
        table["narrow"] = pd.array([1, 2, None, 4, 5], dtype="Int8")
    return table


def saved(table: pd.DataFrame, kind: str, folder: Path) -> bytes:
    path = folder / "table"
    if kind in {"csv", "tsv"}:
        return str(table.to_csv(index=False, sep="\t" if kind == "tsv" else ",")).encode()
    if kind in {"json", "jsonl"}:
        return str(table.to_json(orient="records", lines=kind == "jsonl")).encode()
    (table.to_parquet if kind == "parquet" else table.to_feather)(path)
    return path.read_bytes()


def refusal_of(request: ConversionRequest) -> TabularError | None:
    try:
        convert(request)
    except TabularError as error:
        return error
    return None


def require_right_choices(request: ConversionRequest, name: str) -> None:
    """Each type that is said to be possible converts, and each other one is refused with the words that were said."""
    column = profiled(request)[1][name]
    refusal = refusal_of(request)
    assert (refusal and refusal.message) == (column["error"] and column["error"]["message"])
    assert [each["type"] for each in column["alternatives"]] == list(CHOICES)
    for said in column["alternatives"]:
        refusal = refusal_of(replace(request, attributes={name: said["type"]}))
        assert said["possible"] is (refusal is None), (name, said, refusal)
        # A declared point in time is spelled with all its digits.
        if refusal and refusal.slug not in {"sparse-types", "sparse-text"} and name != "moment":
            assert (said["message"], said["row"]) == (refusal.message, refusal.row), (name, said)


def require_agreement(request: ConversionRequest) -> None:
    """The profile says of every column, and of the whole table, what the conversion says."""
    table, columns = profiled(request)
    done = convert(request)
    assert table["rows"] == done.rows
    assert [(c["name"], c["type"], c["labels"], c["missing"]) for c in columns.values()] == [
        (c.name, c.kind, list(c.labels) if c.labels else None, c.missing) for c in done.columns
    ]
    assert table["errors"] == 0
    assert table["warnings"] == list(done.warnings)
    assert table["repairs"] == [
        {"column": repair.column, "change": repair.change, "reason": repair.reason} for repair in done.repairs
    ]
    assert table["arff_format"] == done.arff_format
    assert table["target_attributes"] == list(done.target_attributes)
    assert table["row_id_attribute"] == done.row_id_attribute
    for column in columns.values():
        assert column["why"].endswith((".", "'")), column["why"]


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        *((name, "csv") for name in (*SKLEARN, *STATSMODELS)),
        *product(("iris", "co2", "fair"), ("csv.gz", "parquet", "feather", "json", "jsonl")),
    ],
)
@pytest.mark.long
def test_a_real_table_when_profiled_then_it_says_what_the_conversion_does(
    name: str, ending: str, tmp_path: Path
) -> None:
    table = load(name).head(200)
    path = tmp_path / "table"
    if ending.startswith("csv"):
        table.to_csv(path, index=False, compression="gzip" if ending == "csv.gz" else None)
    elif ending.startswith("json"):
        table.to_json(path, orient="records", lines=ending == "jsonl", date_format="iso")
    else:
        (table.to_parquet if ending == "parquet" else table.to_feather)(path)
    require_agreement(
        request_for(tmp_path, path.read_bytes(), ending, target_attributes=(table.columns[-1],))
    )


@pytest.mark.parametrize(("content", "kind"), [(ARFF, "arff"), (SPARSE, "arff")])
def test_an_arff_file_when_profiled_then_it_says_what_the_conversion_does(
    tmp_path: Path, content: str, kind: str
) -> None:
    require_agreement(request_for(tmp_path, content, kind, target_attributes=("d",)))


@pytest.mark.parametrize(
    "kind",
    [
        "csv",
        "parquet",
        *(pytest.param(kind, marks=pytest.mark.long) for kind in ("tsv", "json", "jsonl", "feather")),
    ],
)
def test_a_type_when_said_to_be_possible_then_it_converts_and_else_it_does_not(
    tmp_path: Path, kind: str
) -> None:
    table = frame(kind)
    for column in table.columns:
        content = saved(table[[column]].assign(row=range(len(table))), kind, tmp_path)
        request = request_for(tmp_path, content, kind)
        require_right_choices(request, next(iter(profiled(request)[1])))


@pytest.mark.parametrize("name", ["a", "b", "c", "d", "e", "f"])
@pytest.mark.parametrize("content", [ARFF, SPARSE])
def test_a_type_in_arff_when_said_to_be_possible_then_it_converts_and_else_it_does_not(
    tmp_path: Path, content: str, name: str
) -> None:
    if f"@ATTRIBUTE {name} " in content:
        require_right_choices(request_for(tmp_path, content, "arff"), name)


@pytest.mark.parametrize("target", [name for name in MESSY if name.isascii()])
def test_a_target_when_profiled_then_its_choices_are_right(tmp_path: Path, target: str) -> None:
    content = saved(frame("csv")[[target]].assign(row=range(5)), "csv", tmp_path)
    require_right_choices(request_for(tmp_path, content, target_attributes=(target,)), target)


@pytest.mark.parametrize(
    ("declared", "cells", "kind", "error"),
    [
        ("string", ["1", "NA", ""], "string", None),
        ("real", ["1", "NA", "3"], "real", None),
        ("integer", ["1", "x", "3"], "integer", "'x' is not a number."),
        ("nominal", ["1", "NA", "2"], "nominal", None),
        ({"nominal": ["b", "a"]}, ["a", "b", ""], "nominal", None),
        ({"nominal": ["b", "a"]}, ["a", "NA", "c"], "nominal", "'c' is not one of the column's labels."),
        ("boolean", ["yes", "no", ""], "nominal", None),
    ],
)
def test_a_declared_type_when_profiled_then_it_is_kept_and_its_fault_reported(
    tmp_path: Path, declared: Any, cells: list[str], kind: str, error: str | None
) -> None:
    column = column_of(tmp_path, cells, attributes={"x": declared})
    assert (column["type"], column["chosen"]) == (kind, declared)
    assert (column["error"] or {}).get("message") == error
    assert column["why"] == (
        error
        or (f"You declared it {declared!r}." if isinstance(declared, str) else "You declared its labels.")
    )


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (["1", "2", ""], "All 2 values are whole numbers."),
        (["1"], "Its only value is a whole number."),
        (["1", "2.5"], "1 of 2 values is whole numbers; row 2 has '2.5'."),
        (["1.5", "2.5"], "All 2 values are numbers; row 1 has '1.5'."),
        (
            [*map(str, range(97)), "n/a?", "b", "c"],
            "97 of 100 values are numbers; row 98 has 'n/a?', which is no number.",
        ),
        (["a", "1"], "1 of 2 values is numbers; row 1 has 'a', which is no number."),
        (["a", "b"], "Row 1 has 'a', which is no number."),
        (["1", "007"], "All 2 values are numbers; row 2 has '007', whose leading zero a number would lose."),
        (["true", "false"], "All 2 values are 'false' and 'true'."),
        (["true", "TRUE"], "It spells true and false in more than two ways."),
        (["1", "true"], "1 of 2 values is numbers; row 2 has 'true', which is no number."),
        (["inf", "-inf"], "Row 1 has 'inf', which is no finite number."),
        (["", "NA"], "It has no value at all."),
    ],
)
def test_a_type_when_inferred_then_a_sentence_says_why(tmp_path: Path, cells: list[str], why: str) -> None:
    assert column_of(tmp_path, cells)["why"] == why


def counted(numbers: Sequence[float], edges: Sequence[float], *, is_whole: bool) -> list[int]:
    """How many numbers are in each bin; the last one has the greatest."""
    end = math.inf if not is_whole else edges[-1]
    bins = pairwise([*edges[:-1], end])
    return [sum(low <= number < high for number in numbers) for low, high in bins]


def require_even_bins(
    edges: Sequence[float], numbers: Sequence[float], *, is_whole: bool, slack: float
) -> None:
    """The bins cover the range and no more, and none is much narrower than the others."""
    assert (edges[0], edges[-1]) == (min(numbers), max(numbers) + is_whole)
    widths = [high - low for low, high in pairwise(edges)]
    *others, last = widths
    for width in others if is_whole else widths:
        assert width == pytest.approx(widths[0], rel=slack)
    assert last >= (0.5 - slack) * widths[0], "of whole numbers, the last bin may hold fewer"


@pytest.mark.parametrize("spread", [1, 2, 7, 19, 20, 21, 23, 40, 41, 100, 101, 401, 1000, 12_345, 10**9])
def test_whole_numbers_when_in_a_histogram_then_each_bin_holds_equally_many_of_them(
    tmp_path: Path, spread: int
) -> None:
    low = -3
    numbers = [low, *(low + number * 7919 % spread for number in range(400)), low + spread - 1]
    found = column_of(tmp_path, list(map(str, numbers)))["numbers"]["histogram"]
    edges, counts = found["edges"], found["counts"]
    if spread == 1:
        assert found == {"edges": [low, low], "counts": [len(numbers)]}
        return
    assert all(isinstance(edge, int) for edge in edges)
    assert counts == counted(numbers, edges, is_whole=True)
    require_even_bins(edges, numbers, is_whole=True, slack=0)
    assert len(counts) == spread if spread <= 20 else 7 <= len(counts) <= 20


@pytest.mark.parametrize("seed", range(6))
def test_numbers_when_few_then_the_histogram_is_that_of_numpy(tmp_path: Path, seed: int) -> None:
    chance = np.random.default_rng(seed)
    shapes = (chance.normal(5, 2, 700), chance.uniform(-1, 1, 300), chance.exponential(1e6, 1200))
    numbers = [*shapes[seed % 3].tolist(), 0.5]
    found = column_of(tmp_path, list(map(repr, numbers)))["numbers"]["histogram"]
    counts, edges = np.histogram(numbers, bins=20)
    assert found["counts"] == counts.tolist()
    assert found["edges"] == pytest.approx(edges.tolist(), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_numbers_when_there_are_many_blocks_then_they_are_counted_exactly(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    shapes: list[Callable[[], float]] = [
        lambda: chance.gauss(50, 10),
        lambda: chance.paretovariate(0.3) * chance.choice([1, -1]),
        lambda: chance.randrange(-3, 4),
        lambda: 1e15 + chance.randrange(5),
    ]
    numbers = [shapes[seed]() for _ in range(12_000)]
    cells = [repr(number) for number in numbers]
    # Wide enough that a block holds a few thousand rows.
    content = "x,pad\n" + "".join(f"{cell},{'-' * 500}\n" for cell in cells)
    found = profiled(request_for(tmp_path, content))[1]["x"]["numbers"]
    assert (found["min"], found["max"]) == (min(numbers), max(numbers))
    assert found["mean"] == pytest.approx(statistics.fmean(numbers), rel=1e-9)
    assert found["std"] == pytest.approx(statistics.stdev(numbers), rel=1e-6)
    edges, counts = found["histogram"]["edges"], found["histogram"]["counts"]
    assert (len(edges), edges) == (len(counts) + 1, sorted(edges))
    assert 1 <= len(counts) <= 20
    assert counts == counted(numbers, edges, is_whole=seed == 2)
    require_even_bins(edges, numbers, is_whole=seed == 2, slack=0.05)


@pytest.mark.parametrize(
    "numbers",
    [
        ["5", "5"], ["1.7e308", "-1.7e308"], ["5e-324", "0.1"], ["0.0", "-0.0"], ["1e-310", "2e-310"],
        ["9007199254740992", "9007199254740991", "-9007199254740992"], ["1e308", "1e308", "1e308"],
    ],
)  # fmt: skip
def test_numbers_when_at_the_limits_of_a_double_then_the_profile_is_still_json(
    tmp_path: Path, numbers: list[str]
) -> None:
    found = column_of(tmp_path, numbers)["numbers"]
    assert sum(found["histogram"]["counts"]) == len(numbers)
    assert (found["min"], found["max"]) == (min(map(float, numbers)), max(map(float, numbers)))


def test_values_when_few_then_counted_exactly_and_the_commonest_named(tmp_path: Path) -> None:
    cells = ["b"] * 3_000 + ["a", "", "NA"] * 2_000 + [f"rare {number}" for number in range(20)]
    column = column_of(tmp_path, cells, target_attributes=("x",))
    assert (column["type"], column["missing"], column["distinct"]) == ("nominal", 4_000, 22)
    assert column["distinct_is_exact"]
    assert column["commonest"][:2] == [{"value": "b", "count": 3_000}, {"value": "a", "count": 2_000}]
    assert len(column["commonest"]) == 10


def test_values_when_too_many_then_there_are_at_least_so_many(tmp_path: Path) -> None:
    cells = ["often"] * 5_000 + [f"text {number}" for number in range(30_000)] + ["often"] * 1_000
    column = column_of(tmp_path, cells)
    assert not column["distinct_is_exact"]
    assert 10_000 <= column["distinct"] <= 30_001
    assert column["commonest"][0] == {"value": "often", "count": 6_000}
    nominal = column["alternatives"][CHOICES.index("nominal")]
    assert (nominal["possible"], "more than 10000" in nominal["message"]) == (False, True)


def test_numbers_when_spelled_in_several_ways_then_they_are_one_value(tmp_path: Path) -> None:
    column = column_of(tmp_path, ["1", "1.0", " 1", "1e0", "2", "?"])
    assert (column["distinct"], column["missing"]) == (2, 1)


def test_numbers_when_many_and_spelled_in_several_ways_then_each_is_one_value(tmp_path: Path) -> None:
    cells = [f"{number}{end}" for number in range(1_200) for end in ("", ".0", "e0")]
    assert column_of(tmp_path, [*cells, "-0", "-0.0"])["distinct"] == 1_200


def test_values_when_there_were_too_many_then_further_ones_are_not_counted() -> None:
    detail = Detail(bins=8, cells=16, commonest=3, values=5)
    values = Values([0], detail, different=lambda _, texts: len({*texts}), is_watched=lambda _: False)
    news = [values.count_cells(Cells(0, pa.array([f"{begin + n}" for n in range(9)]))) for begin in (0, 9)]
    assert news == [{0: ["0", "1", "2", "3", "4"]}, {}]
    assert values.states[0] == ValueState({}, at_least=5)


def test_texts_when_profiled_then_their_lengths_and_beginnings_are_reported(tmp_path: Path) -> None:
    column = column_of(tmp_path, ["\u00e9" * 5, "a" * 5_000, "a" * 5_000 + "b", ""])
    assert column["lengths"] == {"min": 5, "max": 5_001, "mean": (5 + 5_000 + 5_001) / 3}
    assert column["distinct"] == 3
    assert max(len(each["value"]) for each in column["commonest"]) == 100
    table, _ = profiled(request_for(tmp_path, "x\n" + "a" * 5_000 + "\n"))
    assert [len(cell) for cell in table["first_rows"][0]] == [200]


def test_the_first_rows_when_the_table_is_large_then_only_some_are_shown(tmp_path: Path) -> None:
    header = ",".join(f"c{number}" for number in range(250))
    row = ",".join(["NA", *("1" for _ in range(249))])
    table, _ = profiled(request_for(tmp_path, f"{header}\n" + f"{row}\n" * 30))
    assert table["rows"] == 30
    assert table["first_rows"] == [[None, *["1"] * 199]] * 20


def test_an_infinite_number_in_parquet_when_profiled_then_the_column_is_still_counted(tmp_path: Path) -> None:
    table = pd.DataFrame({"x": [1.0, math.nan, math.inf, 1.0], "y": [1, 2, 3, 4]})
    found, columns = profiled(request_for(tmp_path, saved(table, "parquet", tmp_path), "parquet"))
    assert (found["errors"], columns["x"]["error"]["row"], columns["x"]["type"]) == (1, 3, "real")
    assert (columns["x"]["missing"], columns["x"]["distinct"]) == (1, 2)
    assert columns["y"]["numbers"]["max"] == 4


def test_a_column_that_is_left_out_when_profiled_then_it_is_a_repair(tmp_path: Path) -> None:
    require_agreement(request_for(tmp_path, ",a\n0,x\n1,y\n", target_attributes=("a",)))


@pytest.mark.parametrize(
    ("content", "slug"),
    [
        ("a,b\n1,2\n3\n", "ragged-row"),
        ("a,b\n", "no-rows"),
        ("", "empty-file"),
        ("a,\n" + "1,\n" * 2_000 + "3,4\n", "bad-column-name"),
    ],
)
def test_a_file_that_is_no_table_when_profiled_then_refused_and_nothing_is_left(
    tmp_path: Path, content: str, slug: str
) -> None:
    request = request_for(tmp_path, content)
    with pytest.raises(TabularError) as caught:
        profile(request)
    assert caught.value.slug == slug
    assert not request.target.exists()
    assert str(caught.value) == str(refusal_of(request))


def test_a_page_of_columns_when_read_then_it_is_that_page(tmp_path: Path) -> None:
    header = ",".join(f"c{number}" for number in range(30))
    request = request_for(tmp_path, f"{header}\n" + ",".join(map(str, range(30))))
    profile(request)
    page = read_profile(request.target, first=10, most=5)
    assert [column["name"] for column in page.columns] == ["c10", "c11", "c12", "c13", "c14"]
    assert page.table["columns"] == 30
    assert read_profile(request.target, first=30).columns == []


async def test_a_file_when_profiled_in_a_child_then_the_file_is_the_same(tmp_path: Path) -> None:
    request = request_for(tmp_path, saved(frame("csv"), "csv", tmp_path))
    seen: list[Progress] = []
    answer = await profile_in_process(request, ProcessLimits(), on_progress=seen.append)
    data = request.target.read_bytes()
    assert answer == profile(request)
    assert request.target.read_bytes() == data
    assert [progress.phase for progress in seen] == ["types", "profile"]
    assert (answer.rows, answer.columns) == (5, len(frame("csv").columns))


async def test_a_refusal_when_profiled_in_a_child_then_it_arrives(tmp_path: Path) -> None:
    request = request_for(tmp_path, "a,b\n1\n")
    with pytest.raises(TabularError) as caught:
        await profile_in_process(request)
    assert caught.value.slug == "ragged-row"
    assert not request.target.exists()


def test_a_moment_when_beyond_pythons_years_then_its_violation_shows_it(tmp_path: Path) -> None:
    moment = pa.array([253_402_300_800 * 1000, 0], pa.timestamp("ms"))  # The year 10000 begins.
    pq.write_table(pa.table({"x": moment, "y": [1, 2]}), tmp_path / "in.parquet")
    request = ConversionRequest(
        source=tmp_path / "in.parquet",
        target=tmp_path / "profile",
        format="parquet",
        relation="table",
        target_attributes=(),
        attributes={"x": "real"},
    )

    _, columns = profiled(request)

    assert "10000-01-01" in columns["x"]["error"]["message"]
