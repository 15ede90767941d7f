"""The preview: it says what the conversion then does, of every format, and counts exactly."""

import json
import math
import random
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from app.tabular import (
    ConversionRequest,
    Limits,
    ProcessLimits,
    Progress,
    TabularError,
    format_of,
    profile_in_process,
    read_profile,
)
from app.tabular.convert import convert
from app.tabular.profile import profile
from app.tabular.trials import CHOICES
from tests.oracle import SKLEARN, STATSMODELS, load

MIB = 1024 * 1024
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
        source, folder / "out", name.format, "table", is_compressed=name.is_compressed, **fields
    )


def profiled(request: ConversionRequest) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    profile(request)
    page = read_profile(request.target, most=100_000)
    assert page.table["columns"] == len(page.columns)
    return page.table, {column["name"]: column for column in page.columns}


def column_of(folder: Path, cells: list[str], **fields: Any) -> dict[str, Any]:
    content = "x,row\n" + "".join(f"{cell},{row}\n" for row, cell in enumerate(cells))
    return profiled(request_for(folder, content, **fields))[1]["x"]


def messy(kind: str, folder: Path) -> bytes:
    """Return the table in a format; text stays text in those that have types."""
    table = pd.DataFrame(MESSY, dtype=object)
    path = folder / "table"
    if kind in {"csv", "tsv"}:
        return table.to_csv(index=False, sep="\t" if kind == "tsv" else ",").encode()
    table = table.assign(whole=[1, 2, 3, 4, 2**60], real=[0.5, math.nan, 1, 2, 3], truth=[True, False] * 2 + [True])
    if kind in {"json", "jsonl"}:
        return str(table.to_json(orient="records", lines=kind == "jsonl")).encode()
    table["moment"] = pd.to_datetime(["2026-11-21", None, "2026-11-22", "2026-11-22", "2026-11-22"])
    table["group"] = pd.Categorical(["u", "v", None, "u", "v"], categories=["w", "v", "u"])
    table["infinite"] = [1.0, 2.0, math.inf, 3.0, 4.0]
    (table.to_parquet if kind == "parquet" else table.to_feather)(path)
    return path.read_bytes()


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


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "feather", "json", "jsonl"])
@pytest.mark.parametrize("name", [*SKLEARN, *STATSMODELS])
def test_a_real_table_when_profiled_then_it_says_what_the_conversion_does(
    name: str, ending: str, tmp_path: Path
) -> None:
    table = load(name).head(200)
    path = tmp_path / "table"
    if ending.startswith("csv"):
        table.to_csv(path, index=False, compression="gzip" if ending == "csv.gz" else None)
    elif ending.startswith("json"):
        table.to_json(path, orient="records", lines=ending == "jsonl")
    else:
        (table.to_parquet if ending == "parquet" else table.to_feather)(path)
    require_agreement(request_for(tmp_path, path.read_bytes(), ending, target_attributes=(table.columns[-1],)))


@pytest.mark.parametrize(("content", "kind"), [(ARFF, "arff"), (SPARSE, "arff")])
def test_an_arff_file_when_profiled_then_it_says_what_the_conversion_does(
    tmp_path: Path, content: str, kind: str
) -> None:
    require_agreement(request_for(tmp_path, content, kind, target_attributes=("d",)))


@pytest.mark.parametrize("kind", ["csv", "tsv", "json", "jsonl", "parquet", "feather", "arff", "sparse"])
def test_a_type_when_said_to_be_possible_then_it_converts_and_else_it_does_not(tmp_path: Path, kind: str) -> None:
    content: str | bytes = {"arff": ARFF, "sparse": SPARSE}.get(kind) or messy(kind, tmp_path)
    request = request_for(tmp_path, content, "arff" if kind == "sparse" else kind)
    sound = {
        # What is refused whatever its type has to go first, so that it hides nothing.
        column["name"]: "string"
        for column in profiled(request)[1].values()
        if column["error"] and column["alternatives"][0]["possible"]
    }
    table, columns = profiled(request_for(tmp_path, content, request.format, attributes=sound))
    bad = [name for name, column in columns.items() if column["error"]]
    assert table["errors"] == len(bad)
    for name, column in columns.items():
        for alternative in column["alternatives"]:
            tried = request_for(
                tmp_path, content, request.format, attributes={**sound, name: alternative["type"]}
            )
            # Other columns that no type can help would be refused first.
            refusal = refused(tried, but=bad) if not bad or [name] == bad else None
            if refusal is None and bad and [name] != bad:
                continue
            assert alternative["possible"] is (refusal is False), (name, alternative, refusal)
