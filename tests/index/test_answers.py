"""`/es/` on our own index as frontends ask it: the forms of Elasticsearch 6 and of its successors, over HTTP."""

import json
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.settings import Settings
from app.index.store import path_in
from tests.conftest import LONG, MakePerson, Person, Running, running
from tests.index.conftest import DOCUMENTS, PRIVATE, SECRET, fill
from tests.index.test_fuzz import Made

SEARCHES = 10_000 if LONG else 40
OWNER = 7
NDJSON = {"Content-Type": "application/x-ndjson"}
SHARDS = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}


@pytest.fixture
def settings(tmp_path: Path, migrated_sqlite: Path) -> Settings:
    """A site whose index is there, and that has nothing else behind it."""
    database = tmp_path / "site.db"
    database.write_bytes(migrated_sqlite.read_bytes())
    fill(path_in(tmp_path / "var"), [*DOCUMENTS, *PRIVATE])
    return Settings(
        _env_file=None,
        data_dir=tmp_path / "var",
        database_uri=f"sqlite:///{database}",
        embedded_worker=False,
        openml_server="http://127.0.0.1:9/",
        search_index=True,
    )


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Running]:
    async with running(settings) as found:
        yield found


async def owner_of(make_person: MakePerson) -> Person:
    """Return the user whose private documents are in the index."""
    people = [await make_person() for _ in range(OWNER)]
    return next(person for person in people if person.id == OWNER)


async def post(app: Running, path: str, body: object, **headers: str) -> dict[str, Any]:
    answer = await app.client.post(f"/es/{path}", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def lines(*parts: object) -> bytes:
    return "".join(f"{json.dumps(part)}\n" for part in parts).encode()


async def test_msearch_when_the_successor_counts_then_a_number_for_each_index(app: Running) -> None:
    kinds = ["data", "task", "flow", "run", "study", "measure"]
    active = {"size": 0, "query": {"term": {"status.keyword": "active"}}}
    asked = [part for kind in kinds for part in ({"index": kind}, active if kind == "data" else {"size": 0})]

    # The older one writes two slashes.
    for path in ("/es/_msearch", "/es//_msearch"):
        answer = await app.client.post(path, content=lines(*asked), headers=NDJSON)
        responses = answer.json()["responses"]
        assert [each["hits"]["total"] for each in responses] == [2, 2, 0, 0, 2, 1]
        assert {each["status"] for each in responses} == {200}
        assert isinstance(answer.json()["took"], int)


async def test_msearch_when_a_search_of_it_is_wrong_then_that_one_says_so_and_the_others_are_answered(
    app: Running,
) -> None:
    asked = lines(
        {"index": "data"}, {"query": {"script": {}}}, {}, {"size": 1}, {"index": ["study"]}, {"size": 9}
    )
    broken = b'{"index": "data"}\n{"size": \n'

    responses = (await app.client.post("/es/data/_msearch", content=asked + broken)).json()["responses"]

    assert [each["hits"]["total"] for each in responses] == [0, 3, 2, 0]
    assert [each.get("problem", {}).get("status") for each in responses] == [400, None, None, 400]
    nothing = (await app.client.post("/es/_msearch", content=b"")).json()
    assert nothing == {"took": 0, "responses": []}
    many = (await app.client.post("/es/_msearch", content=lines({}, {"size": 0}) * 1000)).json()
    assert len(many["responses"]) == 32


async def test_msearch_when_its_first_searches_take_long_then_the_others_say_so(
    app: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.search_service.SEARCHES_SECONDS", -1.0)
    answer = await app.client.post(
        "/es/_msearch", content=lines({"index": "data"}, {"size": 9}), headers=NDJSON
    )
    (late,) = answer.json()["responses"]
    assert (late["hits"]["total"], late["problem"]["status"]) == (0, 503)


async def test_mget_and_count_when_asked_then_in_their_forms(app: Running) -> None:
    both = await post(app, "data/_mget", {"ids": ["61", 2, "4711", "62"]})
    mixed = await post(
        app, "_mget", {"docs": [{"_index": "task", "_id": "59"}, {"_type": "user", "_id": "1"}]}
    )
    wrong: list[object] = [None, [], {"ids": "61"}, {"docs": [1, {"_id": {}}]}]
    odd = [await post(app, "_mget", body) for body in wrong]

    assert [(each["_id"], each["found"]) for each in both["docs"]] == [
        ("61", True),
        ("2", True),
        ("4711", False),
        ("62", False),
    ]
    assert [each["_source"].get("target_feature") for each in mixed["docs"]] == ["class", None]
    assert "email" not in mixed["docs"][1]["_source"]
    assert odd == [{"docs": []}] * 4
    assert await post(app, "data/_count", {"query": {"term": {"status": "active"}}}) == {
        "count": 2,
        "_shards": SHARDS,
    }
    assert (await post(app, "_all/_count", {}))["count"] == len(DOCUMENTS)
    refused = await post(app, "data/_count", {"query": {"script": {}}})
    assert (refused["count"], refused["problem"]["status"]) == (0, 400)


async def test_list_of_the_successor_when_searched_then_facets_ranges_and_sort(app: Running) -> None:
    """As `OpenMLSearchConnector` of app-next asks."""
    fields = ["name^3", "exact_name^3", "description^3", "tags.tag^3", "uploader^2", "format^1", "status^1"]
    ranges = [{"from": 0, "to": 999}, {"from": 1000, "to": 9999}, {"from": 1_000_000}]
    body: dict[str, Any] = {
        "query": {
            "bool": {"must": [{"multi_match": {"query": "flowers steel", "fields": fields}}], "filter": []}
        },
        "from": 0,
        "size": 20,
        "aggs": {
            "status.keyword": {"terms": {"field": "status.keyword", "size": 10}},
            "licence.keyword": {"terms": {"field": "licence.keyword", "size": 10}},
            "qualities.NumberOfInstances": {
                "range": {"field": "qualities.NumberOfInstances", "ranges": ranges}
            },
        },
        "sort": [{"runs": {"order": "desc"}}],
    }

    found = await post(app, "data/_search", body)
    filters = [
        {"term": {"status.keyword": "active"}},
        {"range": {"qualities.NumberOfInstances": {"gte": 500}}},
    ]
    query = {"bool": {"must": [{"match_all": {}}], "filter": filters}}
    narrowed = await post(app, "data/_search", {**body, "query": query})
    members = await post(
        app,
        "data/_search",
        {
            "query": {"bool": {"must": [{"ids": {"values": ["61", "2"]}}]}},
            "_source": ["qualities.NumberOfFeatures"],
        },
    )

    assert found["hits"]["total"] == {"value": 2, "relation": "eq"}
    assert [hit["_id"] for hit in found["hits"]["hits"]] == ["2", "61"]
    aggregations = found["aggregations"]
    assert aggregations["status.keyword"]["buckets"] == [{"key": "active", "doc_count": 2}]
    assert {each["key"] for each in aggregations["licence.keyword"]["buckets"]} == {
        "Public",
        "Attribution (CC BY)",
    }
    counts = [each["doc_count"] for each in aggregations["qualities.NumberOfInstances"]["buckets"]]
    assert counts == [2, 0, 0]
    assert [hit["_id"] for hit in narrowed["hits"]["hits"]] == ["2"]
    assert [hit["_source"] for hit in members["hits"]["hits"]] == [
        {"qualities": {"NumberOfFeatures": 39}},
        {"qualities": {"NumberOfFeatures": 5}},
    ]


async def test_suggestions_and_highlights_when_asked_then_in_elasticsearchs_form(app: Running) -> None:
    completion = {"prefix": "ir", "completion": {"field": "suggest", "size": 5}}
    suggested = await post(app, "data/data/_search", {"size": 0, "suggest": {"names": completion}})
    body = {"query": {"query_string": {"query": "petal"}}, "highlight": {"fields": {"description": {}}}}
    marked = await post(app, "data/data/_search", body)
    both = await post(app, "_all/_search", {"size": 0, "suggest": {"names": {**completion, "prefix": "zz"}}})

    (names,) = suggested["suggest"]["names"]
    assert (names["text"], names["offset"], names["length"]) == ("ir", 0, 2)
    option = names["options"][0]
    assert (option["text"], option["_id"], option["_index"]) == ("iris flowers", "61", "data")
    assert option["_source"]["data_id"] == 61
    assert marked["hits"]["hits"][0]["highlight"] == {
        "description": ["Measured sepals &amp; <em>petals</em> of running flowers"]
    }
    assert both["suggest"]["names"][0]["options"] == []


async def test_document_when_it_is_known_then_304_and_another_for_its_owner(
    app: Running, make_person: MakePerson
) -> None:
    owner = await owner_of(make_person)
    first = await app.client.get("/es/data/data/61")
    tag = {"If-None-Match": first.headers["etag"]}
    again = await app.client.get("/es/data/_doc/61", headers=tag)
    changed = await app.client.get("/es/data/data/2", headers=tag)
    private = await app.client.get("/es/data/data/62", headers=owner.headers)
    hidden = await app.client.get("/es/data/data/62", headers={"If-None-Match": private.headers["etag"]})

    assert (first.status_code, first.headers["cache-control"]) == (200, "no-cache")
    assert "Authorization" in first.headers["vary"]
    assert (again.status_code, again.content) == (304, b"")
    assert changed.status_code == 200
    assert (private.json()["found"], private.headers["cache-control"]) == (True, "private, no-cache")
    assert (hidden.status_code, hidden.json()["found"]) == (200, False)


async def test_document_when_the_index_is_not_there_then_said_so_and_not_kept(settings: Settings) -> None:
    path_in(settings.data_dir).unlink()
    async with running(settings) as site:
        answer = await site.client.get("/es/data/data/61")

    assert (answer.status_code, answer.json()["found"]) == (200, False)
    assert answer.json()["problem"]["status"] == 503


@pytest.mark.timeout(3600)
async def test_es_when_anything_is_sent_then_200_nothing_private_and_soon(
    app: Running, make_person: MakePerson
) -> None:
    """Every search that is made by chance, over HTTP: as nobody, and as somebody who is not the owner."""
    stranger = await make_person()
    assert stranger.id != OWNER
    made, chance = Made(19), random.Random(20)  # noqa: S311 - the same requests each time
    used = []
    for number in range(SEARCHES):
        body, headers = made.body(), stranger.headers if number % 2 else {}
        began = time.process_time()
        answer = await _send(app.client, body, chance, headers)
        used.append(time.process_time() - began)
        assert answer.status_code == 200, (body, answer.text)
        # The suggester repeats what was typed.
        asked = {json.dumps(each["prefix"]) for each in body.get("suggest", {}).values()}
        text = answer.text
        for typed in asked:
            text = text.replace(f'"text": {typed}', "")
        assert SECRET not in text, body
    used.sort()
    assert used[int(0.99 * len(used))] < 1, "a search costs more than it may"


async def _send(
    client: httpx.AsyncClient, body: dict[str, Any], chance: random.Random, headers: dict[str, str]
) -> httpx.Response:
    kind = chance.choice(["data", "study", "user"])
    path = chance.choice([f"/es/{kind}/{kind}/_search", f"/es/{kind}/_search", "/es/_all/_search"])
    if chance.random() < 0.1:
        return await client.post(f"/es/{kind}/_count", content=json.dumps(body), headers=headers)
    if chance.random() < 0.1:
        asked = lines({"index": kind}, body)
        return await client.post("/es/_msearch", content=asked, headers=headers | NDJSON)
    return await client.post(path, content=json.dumps(body), headers=headers)
