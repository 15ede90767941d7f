"""Real tables, converted and read back, beside what openml-python would have published of the same file.

Where the two differ on purpose, `docs/formats.md` says why.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import arff
import pandas as pd
import pytest

from tests.oracle import SKLEARN, STATSMODELS, is_documented, load, oracle

Converter = Callable[..., Any]


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
