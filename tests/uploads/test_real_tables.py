"""Real tables go in as CSV and come back from the OpenML server as openml-python would have published them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import arff
import httpx
import pandas as pd
import pytest

from tests.conftest import NO_CERTIFICATES, PATIENCE_SECONDS, Person, Running
from tests.oracle import is_documented, load, oracle
from tests.uploads.test_data_upload import form


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ["iris", "wine", "fair", "spector"])
async def test_a_real_table_when_uploaded_then_it_comes_back_value_by_value(  # noqa: PLR0917 - fixtures
    app: Running,
    person: Person,
    name: str,
    tmp_path: Path,
    sandbox_url: str,
    create_dataset: Callable[..., Any],
) -> None:
    csv = tmp_path / f"{name}.csv"
    frame = load(name)
    frame.to_csv(csv, index=False)
    target = str(frame.columns[-1])
    theirs = oracle(create_dataset, csv, target)

    files = form(csv.read_bytes(), csv.name, dataset_name=name, def_tar_att=target)
    answer = await app.client.post("/data-upload", files=files, headers=person.headers)

    async with httpx.AsyncClient(
        base_url=sandbox_url, timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES
    ) as openml:
        found = (await openml.get(f"/api/v1/json/data/{answer.json()['id']}")).json()["data_set_description"]
        ours = arff.loads((await openml.get(found["url"])).text)
    assert [column for column, _ in ours["attributes"]] == [column for column, _ in theirs["attributes"]]
    assert ours["data"] == theirs["data"]
    assert len(ours["data"]) == len(pd.read_csv(csv))
    for (column, mine), (_, their_type) in zip(ours["attributes"], theirs["attributes"], strict=True):
        assert mine == their_type or is_documented(frame[column], mine, their_type), column
