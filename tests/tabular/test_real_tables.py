"""Real tables, converted and read back, beside what openml-python would have published of the same file.

Where the two differ on purpose, `docs/formats.md` says why.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import arff
import pandas as pd
import pytest

from app.tabular.reading import Reading
from openml_sandbox.arffcheck import check_arff
from openml_sandbox.weka import Watcher, read_arff
from tests.oracle import SKLEARN, STATSMODELS, is_documented, load, oracle, oracle_of_frame

Converter = Callable[..., Any]
# The CSV test converts whole tables; here the way of a value through a format is what counts.
FIRST_ROWS = 300
SAVE_AND_READ: dict[str, tuple[Callable[[pd.DataFrame, Path], Any], Callable[[Path], pd.DataFrame]]] = {
    "parquet": (pd.DataFrame.to_parquet, pd.read_parquet),
    "feather": (pd.DataFrame.to_feather, pd.read_feather),
    "json": (
        lambda table, path: table.to_json(path, orient="records", double_precision=15, date_format="iso"),
        lambda path: pd.read_json(path, precise_float=True),
    ),
    "columns.json": (
        lambda table, path: table.to_json(path, double_precision=15, date_format="iso"),
        lambda path: pd.read_json(path, precise_float=True),
    ),
    "jsonl": (
        lambda table, path: table.to_json(
            path, orient="records", lines=True, double_precision=15, date_format="iso"
        ),
        lambda path: pd.read_json(path, lines=True, precise_float=True),
    ),
}


def require_activated(text: str, folder: Path, table: Any) -> None:
    """What the sandbox does with a file: the check at its upload, then the engine's reading of every row."""
    path = folder / "published.arff"
    path.write_text(text)
    assert check_arff(path) is None
    with path.open("rb") as file:
        summary = read_arff(file, Watcher())
    assert [attribute.name.decode() for attribute in summary.attributes] == [
        name for name, _ in table["attributes"]
    ]
    assert summary.row_count == len(table["data"])
    for index, attribute in enumerate(summary.attributes):
        assert attribute.missing_count == sum(row[index] is None for row in table["data"])
        declared = table["attributes"][index][1]
        assert list(attribute.labels) == (
            [x.encode() for x in declared] if isinstance(declared, list) else []
        )


@pytest.mark.every(3)
@pytest.mark.parametrize("name", [*SKLEARN, *STATSMODELS])
def test_a_real_table_when_converted_then_it_equals_what_openml_python_publishes(
    name: str, tmp_path: Path, converter: Converter, create_dataset: Callable[..., Any]
) -> None:
    csv = tmp_path / "table.csv"
    load(name).to_csv(csv, index=False)
    target = pd.read_csv(csv, nrows=0).columns[-1]
    theirs = oracle(create_dataset, csv, target)
    done = converter(csv.read_bytes(), target_attributes=(target,))
    ours = arff.loads(done.text)

    require_activated(done.text, tmp_path, ours)
    assert [each for each, _ in ours["attributes"]] == [each for each, _ in theirs["attributes"]]
    assert ours["data"] == theirs["data"]
    for (column, mine), (_, theirs_type) in zip(ours["attributes"], theirs["attributes"], strict=True):
        assert mine == theirs_type or is_documented(load(name)[column], mine, theirs_type), column


@pytest.mark.parametrize("ending", SAVE_AND_READ)
@pytest.mark.parametrize("name", [*SKLEARN, *STATSMODELS])
@pytest.mark.long
def test_a_real_table_when_in_another_format_then_it_equals_what_openml_python_publishes(
    name: str, ending: str, tmp_path: Path, converter: Converter, create_dataset: Callable[..., Any]
) -> None:
    save, read = SAVE_AND_READ[ending]
    path = tmp_path / f"table.{ending}"
    table = load(name).head(FIRST_ROWS)
    if pd.api.types.is_datetime64_any_dtype(table.index):
        table.index = table.index.astype(str)  # openml-python refuses points in time
    save(table, path)
    data = read(path)
    theirs = oracle_of_frame(create_dataset, data, data.columns[-1])
    kind = ending.rpartition(".")[2]
    # openml-python leaves the labels of rows out.
    unlabelled = Reading(row_names="leave-out")
    done = converter(path.read_bytes(), kind=kind, target_attributes=(data.columns[-1],), reading=unlabelled)
    ours = arff.loads(done.text)

    require_activated(done.text, tmp_path, ours)
    assert [each for each, _ in ours["attributes"]] == [each for each, _ in theirs["attributes"]]
    assert ours["data"] == theirs["data"]
    stored = data.reset_index() if data.index.name else data
    for (column, mine), (_, theirs_type) in zip(ours["attributes"], theirs["attributes"], strict=True):
        # pandas makes integers of `1.0` in JSON.
        is_whole = kind.startswith("json") and (mine, theirs_type) == ("REAL", "INTEGER")
        assert mine == theirs_type or is_whole or is_documented(stored[column], mine, theirs_type), column


def test_differences_when_documented_then_they_are_these(
    tmp_path: Path, converter: Converter, create_dataset: Callable[..., Any]
) -> None:
    csv = tmp_path / "table.csv"
    csv.write_text(
        "gaps,flag,code,long,padded,unknown,empty,target\n"
        "1,true,007,9007199254740993,1,3,,b\n"
        ',false,010,9007199254740995, ,?,"",a\n'
    )
    theirs = oracle(create_dataset, csv, "target")
    done = converter(csv.read_bytes(), target_attributes=("target",))
    ours = arff.loads(done.text)
    both = {
        name: (theirs_type, theirs["data"][1][index], ours_type, ours["data"][1][index])
        for index, ((name, theirs_type), (_, ours_type)) in enumerate(
            zip(theirs["attributes"], ours["attributes"], strict=True)
        )
    }
    assert both == {
        "gaps": ("REAL", None, "INTEGER", None),
        "flag": (["True", "False"], "False", ["false", "true"], "false"),
        "code": ("INTEGER", 10, "STRING", "010"),
        # Their digits were right in the file; every reader of numbers loses the last one.
        "long": ("INTEGER", 9007199254740996, "STRING", "9007199254740995"),
        "padded": ("STRING", " ", "INTEGER", None),
        "unknown": ("STRING", None, "INTEGER", None),
        "empty": ("REAL", None, "REAL", None),
        "target": ("STRING", "a", ["a", "b"], "a"),
    }
