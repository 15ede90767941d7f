"""Real tables, converted and read back, beside what openml-python would have published of the same file.

Where the two differ on purpose, `docs/formats.md` says why.
"""

import importlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import arff
import pandas as pd
import pytest

Converter = Callable[..., Any]

SKLEARN = ("iris", "wine", "breast_cancer", "diabetes", "linnerud", "digits")
STATSMODELS = (
    "anes96", "cancer", "ccard", "china_smoking", "co2", "committee", "copper", "cpunish", "danish_data", "elnino",
    "engel", "fair", "grunfeld", "heart", "interest_inflation", "longley", "macrodata", "modechoice", "nile", "randhie",
    "scotland", "spector", "stackloss", "star98", "statecrime", "strikes", "sunspots",
)  # fmt: skip


def load(name: str) -> pd.DataFrame:
    if name in SKLEARN:
        datasets = importlib.import_module("sklearn.datasets")
        frame: pd.DataFrame = getattr(datasets, f"load_{name}")(as_frame=True).frame
        return frame
    module = importlib.import_module(f"statsmodels.datasets.{name}")
    table: pd.DataFrame = module.load_pandas().data
    return table


@pytest.fixture(scope="module")
def create_dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """openml-python's own function; it reads and writes its configuration on import, and so gets a home of its own."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        home = str(tmp_path_factory.mktemp("openml"))
        patch.setenv("HOME", home)
        patch.setenv("XDG_CONFIG_HOME", home)
        patch.setenv("OPENML_CACHE_DIR", home)
        functions = importlib.import_module("openml.datasets.functions")
        yield functions.create_dataset


def oracle(create: Callable[..., Any], csv: Path, target: str) -> dict[str, Any]:
    """Return what openml-python would publish, as liac-arff reads it."""
    data = pd.read_csv(csv)
    nothing = dict.fromkeys(
        ("creator", "contributor", "collection_date", "language", "licence", "ignore_attribute", "citation")
    )
    dataset = create(
        name="table",
        description="d",
        attributes="auto",
        data=data,
        default_target_attribute=target,
        **nothing,
    )
    document: dict[str, Any] = arff.loads(dataset._dataset)
    return document


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

    assert [each for each, _ in ours["attributes"]] == [each for each, _ in theirs["attributes"]]
    assert ours["data"] == theirs["data"]
    for (column, mine), (_, theirs_type) in zip(ours["attributes"], theirs["attributes"], strict=True):
        assert mine == theirs_type or is_documented(load(name)[column], mine, theirs_type), column


def is_documented(column: "pd.Series[Any]", ours: Any, theirs: Any) -> bool:
    """Whole numbers with gaps stay INTEGER; a target of text becomes nominal."""
    if (ours, theirs) == ("INTEGER", "REAL"):
        return bool(column.isna().any())
    return isinstance(ours, list) and bool(theirs == "STRING")


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
