"""Statistics of small tables beside those of numpy (`tests.statistics_oracle`) and of Python's `statistics`."""

import json
import random
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.tabular.statistics.computing import compute
from app.tabular.statistics.requests import FileRequest
from tests import statistics_oracle

KINDS = {
    "few": "{a,b,'c d'}",
    "many": "string",
    "whole": "integer",
    "real": "real",
    "flat": "numeric",
    "class": "{yes,no}",
}


def table(seed: int, rows: int, *, missing: float) -> str:
    """A table with columns of each kind: cells are missing, and numbers repeat, differ in size or are zero."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    cells: dict[str, Callable[[], str]] = {
        "few": lambda: draw.choice(["a", "a", "b", "'c d'"]),
        "many": lambda: f"'{draw.choice('xyzé')}{draw.randrange(10 ** draw.randrange(5))} ☃'",
        "whole": lambda: str(draw.randrange(-3, 4)),
        "real": lambda: draw.choice([repr(draw.gauss(1e6, 1)), repr(draw.gauss(0, 1e-6)), "0.0", "-0.0"]),
        "flat": lambda: "7",
        "class": lambda: draw.choice(["yes", "no"]),
    }
    head = [f"@attribute {name} {kind}" for name, kind in KINDS.items()]
    body = [
        ",".join("?" if draw.random() < missing else cell() for cell in cells.values()) for _ in range(rows)
    ]
    return "\n".join(["@relation r", *head, "@data", *body]) + "\n"


def computed(folder: Path, text: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    source, target = folder / "source.arff", folder / "statistics"
    source.write_text(text, encoding="utf-8")
    compute(FileRequest("statistics", folder / "copy", source, target, target_attribute="class"))
    about, _, *columns = map(json.loads, target.read_text(encoding="utf-8").splitlines())
    return about, columns


@pytest.mark.parametrize(
    ("seed", "rows", "missing"),
    [(1, 500, 0.2), (2, 1, 0.0), (3, 2, 0.5), (4, 40, 0.9), (5, 60, 1.0), (6, 300, 0.0)],
)
def test_statistics_when_of_any_table_then_those_of_numpy(
    tmp_path: Path, seed: int, rows: int, missing: float
) -> None:
    text = table(seed, rows, missing=missing)

    about, columns = computed(tmp_path, text)

    assert statistics_oracle.differences(about, columns, statistics_oracle.read(text)) == []


def test_statistics_when_computed_by_hand_then_the_same(tmp_path: Path) -> None:
    values = [4, 1, 1, 9, 2]
    rows = "".join(f"{value},{label}\n" for value, label in zip(values, "ababb", strict=True))
    text = f"@relation r\n@attribute x numeric\n@attribute class {{a,b}}\n@data\n{rows}?,a\n"

    about, (x, label) = computed(tmp_path, text)

    assert (x["count"], x["missing"], x["distinct"], x["min"], x["max"]) == (5, 1, 4, 1, 9)
    assert (x["mean"], x["standard_deviation"]) == (3.4, pytest.approx(statistics.stdev(values)))
    assert x["quantiles"]["0.5"] == statistics.median(values) == 2
    assert [x["quantiles"][share] for share in ("0.25", "0.75")] == statistics.quantiles(
        values, method="inclusive"
    )[::2]
    assert x["commonest"][0] == {"value": 1.0, "count": 2}
    assert x["histogram"]["counts"] == [2, 0, 1, 0, 0, 0, 0, 1, *([0] * 11), 1]
    assert [sum(counts) for counts in x["by_class"].values()] == [2, 3]
    assert label["commonest"] == [{"value": "a", "count": 3}, {"value": "b", "count": 3}]
    assert about["associations"]["columns"][0]["measure"] == "correlation_ratio"
    # 2.5 and 4 are the means of the classes, 3.4 is that of all, and 41.2 the sum of squares.
    assert about["associations"]["columns"][0]["value"] == 0, "by chance, labels explain as much of five rows"


def test_associations_when_labels_are_many_then_only_what_is_more_than_chance(tmp_path: Path) -> None:
    rows = "".join(f"n{row},{row % 3},{'xyz'[row % 3]},0.1,{'ab'[row % 2]}\n" for row in range(90))
    head = "".join(
        f"@attribute {name}\n" for name in ("id string", "turn numeric", "turn2 string", "same numeric")
    )
    text = f"@relation r\n{head}@attribute class {{a,b}}\n@data\n{rows}"

    about, columns = computed(tmp_path, text)

    # Each row has an id of its own, which goes with every class, and the third column's mean is no tenth.
    assert {each["name"]: each["value"] for each in about["associations"]["columns"]} == {
        "turn": 0,
        "turn2": 0,
    }
    assert statistics_oracle.differences(about, columns, statistics_oracle.read(text)) == []


def test_associations_when_labels_say_all_then_one(tmp_path: Path) -> None:
    rows = "".join(f"{row % 3},{'xyz'[row % 3]},{'xyz'[row % 3]}\n" for row in range(30))
    text = (
        f"@relation r\n@attribute n numeric\n@attribute l string\n@attribute class {{x,y,z}}\n@data\n{rows}"
    )

    about, _ = computed(tmp_path, text)

    assert [each["value"] for each in about["associations"]["columns"]] == pytest.approx([1, 1])


def test_oracle_when_a_figure_is_another_then_told(tmp_path: Path) -> None:
    text = table(1, 50, missing=0.1)
    about, columns = computed(tmp_path, text)
    cells = statistics_oracle.read(text)
    columns[2]["histogram"]["counts"][0] += 1
    columns[3]["mean"] *= 1.000001
    columns[0]["commonest"][0]["count"] += 1
    about["correlations"]["values"][1][0] += 0.001

    told = statistics_oracle.differences(about, columns, cells)

    assert [text for text in told if "histogram over its edges" in text]
    assert [text for text in told if text.startswith("real: mean")]
    assert [text for text in told if text.startswith("few: commonest")]
    assert [text for text in told if "correlation" in text]
