"""Statistics of published files against numpy's; pages and exports of the columnar copy; hostile files."""

import bz2
import gzip
import json
import lzma
from collections import Counter
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from app.tabular import ProcessLimits
from app.tabular.statistics import columns as columns_module
from app.tabular.statistics import copy as copy_module
from app.tabular.statistics.computing import compute
from app.tabular.statistics.process import ask_of_file
from app.tabular.statistics.requests import FileRequest, Page
from app.tabular.types import Limits, TabularError

NUMBERS = np.random.default_rng(7).normal(5, 100, 3000)
LABELS = np.random.default_rng(8).choice(["low", "high", "o'dd, <b>"], 3000, p=[0.5, 0.3, 0.2]).tolist()


def arff_of(rows: int = 3000) -> str:
    """A table with a number that follows the class, missing cells, a text and a date."""
    lines = [
        "@relation t",
        "@attribute x numeric",
        "@attribute y real",
        "@attribute c {low,high,'o\\'dd, <b>',never}",
        "@attribute t string",
        "@attribute d date 'yyyy-MM-dd'",
        "@data",
    ]
    for row in range(rows):
        x = "?" if row % 7 == 0 else repr(float(NUMBERS[row]))
        label = "'o\\'dd, <b>'" if LABELS[row] == "o'dd, <b>" else LABELS[row]
        lines.append(
            f"{x},{float(NUMBERS[row]) * 2 + row % 5!r},{label},'text {row % 40}',2020-01-{row % 28 + 1:02}"
        )
    return "\n".join(lines) + "\n"


def request(tmp_path: Path, text: str, target: str = "") -> FileRequest:
    source = tmp_path / "source.arff"
    source.write_text(text, encoding="utf-8")
    return FileRequest("statistics", tmp_path / "copy", source, tmp_path / "json", target_attribute=target)


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def computed(tmp_path: Path, text: str, target: str = "") -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    asked = request(tmp_path, text, target)
    compute(asked)
    assert asked.target is not None
    table, _, *lines = map(json.loads, asked.target.read_text(encoding="utf-8").splitlines())
    return table, {each["name"]: each for each in lines}


def check_numbers(found: dict[str, Any], values: np.ndarray) -> None:
    assert (found["min"], found["max"], found["count"]) == (values.min(), values.max(), len(values))
    assert found["mean"] == pytest.approx(values.mean(), rel=1e-12)
    assert found["standard_deviation"] == pytest.approx(values.std(ddof=1), rel=1e-12)
    counts, edges = np.histogram(values, bins=20)
    assert found["histogram"]["edges"] == pytest.approx(edges, rel=1e-12)
    assert found["histogram"]["counts"] == counts.tolist()


def test_statistics_when_computed_then_those_of_numpy(tmp_path: Path) -> None:
    table, columns = computed(tmp_path, arff_of(), "c")
    stated = np.array([number for row, number in enumerate(NUMBERS) if row % 7])
    doubled = np.array([number * 2 + row % 5 for row, number in enumerate(NUMBERS)])

    check_numbers(columns["x"], stated)
    check_numbers(columns["y"], doubled)
    for share, value in columns["x"]["quantiles"].items():
        assert value == pytest.approx(np.quantile(stated, float(share)), rel=1e-12)
    assert columns["x"]["missing"] == len(range(0, 3000, 7))
    assert columns["x"]["distinct"] == len(np.unique(stated))
    assert {each["value"]: each["count"] for each in columns["c"]["commonest"]} == Counter(LABELS)
    assert (columns["t"]["distinct"], columns["t"]["lengths"]["max"]) == (40, 7)
    assert (columns["d"]["first"], columns["d"]["last"]) == ("2020-01-01", "2020-01-28")
    mask = np.array([row % 7 != 0 for row in range(3000)])
    assert table["correlations"]["values"][1][0] == pytest.approx(np.corrcoef(stated, doubled[mask])[0, 1])
    assert table["classes"] == [label for label, _ in Counter(LABELS).most_common()]
    high = np.array([number for number, label in zip(doubled, LABELS, strict=True) if label == "high"])
    edges = columns["y"]["histogram"]["edges"]
    assert columns["y"]["by_class"]["high"] == np.histogram(high, bins=edges)[0].tolist()


def test_statistics_when_the_table_does_not_fit_then_exact_ones_stay_and_others_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_module, "WHOLE_ROWS", 1000)
    monkeypatch.setattr(copy_module, "SAMPLE_ROWS", 300)
    monkeypatch.setattr(columns_module, "_MOST_DISTINCT", 500)
    monkeypatch.setattr("app.tabular.statistics.source.BATCH_ROWS", 100)
    monkeypatch.setattr("app.tabular.readers.arff.BLOCK_BYTES", 4000)

    table, columns = computed(tmp_path, arff_of(), "c")

    stated = np.array([number for row, number in enumerate(NUMBERS) if row % 7])
    check_numbers(columns["x"], stated)
    assert not table["is_exact"]
    assert not columns["x"]["quantiles_are_exact"]
    assert not columns["x"]["distinct_is_exact"]
    assert columns["x"]["distinct"] >= 500
    assert columns["c"]["distinct_is_exact"]
    assert {each["value"]: each["count"] for each in columns["c"]["commonest"]} == Counter(LABELS)
    assert columns["x"]["quantiles"]["0.5"] == pytest.approx(np.median(stated), abs=30)


def test_statistics_when_rows_are_sparse_then_zero_and_the_first_label_count(tmp_path: Path) -> None:
    text = "@relation s\n@attribute a numeric\n@attribute b numeric\n@attribute c {p,q}\n@data\n{0 2}\n{1 ?, 2 q}\n{}\n"

    _, columns = computed(tmp_path, text)

    assert (columns["a"]["count"], columns["a"]["max"], columns["a"]["distinct"]) == (3, 2.0, 2)
    assert columns["b"]["missing"] == 1
    assert columns["c"]["commonest"] == [{"value": "p", "count": 2}, {"value": "q", "count": 1}]


@pytest.mark.parametrize(
    "pack", [gzip.compress, bz2.compress, lzma.compress, partial(pa.compress, codec="zstd", asbytes=True)]
)
def test_statistics_when_the_file_is_packed_then_of_what_is_in_it(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    asked = request(tmp_path, "")
    assert asked.source is not None
    asked.source.write_bytes(pack(b"@relation p\n@attribute a numeric\n@data\n1\n?\n"))

    assert compute(asked) == {"rows": 2, "columns": 1}


def test_statistics_when_rows_repeat_themselves_then_the_sample_is_as_all_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_module, "SAMPLE_ROWS", 600)
    rows = "".join(f"{row % 2},{'ab'[row // 2 % 2]},{'pq'[row // 4 % 2]}\n" for row in range(6000))
    head = "@relation r\n@attribute x numeric\n@attribute y {a,b}\n@attribute z {p,q}\n@data\n"

    table, _ = computed(tmp_path, head + rows, "z")

    found = {each["name"]: each["value"] for each in table["associations"]["columns"]}
    assert max(found.values()) < 0.2, "every tenth row would be all of one x, and tell y by z"


def test_statistics_when_numbers_are_extreme_then_json_can_say_them(tmp_path: Path) -> None:
    rows = "1e999,1e308,5\nNaN,-1e308,5\n-inf,?,5\n?,0,+5"
    text = f"@relation e\n@attribute a numeric\n@attribute b numeric\n@attribute c numeric\n@data\n{rows}\n"

    _, columns = computed(tmp_path, text)

    assert (columns["a"]["count"], columns["a"]["infinite"]) == (0, 2)
    assert "histogram" not in columns["b"]
    assert (columns["b"]["mean"], columns["b"]["standard_deviation"]) == (0.0, None)
    assert (columns["c"]["histogram"], columns["c"]["standard_deviation"]) == (
        {"edges": [5.0, 5.0], "counts": [4]},
        0.0,
    )


@pytest.mark.parametrize("width", [1_000, pytest.param(20_000, marks=pytest.mark.long)])
def test_statistics_when_there_are_thousands_of_columns_then_each(tmp_path: Path, width: int) -> None:
    head = "\n".join(f"@attribute a{index} numeric" for index in range(width))
    row = ",".join(str(index % 10) for index in range(width))

    table, columns = computed(tmp_path, f"@relation w\n{head}\n@data\n{row}\n{row}\n")

    assert (table["columns"], len(columns)) == (width, width)
    assert table["correlations"]["left_out"] == 0  # none varies
    assert columns[f"a{width - 1}"]["commonest"] == [{"value": 9.0, "count": 2}]


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("not arff", "invalid-arff"),
        ("@relation r\n@attribute a numeric\n@data\nx\n", "value-does-not-fit"),
        ("@relation r\n@attribute a numeric\n@data\n1,2\n", "ragged-row"),
        ("@relation r\n@attribute a numeric\n@data\n{5 1}\n", "invalid-arff"),
        ("", "empty-file"),
        ("<html><body>gone</body></html>", "not-text"),
        ("a,b\n1,2\n", "invalid-arff"),
    ],
)
async def test_statistics_when_the_file_is_none_then_said_so_and_nothing_is_left(
    tmp_path: Path, text: str, slug: str
) -> None:
    asked = request(tmp_path, text)

    with pytest.raises(TabularError) as raised:
        await ask_of_file(asked, ProcessLimits())

    assert raised.value.slug == slug
    assert names_in(tmp_path) == ["source.arff"]


async def test_statistics_when_there_are_no_rows_then_nothing_is_counted(tmp_path: Path) -> None:
    found = await ask_of_file(
        request(tmp_path, "@relation r\n@attribute a numeric\n@data\n"), ProcessLimits()
    )

    assert found == {"rows": 0, "columns": 1}


async def test_copy_when_it_would_be_too_large_then_refused(tmp_path: Path) -> None:
    asked = request(tmp_path, arff_of())
    small = FileRequest(
        "statistics", asked.copy, asked.source, asked.target, limits=Limits(max_unpacked_bytes=1000)
    )

    with pytest.raises(TabularError) as raised:
        await ask_of_file(small, ProcessLimits())

    assert raised.value.slug == "file-too-large"


async def test_rows_when_filtered_and_sorted_then_as_python_does(tmp_path: Path) -> None:
    asked = request(tmp_path, arff_of())
    await ask_of_file(asked, ProcessLimits())
    page = Page(offset=3, limit=5, columns=("x", "c"), sort="x", column="c", operator="eq", value="high")

    found = await ask_of_file(FileRequest("rows", asked.copy, page=page), ProcessLimits())

    high = [row for row in range(3000) if LABELS[row] == "high"]
    stated = sorted((row for row in high if row % 7), key=lambda row: NUMBERS[row])
    assert found["rows"] == stated[3:8]
    assert found["cells"] == [[float(NUMBERS[row]), "high"] for row in stated[3:8]]
    assert (found["found"], found["total"]) == (len(high), 3000)


@pytest.mark.parametrize("operator", ["missing", "present"])
async def test_rows_when_missing_cells_are_asked_for_then_those(tmp_path: Path, operator: Any) -> None:
    asked = request(tmp_path, arff_of(100))
    await ask_of_file(asked, ProcessLimits())

    found = await ask_of_file(
        FileRequest("rows", asked.copy, page=Page(column="x", operator=operator, limit=100)), ProcessLimits()
    )

    assert found["rows"] == [row for row in range(100) if (row % 7 == 0) is (operator == "missing")]


def test_statistics_when_the_file_is_parquet_then_of_its_types(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>"
    columns = {
        "level": pa.array([1.5, float("inf"), None, 4.0]),
        "count": pa.array([1, 2, 3, None], pa.int64()),
        "price": pa.array([None, Decimal("1.25"), Decimal(2), Decimal(3)]),
        "note": pa.array(["a", evil, None, ""]),
        "day": pa.array([None, *(date(2026, 11, day) for day in (1, 2, 3))]),
        "is_wet": pa.array([True, False, None, True]),
        "flood": pa.array(["no", "yes", "no", None]).dictionary_encode(),
    }
    asked = request(tmp_path, "", "flood")
    assert asked.source is not None
    assert asked.target is not None
    pa_parquet.write_table(pa.table(columns), asked.source)

    compute(asked)

    table, head, *lines = map(json.loads, asked.target.read_text(encoding="utf-8").splitlines())
    found = {each["name"]: each for each in lines}
    assert {name: each["kind"] for name, each in found.items()} == {
        "level": "real",
        "count": "integer",
        "price": "real",
        "note": "string",
        "day": "date",
        "is_wet": "nominal",
        "flood": "nominal",
    }
    level, count = found["level"], found["count"]
    assert (level["count"], level["missing"], level["infinite"], level["max"]) == (2, 2, 1, 4.0)
    assert (count["mean"], table["target"], table["classes"]) == (2.0, "flood", ["no", "yes"])
    assert table["bytes"] == asked.source.stat().st_size
    assert head["cells"][1] == [None, 2.0, 1.25, evil, "2026-11-01", "False", "yes"]


@pytest.mark.parametrize("cut", [4, 200])
def test_statistics_when_a_parquet_file_is_cut_off_then_said_so(tmp_path: Path, cut: int) -> None:
    asked = request(tmp_path, "")
    assert asked.source is not None
    pa_parquet.write_table(pa.table({"x": list(range(1000))}), asked.source)
    asked.source.write_bytes(asked.source.read_bytes()[:cut])

    with pytest.raises(TabularError, match="damaged or cut off") as error:
        compute(asked)

    assert error.value.slug == "broken-file"
