"""What openml-python would have published of a table, and the real tables that scikit-learn and statsmodels ship."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import arff
import pandas as pd

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


def oracle(create: Callable[..., Any], csv: Path, target: str) -> dict[str, Any]:
    """Return what openml-python would publish, as liac-arff reads it."""
    return oracle_of_frame(create, pd.read_csv(csv), target)


def oracle_of_frame(create: Callable[..., Any], data: pd.DataFrame, target: str) -> dict[str, Any]:
    """Return the same for a table that pandas has read already."""
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


def is_documented(column: "pd.Series[Any]", ours: Any, theirs: Any) -> bool:
    """Whole numbers with gaps stay INTEGER; a target of text becomes nominal."""
    if (ours, theirs) == ("INTEGER", "REAL"):
        return bool(column.isna().any())
    return isinstance(ours, list) and bool(theirs == "STRING")
