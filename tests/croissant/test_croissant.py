"""Croissant descriptions: what they say of a dataset, whoever wrote its document, and of a draft."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.settings import Settings
from app.croissant.encoding import to_json
from app.croissant.metadata import MOST_LABELS, DescribedColumn, FileObject, TaskSplits, unique_ids, write
from app.croissant.published import describe_published
from tests.conftest import Running, running
from tests.web.pages import conftest as pages
from tests.web.pages.test_catalogue import EVIL, NOISE, fill, iris

ADDRESSES: dict[str, Any] = {
    "page": "http://site/d/61",
    "file": "http://site/iris.arff",
    "parquet": "http://site/iris.parquet",
}
FEATURES = [
    {"name": "a b", "index": "0", "type": "numeric", "missing": 3},
    {"name": "a_b", "index": "1", "type": "string", "missing": 0, "ignore": "1"},
    {"name": "class", "type": "nominal", "missing": 0, "distinct": "2", "labels": ["x", "y"], "target": "1"},
    {"name": "many", "type": "nominal", "missing": 0, "distinct": "90", "labels": ["x", "y"]},
]


def described(**fields: Any) -> dict[str, Any]:
    return describe_published({**iris().document, "features": FEATURES, **fields}, **ADDRESSES)


def test_dataset_when_described_then_its_files_fields_labels_and_facts() -> None:
    found = described(md5_checksum="0" * 32, collection_date="1936", citation="Fisher 1936")
    arff, parquet = found["distribution"]
    assert (arff["contentUrl"], arff["md5"], parquet["contentUrl"]) == (
        "http://site/iris.arff",
        "0" * 32,
        "http://site/iris.parquet",
    )
    assert found["isLiveDataset"] is True
    labels, rows = found["recordSet"]
    assert [field["@id"] for field in rows["field"]] == ["rows/a%20b", "rows/a_b", "rows/class", "rows/many"]
    assert [field["dataType"] for field in rows["field"]] == ["sc:Float", "sc:Text", "sc:Text", "sc:Text"]
    assert rows["field"][2]["references"] == {"field": {"@id": labels["field"][0]["@id"]}}
    assert labels["data"] == [{"labels/class/name": "x"}, {"labels/class/name": "y"}]
    assert [field["source"]["extract"]["column"] for field in rows["field"][:2]] == ["a b", "a_b"]
    assert found["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    assert (found["citeAs"], found["datePublished"]) == ("Fisher 1936", "2026-11-29T10:00:00")
    assert found["creator"] == [{"@type": "Person", "name": "R. A. Fisher"}]
    assert found["rai:dataCollectionTimeframe"] == "1936"
    assert found["rai:dataCollectionMissingData"] == "Values are missing in 1 of 4 columns: a b (3)."
    assert "What is to be predicted." in rows["field"][2]["description"]


def test_dataset_when_its_file_is_parquet_then_that_is_read_by_its_checksum() -> None:
    document = {**iris().document, "features": FEATURES, "md5_checksum": "0" * 32}
    found = describe_published(document, **{**ADDRESSES, "file": "http://site/61.pq"}, is_parquet=True)

    (file,) = found["distribution"]
    assert (file["@id"], file["contentUrl"], file["md5"]) == ("data.parquet", "http://site/61.pq", "0" * 32)
    assert "isLiveDataset" not in found
    assert found["recordSet"][-1]["field"][0]["source"]["fileObject"]["@id"] == "data.parquet"


def test_splits_when_tasks_have_them_then_a_record_set_for_each_that_refers_to_their_parts() -> None:
    splits = [TaskSplits(59, "10-fold Crossvalidation", "http://site/tasks/59/splits?format=csv")]
    found = describe_published(iris().document, **ADDRESSES, splits=splits)

    assert found["distribution"][-1]["contentUrl"] == "http://site/tasks/59/splits?format=csv"
    parts, task = found["recordSet"][-2:]
    assert parts["dataType"] == "cr:Split"
    assert parts["data"][0] == {"split/name": "TRAIN", "split/url": "cr:TrainingSplit"}
    assert "10-fold Crossvalidation" in task["description"]
    assert [field["name"] for field in task["field"]] == ["type", "rowid", "repeat", "fold"]
    assert task["field"][0]["references"] == {"field": {"@id": "split/name"}}
    assert {field["source"]["fileObject"]["@id"] for field in task["field"]} == {"splits-59.csv"}


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text(max_size=5)))
def test_ids_when_names_are_any_then_each_has_its_own(names: list[str]) -> None:
    found = unique_ids([*names, *names, "a b", "a_b", "a%20b"])
    assert len({*found}) == len(found)
    assert all(each and not set(each) & set(" /<>\"'#?") for each in found)


@pytest.mark.parametrize("value", NOISE)
def test_dataset_when_its_document_is_odd_then_described_and_nothing_ends_a_script(value: Any) -> None:
    odd = dict.fromkeys(
        (*iris().document, "parquet_url", "collection_date", "citation", "md5_checksum"), value
    )
    for document in (odd, {**odd, "features": [value, {"name": value, "labels": value, "distinct": value}]}):
        text = to_json(describe_published(document, **ADDRESSES))
        assert not set(text) & set("<>&\u2028\u2029")
        assert json.loads(text)["name"]


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "http://a b/", "file:///etc/passwd"]
)
def test_address_when_it_is_none_of_the_web_then_left_out(address: str) -> None:
    assert address not in to_json(described(parquet_url=address, original_data_url=address))


def test_table_when_it_has_20_000_columns_of_labels_then_bounded_and_soon() -> None:
    features = [
        DescribedColumn(f"c {n}", f"c {n}", "nominal", [f"l{k}" for k in range(50)]) for n in range(20_000)
    ]
    begin = time.process_time()
    text = to_json(
        write({"name": "wide"}, [FileObject("t.csv", "text/csv", "t.csv", "0" * 64)], features, address="x")
    )
    assert time.process_time() - begin < 5
    assert len(text) < 12_000_000
    assert text.count('"labels/') < 4 * MOST_LABELS


site_settings = pages.site_settings


@pytest.fixture(params=["", "build"])
async def site(request: pytest.FixtureRequest, site_settings: Settings) -> AsyncIterator[Running]:
    """A site with and without the frontend's build, and with nothing behind it."""
    spa_dir = site_settings.spa_dir if request.param else ""
    chosen = site_settings.model_copy(update={"spa_dir": spa_dir, "search_index": True})
    fill(chosen, iris(features=FEATURES, description=EVIL), iris(63, name="diary", visibility="private"))
    async with running(chosen) as found:
        yield found


async def test_croissant_when_no_other_server_has_it_then_made_of_the_index(site: Running) -> None:
    found = await site.client.get("/croissant/dataset/61")
    assert (found.status_code, found.headers["content-type"]) == (200, "application/ld+json")
    assert found.json()["description"] == EVIL
    assert "<" not in found.text
    assert "sandbox" in found.headers["content-security-policy"]
    again = await site.client.get("/croissant/dataset/61", headers={"If-None-Match": found.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_croissant_when_private_or_not_there_then_404(site: Running) -> None:
    answers = [await site.client.get(f"/croissant/dataset/{number}") for number in ("63", "64", "x")]
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert all(answer.headers["content-type"] == "application/problem+json" for answer in answers)
