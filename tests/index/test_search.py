"""What the index answers to clauses, sorts, aggregations and texts, as Elasticsearch does."""

from typing import Any

import pytest

from app.index.clauses import ClauseReader
from app.index.engine import SearchIndex
from app.index.lucene import read_text
from app.web.search_query import TYPES, translate
from tests.index.conftest import found

Clause = dict[str, Any]

FOUND: list[tuple[Clause, list[str]]] = [
    ({"match_all": {}}, ["3", "2", "61"]),
    ({"term": {"status": "active"}}, ["2", "61"]),
    ({"term": {"status.keyword": "active"}}, ["2", "61"]),
    ({"term": {"data_id": "61"}}, ["61"]),
    ({"term": {"name": "flowers"}}, ["61"]),
    ({"term": {"exact_name": "iris flowers"}}, ["61"]),
    ({"term": {"exact_name": "iris"}}, []),
    ({"term": {"runs": "many"}}, []),
    ({"terms": {"data_id": [2, "61", 62]}}, ["2", "61"]),
    ({"terms": {"qualities.Skew": [0.25, *range(1, 1000)]}}, ["61"]),
    ({"terms": {"description": ["steel", *(f"no{n}" for n in range(999))]}}, ["2"]),
    ({"terms": {"runs": [9, *range(1000, 1999)]}}, ["61"]),
    ({"ids": {"values": ["2", "62"]}}, ["2"]),
    ({"range": {"runs": {"gte": "10"}}}, ["2"]),
    ({"range": {"qualities.NumberOfInstances": {"gte": 100, "lte": 200}}}, ["61"]),
    ({"range": {"qualities.Skew": {"gt": 0.2}}}, ["61"]),
    ({"range": {"date": {"gte": "2014-05"}}}, ["2"]),
    ({"prefix": {"name": "kr"}}, ["3"]),
    ({"prefix": {"licence": "cc"}}, ["61"]),
    ({"wildcard": {"name": "*nne*"}}, ["2"]),
    ({"wildcard": {"name": "ann?al"}}, ["2"]),
    ({"exists": {"field": "qualities.Skew"}}, ["61"]),
    ({"exists": {"field": "nothing.at.all"}}, []),
    ({"match": {"description": "petal steel"}}, ["2", "61"]),
    ({"match": {"description": {"query": "petals flower", "operator": "and"}}}, ["61"]),
    ({"match_phrase": {"description": "petals of running"}}, ["61"]),
    ({"match_phrase": {"description": "running petals"}}, []),
    ({"multi_match": {"query": "steel chess", "fields": ["name^3", "description"]}}, ["3", "2"]),
    ({"nested": {"path": "tags", "query": {"term": {"tags.tag": "uci"}}}}, ["2", "61"]),
    ({"nested": {"path": "tags", "query": {"term": {"tags.tag": "study_99"}}}}, ["61"]),
    ({"nested": {"path": "features", "query": {"term": {"features.name": "petalwidth"}}}}, ["61"]),
    ({"nested": {"path": "features", "query": {"range": {"features.missing": {"gt": 0}}}}}, []),
    ({"bool": {"must_not": [{"exists": {"field": "runs"}}]}}, ["3"]),
    ({"bool": {"must_not": [{"match": {"description": "steel"}}]}}, ["3", "61"]),
    ({"bool": {"should": [{"term": {"data_id": 2}}, {"match": {"name": "iris"}}]}}, ["2", "61"]),
    (
        {
            "bool": {
                "must": [{"match_all": {}}],
                "should": [{"term": {"data_id": 2}}],
                "minimum_should_match": 1,
            }
        },
        ["2"],
    ),
    ({"bool": {"must": [{"match_all": {}}], "should": [{"term": {"data_id": 2}}]}}, ["3", "2", "61"]),
    (
        {
            "bool": {
                "should": [
                    {"term": {"uploader_id": 1}},
                    {"term": {"format": "ARFF"}},
                    {"match": {"name": "iris"}},
                ],
                "minimum_should_match": 2,
            }
        },
        ["61"],
    ),
    ({"constant_score": {"filter": {"term": {"version": 2}}}}, ["2"]),
]

TEXTS: list[tuple[str, list[str]]] = [
    ("iris", ["61"]),
    ("IRIS Flower", ["61"]),
    ("petal OR steel", ["2", "61"]),
    ("petal steel", ["2", "61"]),
    ("petal AND steel", []),
    ("+petal -steel", ["61"]),
    ("petal && sepal", ["61"]),
    ("NOT petal", ["3", "2"]),
    ("(petal OR steel) AND NOT chess", ["2", "61"]),
    ('"sepals petals"', ["61"]),
    ('"petals sepals"', []),
    ("flo*", ["61"]),
    ("name:iris", ["61"]),
    ("name:petal", []),
    ("name:(iris OR anneal)", ["2", "61"]),
    ("description:steel^2 OR iris~1", ["2", "61"]),
    ("description:steel~^2.5~ OR iris^1^3", ["2", "61"]),
    ("runs:[5 TO 10]", ["61"]),
    ("runs:>50", ["2"]),
    ("runs:{9 TO *]", ["2"]),
    ("qualities.NumberOfFeatures:39", ["2"]),
    ('licence:"Attribution (CC BY)"', ["61"]),
    ("tags.tag:uci", ["2", "61"]),
    ("status:active", ["2", "61"]),
    ("runs:*", ["2", "61"]),
    ("*", ["3", "2", "61"]),
    ("petalwidth", ["61"]),
    ("the", []),
    ("the chess", ["3"]),
]
NO_SYNTAX = [
    "(",
    "((iris",
    "iris)",
    "AND",
    "iris AND",
    "a:b:c",
    "name:",
    ":",
    '"',
    '"iris',
    "[1 TO",
    "^^",
    "\\",
    "-",
    "+ -",
    "~",
    "NOT",
    "!!!",
]
NO_SYNTAX += [
    "*" * 50,
    "?*?*?*?*?",
    "(" * 500,
    "a" * 1000,
    "\0",
    "\ud800",
    "name:*x*y*z*w*v*u*t*",
    "x^",
    "{a TO b}",
    "a OR OR b",
]


def ask(
    body: dict[str, Any], kinds: tuple[str, ...] = ("data",), viewer: int | None = None
) -> dict[str, Any]:
    return translate(body, kinds, viewer_id=viewer, is_embedded=True)


async def search(
    index: SearchIndex, body: dict[str, Any], kinds: tuple[str, ...] = ("data",), viewer: int | None = None
) -> dict[str, Any]:
    return await index.search(kinds, ask(body, kinds, viewer), viewer_id=viewer)


def test_a_word_when_a_megabyte_of_distances_then_read_in_one_step() -> None:
    """Tried from each as the first, this takes a day, in which no other thread runs."""
    reader = ClauseReader(("data",), read_text)
    assert read_text("iris" + "~" * 1_000_000, reader, "or").match == read_text("iris", reader, "or").match
    read_text("iris" + "~" * 1_000_000 + "x", reader, "or")


async def test_clauses_when_of_the_grammar_then_what_elasticsearch_finds(index: SearchIndex) -> None:
    for clause, expected in FOUND:
        answer = await search(index, {"query": clause})

        assert sorted(found(answer)) == sorted(expected), clause
        assert answer["hits"]["total"] == {"value": len(expected), "relation": "eq"}, clause


async def test_texts_when_in_lucenes_syntax_then_understood(index: SearchIndex) -> None:
    for text, expected in TEXTS:
        answer = await search(index, {"query": {"query_string": {"query": text}}})

        assert sorted(found(answer)) == sorted(expected), text


async def test_texts_when_they_are_no_syntax_then_words_and_never_an_error(index: SearchIndex) -> None:
    for text in NO_SYNTAX:
        for operator in ("or", "and"):
            query = {"query_string": {"query": text, "default_operator": operator}}
            answer = await search(index, {"query": query})
            assert answer["timed_out"] is False, text
    assert found(await search(index, {"query": {"query_string": {"query": "((iris"}}})) == ["61"]


async def test_text_when_it_stands_in_the_name_then_before_one_in_the_description(index: SearchIndex) -> None:
    answer = await search(index, {"query": {"query_string": {"query": "sepals anneal"}}})

    assert found(answer) == ["2", "61"]
    scores = [hit["_score"] for hit in answer["hits"]["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert answer["hits"]["max_score"] == scores[0] > 0


SORTED: list[tuple[Any, list[str]]] = [
    ({"runs": {"order": "desc"}}, ["2", "61", "3"]),
    ({"runs": {"order": "asc"}}, ["61", "2", "3"]),
    ([{"date": "asc"}], ["61", "2", "3"]),
    ([{"qualities.Skew": "desc"}], ["61", "3", "2"]),
    ([{"status": "asc"}, {"runs": "desc"}], ["2", "61", "3"]),
    (["_score"], ["3", "2", "61"]),
]


async def test_sort_when_by_any_field_then_those_without_it_come_last(index: SearchIndex) -> None:
    for sort, expected in SORTED:
        assert found(await search(index, {"sort": sort})) == expected, sort
    second = await search(index, {"sort": {"runs": {"order": "desc"}}, "from": 1, "size": 1})
    assert (found(second), second["hits"]["total"]["value"]) == (["61"], 3)
    assert second["hits"]["hits"][0]["sort"] == [9]


async def test_aggregations_when_asked_then_in_elasticsearchs_forms(index: SearchIndex) -> None:
    answer = await search(
        index,
        {
            "size": 0,
            "aggs": {
                "licence": {
                    "terms": {"field": "licence.keyword"},
                    "aggs": {"runs": {"max": {"field": "runs"}}},
                },
                "first": {"terms": {"field": "status", "size": 1}},
                "runs": {"stats": {"field": "runs"}},
                "names": {"cardinality": {"field": "name"}},
                "skew": {"avg": {"field": "qualities.Skew"}},
                "none": {"max": {"field": "description"}},
                "tags": {"nested": {"path": "tags"}, "aggs": {"tag": {"terms": {"field": "tags.tag"}}}},
                "size": {
                    "range": {"field": "qualities.NumberOfInstances", "ranges": [{"to": 500}, {"from": 500}]}
                },
            },
        },
    )
    made = answer["aggregations"]

    assert {b["key"]: (b["doc_count"], b["runs"]["value"]) for b in made["licence"]["buckets"]} == {
        "Public": (1, 100),
        "Attribution (CC BY)": (1, 9),
    }
    assert (made["first"]["buckets"], made["first"]["sum_other_doc_count"]) == (
        [{"key": "active", "doc_count": 2}],
        1,
    )
    assert made["runs"] == {"count": 2, "min": 9, "max": 100, "avg": 54.5, "sum": 109}
    assert (made["names"], made["skew"], made["none"]) == ({"value": 3}, {"value": 0.25}, {"value": None})
    assert made["tags"]["doc_count"] == 3
    assert {b["key"]: b["doc_count"] for b in made["tags"]["tag"]["buckets"]} == {"uci": 2, "study_14": 1}
    assert [(b["key"], b["doc_count"]) for b in made["size"]["buckets"]] == [("*-500", 1), ("500-*", 1)]


async def test_counts_when_over_all_kinds_then_by_their_names(index: SearchIndex) -> None:
    body = {"size": 0, "aggs": {"kinds": {"terms": {"field": "_type", "size": 100}}}}

    counted = (await search(index, body, TYPES))["aggregations"]["kinds"]["buckets"]
    mine = (await search(index, body, TYPES, viewer=7))["aggregations"]["kinds"]["buckets"]

    expected = {"data": 3, "task": 2, "study": 2, "user": 1, "measure": 1, "task_type": 1}
    assert {b["key"]: b["doc_count"] for b in counted} == expected
    assert {b["key"]: b["doc_count"] for b in mine} == {**expected, "data": 4, "study": 3}


async def test_source_when_fields_are_named_then_those_alone(index: SearchIndex) -> None:
    async def shown(source: Any) -> Any:
        answer = await search(index, {"query": {"ids": {"values": ["61"]}}, "_source": source})
        return answer["hits"]["hits"][0]["_source"]

    assert await shown(["name", "qualities.NumberOfInstances", "no.such"]) == {
        "name": "iris flowers",
        "qualities": {"NumberOfInstances": 150},
    }
    assert await shown(["features.name", "exact_*"]) == {
        "features": [{"name": "petalwidth"}],
        "exact_name": "iris flowers",
    }
    assert await shown(source=False) == {}
    assert "description" in await shown(source=True)


async def test_suggestions_when_a_name_begins_so_then_the_most_used_first(index: SearchIndex) -> None:
    body = {"size": 0, "suggest": {"mine": {"prefix": "ir", "completion": {"field": "suggest", "size": 3}}}}

    one = (await search(index, body))["suggest"]["mine"][0]

    assert (one["text"], one["offset"], one["length"]) == ("ir", 0, 2)
    assert [(option["text"], option["_id"]) for option in one["options"]] == [("iris flowers", "61")]


async def test_highlight_when_asked_then_the_words_are_marked_and_the_rest_is_escaped(
    index: SearchIndex,
) -> None:
    body = {
        "query": {"match": {"description": "petal"}},
        "highlight": {"fields": {"description": {}, "name": {}}},
    }

    hit = (await search(index, body))["hits"]["hits"][0]

    assert hit["highlight"] == {"description": ["Measured sepals &amp; <em>petals</em> of running flowers"]}


async def test_users_and_tasks_when_shown_then_with_what_follows_from_other_documents(
    index: SearchIndex,
) -> None:
    user = await index.get("user", "1")
    task = await index.get("task", "59")
    data = await index.get("data", "61")

    assert user is not None
    assert task is not None
    assert data is not None
    assert (user["datasets_uploaded"], user["tasks_uploaded"], user["nr_of_uploads"]) == (2, 1, 3)
    assert "email" not in user
    assert (task["collections"], task["uploader"]) == ([{"type": "task", "id": 99}], "Ada Lovelace")
    assert {tag["tag"] for tag in data["tags"]} == {"UCI", "study_14", "study_99"}
    members = {"nested": {"path": "collections", "query": {"term": {"collections.id": "99"}}}}
    assert found(await search(index, {"query": members}, ("task",))) == ["59"]


@pytest.mark.parametrize("viewer", [None, 7, 8])
async def test_private_when_asked_for_by_anybody_then_its_owners_alone(
    index: SearchIndex, viewer: int | None
) -> None:
    is_owner = viewer == 7

    assert (await index.get("data", "62", viewer_id=viewer) is not None) is is_owner
    assert ("62" in found(await search(index, {"size": 10}, viewer=viewer))) is is_owner
    everything = await index.search(
        ("data",), {"size": 10, "query": {"term": {"visibility": "private"}}}, viewer_id=viewer
    )
    assert found(everything) == (["62"] if is_owner else [])


async def test_hits_when_their_documents_are_very_large_then_fewer_are_shown(
    index: SearchIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.index.search.MOST_READ", 10)
    answer = await search(index, {"size": 9})
    assert (len(found(answer)), answer["hits"]["total"]["value"]) == (1, 3)
