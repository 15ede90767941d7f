import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse, Response

from app.core.settings import Settings
from app.web.search_answers import type_of_index
from app.web.search_query import TYPES, QueryRefusedError, translate
from tests.conftest import MakePerson, Running, running
from tests.servers import serving
from tests.web.search.elastic import SearchServer

COUNTS = {
    "size": 0,
    "query": {
        "bool": {
            "should": [
                {"term": {"status": "active"}},
                {"bool": {"must_not": {"exists": {"field": "status"}}}},
            ]
        }
    },
    "aggs": {"count_by_type": {"terms": {"field": "_type", "size": 100}}},
}
STUDIES = {
    "size": 0,
    "query": {
        "bool": {
            "filter": {
                "bool": {"should": [{"wildcard": {"name": "*benchmark*"}}, {"wildcard": {"name": "*suite*"}}]}
            }
        }
    },
}


def list_of(field: str = "_type", text: str | None = None, **changes: Any) -> dict[str, Any]:
    """A search as the SPA's list pages send it."""
    return {
        "from": 0,
        "size": 50,
        "query": {
            "bool": {
                "must": {"query_string": {"query": text}} if text else {"match_all": {}},
                "filter": changes.pop("filter", []),
                "should": [{"term": {"visibility": "public"}}],
                "minimum_should_match": 1,
            }
        },
        "aggs": {"type": {"terms": {"field": field}}},
        "_source": ["data_id", "name", "status", "first_name", "last_name", "email"],
        "sort": {"runs": {"order": "desc"}},
        **changes,
    }


def names(answer: httpx.Response) -> list[str]:
    return [hit["_source"].get("name") for hit in answer.json()["hits"]["hits"]]


async def test_sidebar_when_it_counts_then_numbers_by_type_on_every_version(app: Running) -> None:
    counts = (await app.client.post("/es/_all/_search", json=COUNTS)).json()
    studies = (await app.client.post("/es/study/study/_search", json=STUDIES)).json()

    buckets = {b["key"]: b["doc_count"] for b in counts["aggregations"]["count_by_type"]["buckets"]}
    assert buckets == {"data": 3, "task": 1, "task_type": 1, "study": 2, "user": 1}
    assert studies["hits"]["total"] == 1


async def test_list_when_asked_in_either_spelling_then_total_in_that_spelling(app: Running) -> None:
    six = await app.client.post("/es/data/data/_search?type=data", json=list_of())
    eight = await app.client.post("/es/data/_search", json=list_of("_index"))

    assert six.json()["hits"]["total"] == 3, six.text
    assert eight.json()["hits"]["total"] == {"value": 3, "relation": "eq"}
    assert names(six) == names(eight) == ["iris", "kr-vs-kp", "anneal"]
    hit = six.json()["hits"]["hits"][0]
    assert (hit["_index"], hit["_type"], hit["_id"]) == ("data", "data", "61")
    assert six.json()["aggregations"]["type"]["buckets"] == [{"key": "data", "doc_count": 3}]
    assert six.headers["cache-control"] == "no-store"


async def test_total_when_there_are_more_than_ten_thousand_then_exact(
    app: Running, server: SearchServer
) -> None:
    server.indices["flow"] = {str(number): {"visibility": "public"} for number in range(10_050)}

    answer = await app.client.post("/es/flow/flow/_search", json=list_of(sort="_score", size=1))

    assert answer.json()["hits"]["total"] == 10_050


FILTERED: list[tuple[dict[str, Any], int]] = [
    ({"filter": [{"term": {"status": "active"}}]}, 3),
    ({"filter": [{"range": {"runs": {"gte": "600"}}}]}, 1),
    ({"filter": [{"range": {"runs": {"gte": 20, "lte": 610}}}]}, 2),
    ({"filter": [{"prefix": {"name": "kr"}}]}, 1),
    ({"filter": [{"nested": {"path": "tags", "query": {"term": {"tags.tag": "uci"}}}}]}, 1),
    ({"filter": [{"terms": {"data_id": [1, 2, 62]}}]}, 2),
    ({"text": "iris"}, 1),
    ({"text": "name:i*"}, 1),
    ({"sort": [{"runs": "asc"}], "_source": []}, 3),
    ({"_source": False, "sort": ["_score"]}, 3),
]


async def test_list_when_filtered_as_the_frontend_does_then_found(app: Running) -> None:
    for change, expected in FILTERED:
        answer = await app.client.post("/es/data/data/_search", json=list_of(**change))

        assert answer.json()["hits"]["total"] == expected, answer.json().get("problem")


async def test_document_when_there_then_found_in_either_spelling(app: Running) -> None:
    for path in ("/es/data/data/61", "/es/data/_doc/61", "/es//data/data/61", "/es/data/data/61?x=1"):
        answer = await app.client.get(path)
        assert answer.status_code == 200
        document = answer.json()
        assert (document["found"], document["_id"], document["_type"]) == (True, "61", "data")
        assert document["_source"]["name"] == "iris"


async def test_document_when_missing_or_private_then_200_and_not_found(app: Running) -> None:
    for number in ("4711", "62"):
        answer = await app.client.get(f"/es/data/data/{number}")
        assert (answer.status_code, answer.json()) == (
            200,
            {"_index": "data", "_type": "data", "_id": number, "found": False},
        )


async def test_private_when_searched_for_in_any_way_then_never_there(app: Running) -> None:
    everything: list[dict[str, Any]] = [
        {"query": {"match_all": {}}},
        {},
        {"query": {"term": {"visibility": "private"}}},
        {"query": {"ids": {"values": ["62"]}}},
        {
            "query": {
                "bool": {"should": [{"match_all": {}}, {"term": {"data_id": 62}}], "minimum_should_match": 0}
            }
        },
        {"query": {"query_string": {"query": "visibility:private"}}},
        {"query": {"query_string": {"query": "mine) OR (name:mine"}}},
        {"query": {"constant_score": {"filter": {"term": {"name": "mine"}}}}},
        {"size": 0, "aggs": {"names": {"terms": {"field": "name", "size": 100}}}},
    ]
    for path in ("/es/data/data/_search", "/es/data/_search", "/es/_all/_search"):
        for body in everything:
            answer = await app.client.post(path, json=body)
            assert answer.status_code == 200
            assert "mine" not in json.dumps(answer.json()["hits"]), body
            assert not any(
                b["key"] == "mine"
                for a in answer.json().get("aggregations", {}).values()
                for b in a["buckets"]
            )


async def test_es_when_a_dataset_is_private_then_only_its_owner_sees_it(
    app: Running, make_person: MakePerson
) -> None:
    people = [await make_person() for _ in range(7)]
    owner = next(person for person in people if person.id == 7)

    found = await app.client.post("/es/data/data/_search", json=list_of(), headers=owner.headers)
    counted = await app.client.post("/es/_all/_search", json=COUNTS, headers=owner.headers)
    counted_by_others = await app.client.post("/es/_all/_search", json=COUNTS)
    document = await app.client.get("/es/data/_doc/62", headers=owner.headers)
    refused = await app.client.get("/es/data/_doc/62", headers={"Authorization": "Bearer null"})

    # The SPA's own clause asks for what is public; a list of one's own is asked for without it.
    assert found.json()["hits"]["total"] == 3
    all_of_it = await app.client.post("/es/data/data/_search", json={"size": 5}, headers=owner.headers)
    assert all_of_it.json()["hits"]["total"] == 4
    assert document.json()["_source"]["name"] == "mine"
    assert refused.json()["found"] is False
    assert total_of(counted) == total_of(counted_by_others) + 1


def total_of(answer: httpx.Response) -> int:
    return sum(b["doc_count"] for b in answer.json()["aggregations"]["count_by_type"]["buckets"])


async def test_users_when_listed_then_names_are_texts_and_addresses_are_not_there(app: Running) -> None:
    listed = await app.client.post("/es/user/user/_search", json=list_of(sort={"date": {"order": "desc"}}))
    one = await app.client.get("/es/user/user/1")
    by_text = await app.client.post("/es/user/user/_search", json=list_of(text="Engines"))
    by_address = await app.client.post("/es/user/user/_search", json=list_of(text="ada@private.example"))
    by_field = await app.client.post("/es/user/user/_search", json=list_of(text="email:ada*"))

    assert listed.json()["hits"]["hits"][0]["_source"] == {"first_name": "Ada", "last_name": ""}
    assert one.json()["_source"]["datasets_uploaded"] == 3
    assert "private.example" not in listed.text + one.text
    assert [a.json()["hits"]["total"] for a in (by_text, by_address, by_field)] == [1, 0, 0]


REFUSED: list[object] = [
    {"query": {"term": {"email": "ada@private.example"}}},
    {"query": {"prefix": {"email.keyword": "a"}}},
    {"aggs": {"a": {"terms": {"field": "email"}}}},
    {"sort": {"email": "asc"}},
    {"query": {"script": {"script": "1"}}},
    {"query": {"terms": {"data_id": {"index": ".security", "id": "1", "path": "secret"}}}},
    {"query": {"more_like_this": {"like": [{"_index": "data", "_id": "62"}]}}},
    {"query": {"percolate": {}}},
    {"query": {"match": {"_all": "x"}}},
    {"script_fields": {"a": {"script": "1"}}},
    {"suggest": {"a": {"text": "m", "completion": {"field": "suggest"}}}},
    {"aggs": {"a": {"global": {}, "aggs": {"b": {"terms": {"field": "name"}}}}}},
    {"aggs": {"a": {"terms": {"script": "1"}}}},
    {"aggs": {"a": {"top_hits": {}}}},
    {"sort": {"_script": {"script": "1"}}},
    {"size": 100_000},
    {"from": 9_990, "size": 50},
    {"size": -1},
    {"size": True},
    {"from": "0"},
    {"post_filter": {}},
    {"query": {"bool": {"must": [{"match_all": {}}] * 400}}},
    {"query": {"query_string": {"query": "x" * 2000}}},
    {"query": {"a": 1, "b": 2}},
    {"query": []},
    {"sort": {"a": {"order": "down"}}},
    [],
    None,
    "text",
    1e400,
]


@pytest.mark.parametrize("server", [8], indirect=True)
async def test_search_when_not_the_frontends_then_empty_with_a_reason_and_not_passed_on(
    app: Running, server: SearchServer
) -> None:
    for body in REFUSED:
        answer = await app.client.post(
            "/es/data/data/_search", content=json.dumps(body), headers={"Content-Type": "application/json"}
        )

        assert answer.status_code == 200
        assert answer.json()["hits"] == {"total": 0, "max_score": None, "hits": []}
        assert answer.json()["problem"]["status"] == 400
        assert server.requests == []


async def test_search_when_body_is_no_json_or_too_deep_then_empty(app: Running) -> None:
    deep = '{"query":' + '{"bool":{"must":' * 5000 + "1"
    for content in (b"", b"{", b"\xff\xfe", deep.encode(), ("[" * 100_000).encode()):
        answer = await app.client.post("/es/data/_search", content=content)
        assert (answer.status_code, answer.json()["hits"]["total"]["value"]) == (200, 0)


async def test_search_when_names_are_half_characters_then_answered(app: Running) -> None:
    content = b'{"size":0,"aggs":{"\\ud800":{"terms":{"field":"\\udfff"}}, "b":{"nope":{}}}}'

    answer = await app.client.post("/es/data/data/_search", content=content)

    assert answer.status_code == 200


OTHER_PATHS = [
    "/es/",
    "/es/_cat/indices",
    "/es/_cluster/health",
    "/es/.security/_search",
    "/es/data/task/_search",
    "/es/data,task/_search",
    "/es/*/_search",
    "/es/data/_delete_by_query",
    "/es/data/data/_mapping",
    "/es/data/data/61/_update",
    "/es/_search",
    "/es/nothing/_search",
]


@pytest.mark.parametrize("server", [8], indirect=True)
async def test_path_when_not_on_the_list_then_404_and_not_passed_on(
    app: Running, server: SearchServer
) -> None:
    for path in OTHER_PATHS:
        for method in ("GET", "POST"):
            answer = await app.client.request(method, path)
            assert answer.status_code == 404, method
        for method in ("PUT", "DELETE", "PATCH"):
            assert (await app.client.request(method, "/es/data/data/61")).status_code == 405
        assert server.requests == []


BAD_ANSWERS: list[Callable[[], Response]] = [
    lambda: Response(status_code=502),
    lambda: Response(status_code=404),
    lambda: Response(status_code=429),
    lambda: PlainTextResponse("<html>"),
    lambda: Response('{"hits": {"total": "many"}}', media_type="application/json"),
    lambda: Response('{"hits": {"total": 1, "hits": [1]}}', media_type="application/json"),
    lambda: Response('{"hits": {"total": 1, "hits": [{"_source": 3}]}}', media_type="application/json"),
    lambda: Response("[]", media_type="application/json"),
    lambda: Response('{"hits": {"total": ' + "[" * 100_000, media_type="application/json"),
    lambda: Response(b"x" * (33 << 20)),
]


@pytest.mark.parametrize("server", [8], indirect=True)
async def test_search_when_server_fails_then_never_an_error_status(
    app: Running, server: SearchServer
) -> None:
    for answer in BAD_ANSWERS:
        server.answer = answer
        listed = await app.client.post("/es/data/data/_search", json=list_of())
        document = await app.client.get("/es/data/data/61")

        assert listed.status_code == document.status_code == 200
        assert listed.json()["hits"] == {"total": 0, "max_score": None, "hits": []}
        assert listed.json()["aggregations"] == {"type": {"buckets": []}}
        assert listed.json()["problem"]["status"] == 503
        assert document.json()["found"] is False


@pytest.mark.parametrize("server", [6], indirect=True)
async def test_search_when_syntax_is_wrong_then_empty_list(app: Running) -> None:
    answer = await app.client.post("/es/data/data/_search", json=list_of(text="name:("))

    assert (answer.status_code, answer.json()["hits"]["total"]) == (200, 0)
    assert "400" in answer.json()["problem"]["detail"]


@pytest.mark.parametrize("server", [8], indirect=True)
async def test_counts_when_many_pages_ask_then_the_server_is_asked_once(
    app: Running, server: SearchServer
) -> None:
    server.delay_seconds = 0.2

    answers = await asyncio.gather(*(app.client.post("/es/_all/_search", json=COUNTS) for _ in range(40)))
    later = await app.client.post("/es/_all/_search", json=COUNTS)

    assert len({answer.text for answer in [*answers, later]}) == 1
    assert len(server.requests) == 1
    # Lists are not kept: what was just published has to be there.
    for _ in range(2):
        await app.client.post("/es/data/data/_search", json=list_of())
    assert len(server.requests) == 3


@pytest.mark.parametrize("server", [8], indirect=True)
async def test_counts_when_one_stops_waiting_then_the_others_do_not(
    app: Running, server: SearchServer
) -> None:
    server.delay_seconds = 0.3
    first = asyncio.ensure_future(app.client.post("/es/_all/_search", json=COUNTS))
    await asyncio.sleep(0.05)
    second = asyncio.ensure_future(app.client.post("/es/_all/_search", json=COUNTS))
    await asyncio.sleep(0.05)
    first.cancel()

    assert total_of(await second) == 8


async def test_search_when_server_is_away_then_empty_at_once_and_asked_seldom(
    search_settings: Settings,
) -> None:
    async with serving(SearchServer().app) as gone:
        pass
    async with running(search_settings.model_copy(update={"elasticsearch_server": gone})) as site:
        began = time.monotonic()
        for _ in range(50):
            answer = await site.client.post("/es/data/data/_search", json=list_of())
            assert (answer.status_code, answer.json()["hits"]["total"]) == (200, 0)
        assert (await site.client.get("/es/data/data/61")).json()["found"] is False
        assert time.monotonic() - began < 3


async def test_search_when_there_is_no_server_then_empty_with_a_reason(search_settings: Settings) -> None:
    async with running(search_settings) as site:
        answer = await site.client.post("/es/_all/_search", json=COUNTS)
        assert answer.json()["aggregations"] == {"count_by_type": {"buckets": []}}
        assert "no search server" in answer.json()["problem"]["detail"]


def test_type_of_index_when_name_carries_more_then_longest_type() -> None:
    assert [type_of_index(name) for name in ("data", "task_type_v3", "task-2026", "study_v1", "other")] == [
        "data",
        "task_type",
        "task",
        "study",
        "other",
    ]


WORDS = [
    *(
        "bool",
        "must",
        "filter",
        "should",
        "must_not",
        "minimum_should_match",
        "nested",
        "path",
        "query",
        "exists",
    ),
    *(
        "term",
        "terms",
        "range",
        "gte",
        "ids",
        "values",
        "query_string",
        "match_all",
        "aggs",
        "field",
        "size",
        "from",
    ),
    *("sort", "order", "_source", "email", "_type", "name", "script"),
]
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=5)
)
JSON = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
)
PARTS = st.sampled_from(["query", "sort", "aggs", "_source", "size", "from"])


@given(body=st.dictionaries(PARTS, JSON))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_translate_when_anything_comes_then_narrowed_or_refused(body: dict[str, Any]) -> None:
    try:
        question = translate(body, TYPES, viewer_id=None)
    except QueryRefusedError:
        return
    assert question["query"]["bool"]["filter"] == [
        {
            "bool": {
                "should": [
                    {"term": {"visibility": "public"}},
                    {"bool": {"must_not": [{"exists": {"field": "visibility"}}]}},
                ],
                "minimum_should_match": 1,
            }
        }
    ]
    assert "email" in question["_source"]["excludes"]
    assert not {"script", "_type", "email"} & set(names_in(question["query"]))


def names_in(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from names_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from names_in(inner)
