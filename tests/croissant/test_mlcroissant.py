"""`mlcroissant`, the vocabulary's own reader, reads what we describe: files beside it, and a server that runs.

It is no requirement of the tests: `MLCROISSANT_PYTHON` names a Python that has it.
"""

import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from app.croissant.encoding import to_json
from app.croissant.metadata import DescribedColumn, FileObject, write
from tests.conftest import run_sandbox
from tests.oracle import SKLEARN, STATSMODELS, load
from tests.service import serving_site, wait_for
from tests.web.pages.test_catalogue import iris

pytestmark = pytest.mark.long
READ = """
import json, sys
import mlcroissant as mlc
found = []
for path in sys.argv[2:]:
    dataset = mlc.Dataset(path)
    assert not dataset.metadata.ctx.issues.report(), dataset.metadata.ctx.issues.report()
    records = dataset.records(sys.argv[1])
    rows = [{k: v.decode() if isinstance(v, bytes) else v for k, v in row.items()} for row in records]
    found.append([[None if v != v or v is None else str(v) for v in row.values()] for row in rows])
print(json.dumps(found))
"""
TABLES, MOST_ROWS = 100, 200
Table = tuple[list[str], list[str], list[list[str]]]
"""Names, OpenML's types and rows."""
LEVELS = """@RELATION rivers
@ATTRIBUTE 'a b' REAL
@ATTRIBUTE a_b STRING
@ATTRIBUTE flood {no,yes}
@DATA
1.5,'Ouse, York',no
?,'100 %',yes
-2.25,'<b>',no
"""


@pytest.fixture(scope="module")
def python() -> str:
    found = os.environ.get("MLCROISSANT_PYTHON") or shutil.which("python-mlcroissant")
    if found is None:
        pytest.skip("MLCROISSANT_PYTHON names no Python that has mlcroissant")
    return found


def read(python: str, folder: Path, *addresses: str, of: str = "rows") -> list[list[list[str | None]]]:
    """Return the records of each; what it downloads goes to a folder of its own."""
    environment = {**os.environ, "HOME": str(folder), "XDG_CACHE_HOME": str(folder), "TMPDIR": str(folder)}
    done = subprocess.run(
        [python, "-c", READ, of, *addresses], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows: list[list[list[str | None]]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def test_tables_when_read_by_mlcroissant_then_no_issue_and_the_same_values(
    python: str, tmp_path: Path
) -> None:
    tables = [*real_tables(), *(made_table(number) for number in range(TABLES - len(SKLEARN + STATSMODELS)))]
    assert len(tables) == TABLES
    paths = [describe(tmp_path / str(number), table) for number, table in enumerate(tables)]

    for found, (_, kinds, rows) in zip(read(python, tmp_path, *paths), tables, strict=True):
        assert [compared(row, kinds) for row in found] == [compared(row, kinds) for row in rows]


def compared(row: list[Any], kinds: list[str]) -> list[object]:
    return [
        None if cell in {None, ""} else float(cell) if kind == "numeric" else cell
        for cell, kind in zip(row, kinds, strict=True)
    ]


def describe(folder: Path, table: Table) -> str:
    """Write a table and its description beside it, and return where that is."""
    names, kinds, rows = table
    folder.mkdir()
    file = io.StringIO()
    csv.writer(file).writerows([names, *rows])
    (folder / "t.csv").write_text(file.getvalue())
    digest = hashlib.sha256((folder / "t.csv").read_bytes()).hexdigest()
    columns = [
        DescribedColumn(name, name, kind, ["no", "yes"] if kind == "nominal" else ())
        for name, kind in zip(names, kinds, strict=True)
    ]
    made = write(
        {**iris().document, "citation": "Fisher 1936"},
        [FileObject("t.csv", "text/csv", "t.csv", digest)],
        columns,
        address="http://x/1",
    )
    (folder / "croissant.json").write_text(to_json(made))
    return str(folder / "croissant.json")


def real_tables() -> Iterator[Table]:
    """Yield the tables that scikit-learn and statsmodels ship."""
    for name in SKLEARN + STATSMODELS:
        frame = load(name).head(MOST_ROWS)
        kinds = ["numeric" if kind.kind in "iufb" else "string" for kind in frame.dtypes]
        cells = [
            [
                "" if pd.isna(cell) else repr(float(cell)) if kind == "numeric" else str(cell)
                for cell in frame[column]
            ]
            for column, kind in zip(frame.columns, kinds, strict=True)
        ]
        yield (
            [str(column) for column in frame.columns],
            kinds,
            [list(row) for row in zip(*cells, strict=True)],
        )


def made_table(number: int) -> Table:
    """Return a table whose columns have names that look alike."""
    names = [f"a b{number}", f"a_b{number}", "flood", "Größe, m", "x/y#z"][: 3 + number % 3]
    rows = [[f"v{number}x{row}y{at}" for at in range(len(names))] for row in range(1 + number % 7)]
    for row, cells in enumerate(rows):
        cells[2] = ["no", "yes"][row % 2]
    return names, ["nominal" if at == 2 else "string" for at in range(len(names))], rows


def test_dataset_when_published_then_mlcroissant_reads_it_from_a_server_that_runs(
    python: str, tmp_path: Path, migrated_sqlite: Path
) -> None:
    """The first to ask for the table: its file has still to be fetched and written as Parquet."""
    (tmp_path / "site").mkdir()
    with (
        run_sandbox(tmp_path / "sandbox") as sandbox_url,
        serving_site(tmp_path / "site", migrated_sqlite, sandbox_url, SEARCH_INDEX="true") as site,
    ):
        metadata = {"dataset_name": "rivers", "description": "Levels.", "def_tar_att": "flood"}
        form: dict[str, Any] = {
            "dataset": ("rivers.arff", LEVELS.encode()),
            "metadata": (None, json.dumps(metadata)),
        }
        sent = httpx.post(f"{site.url}/data-upload", files=form, headers=site.headers, timeout=60)
        number = sent.json()["id"]
        address = f"{site.url}/croissant/dataset/{number}"
        wanted = {"dataset_id": number, "task_type": "classification", "target_name": "flood"}

        def made_task() -> httpx.Response:
            return httpx.post(f"{site.url}/upload-task", json=wanted, headers=site.headers, timeout=60)

        wait_for(lambda: made_task().status_code == 200)  # Until the dataset is active.
        splits = f"split/task-{made_task().json()['id']}"

        def is_described() -> bool:
            answer = httpx.get(address, timeout=60)
            sets = {each["@id"]: each for each in answer.json().get("recordSet", [])}
            return len(sets.get("rows", {}).get("field", [])) == 3 and splits in sets

        wait_for(is_described)
        (found,) = read(python, tmp_path, address)
        (lines,) = read(python, tmp_path, address, of=splits)

    assert found == [["1.5", "Ouse, York", "no"], [None, "100 %", "yes"], ["-2.25", "<b>", "no"]]
    assert {row for kind, row, _, _ in lines if kind == "TEST"} == {"0", "1", "2"}
    assert len(lines) == 30, "three rows, ten folds"
