"""Searches that nobody wrote: none is an error, and none tells a thing of what is private."""

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from app.index.engine import SearchIndex
from app.index.store import path_in
from app.web.search_query import TYPES, QueryRefusedError, translate
from tests.conftest import LONG
from tests.index.conftest import DOCUMENTS, PRIVATE, SECRET, fill

SEARCHES = 10_000 if LONG else 400
FIELDS = [
    *(
        "name",
        "exact_name",
        "description",
        "status",
        "status.keyword",
        "visibility",
        "uploader_id",
        "runs",
        "date",
    ),
    *("data_id", "version", "licence", "format", "tags.tag", "collections.id", "qualities.NumberOfInstances"),
    *(
        "qualities.Skew",
        "features.name",
        "_index",
        "_id",
        "_type",
        "nothing",
        "a.b.c",
        "tags",
        'a"b',
        "uploader",
        "é",
    ),
]
VALUES: list[Any] = [
    *(
        SECRET,
        f"{SECRET} iris",
        "iris",
        "flowers",
        "active",
        "private",
        "public",
        7,
        62,
        "62",
        61,
        77777,
        1e300,
    ),
    *(
        -1,
        0,
        "0",
        "",
        "*",
        "z*",
        "?",
        "%",
        "_",
        "2030",
        "uci",
        True,
        None,
        "\0",
        "\ud800",
        "'; DROP TABLE entry; --",
    ),
    *('"', "\\", "NaN", "1e999", "(", "data", "study_99"),
]
TEXTS = [
    "iris",
    SECRET,
    f"{SECRET}*",
    "name:zz*",
    "NOT iris",
    "* OR *",
    "visibility:private",
    "uploader_id:7",
    "_id:62",
]
TEXTS += [
    "(a AND",
    '"',
    "tags.tag:zz*",
    "runs:[1 TO *]",
    "-flowers",
    "licence:z*",
    "features.name:zz*",
    "date:>2029",
    "+",
]
SORTS = [*FIELDS, "_score"]


class Made:
    """Searches made by chance."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - the same searches each time

    def body(self) -> dict[str, Any]:
        chance = self._chance
        body: dict[str, Any] = {}
        if chance.random() < 0.9:
            body["query"] = self.clause(0)
        if chance.random() < 0.6:
            body["sort"] = [
                {chance.choice(SORTS): {"order": chance.choice(["asc", "desc"])}}
                for _ in range(chance.randint(1, 3))
            ]
        if chance.random() < 0.5:
            body["aggs"] = {f"a{n}": self.aggregation(0) for n in range(chance.randint(1, 3))}
        if chance.random() < 0.3:
            body["_source"] = chance.choice(
                [True, False, ["name"], ["*"], ["qualities.*", "tags.tag"], ["a.b"]]
            )
        if chance.random() < 0.2:
            body["highlight"] = {"fields": {chance.choice(FIELDS[:3]): {}}}
        if chance.random() < 0.2:
            text = chance.choice([*TEXTS, "zz", "i", ""])
            body["suggest"] = {"s": {"prefix": text, "completion": {"field": "suggest", "size": 5}}}
        return {**body, "from": chance.choice([0, 0, 0, 1, 9000]), "size": chance.choice([0, 1, 10, 1000])}

    def clause(self, depth: int) -> dict[str, Any]:
        chance = self._chance
        field, value = chance.choice(FIELDS), chance.choice(VALUES)
        made: list[dict[str, Any]] = [
            {"term": {field: value}},
            {"terms": {field: chance.choices(VALUES, k=3)}},
            {"range": {field: {chance.choice(["gte", "lt", "gt", "lte"]): value}}},
            {"prefix": {field: value}},
            {"wildcard": {field: f"*{value}*"}},
            {"match": {field: value}},
            {"match_phrase": {field: value}},
            {"multi_match": {"query": str(value), "fields": ["name^2", "description"]}},
            {"exists": {"field": field}},
            {"ids": {"values": ["62", "61", str(value)]}},
            {"match_all": {}},
            {"query_string": {"query": f"{chance.choice(TEXTS)} {chance.choice(TEXTS)}"}},
        ]
        if depth < 4 and chance.random() < 0.5:
            parts: dict[str, Any] = {
                name: [self.clause(depth + 1) for _ in range(chance.randint(1, 3))]
                for name in ("must", "filter", "should", "must_not")
                if chance.random() < 0.5
            }
            return {
                "bool": {
                    **parts,
                    **({"minimum_should_match": chance.randint(0, 3)} if chance.random() < 0.5 else {}),
                }
            }
        if depth < 4 and chance.random() < 0.2:
            path = chance.choice(["tags", "collections", "features", "qualities", "no"])
            return {"nested": {"path": path, "query": self.clause(depth + 1)}}
        return chance.choice(made)

    def aggregation(self, depth: int) -> dict[str, Any]:
        chance, field = self._chance, self._chance.choice(FIELDS)
        kind = chance.choice(
            ["terms", "nested", "min", "max", "avg", "sum", "stats", "cardinality", "value_count", "range"]
        )
        options: dict[str, Any] = {"field": field}
        if kind == "nested":
            options = {"path": chance.choice(["tags", "features", "no"])}
        if kind == "range":
            options["ranges"] = [{"to": chance.choice([1, "x", 100])}, {"from": 100}]
        below = {"below": self.aggregation(depth + 1)} if depth < 2 and chance.random() < 0.4 else None
        return {kind: options, **({"aggs": below} if below else {})}


def without_ranks(answer: dict[str, Any]) -> str:
    """The answer without its scores, which the words of all documents have a part in, and what follows from them."""
    hits = answer["hits"]
    for hit in hits["hits"]:
        hit.pop("_score"), hit.pop("sort", None)
    hits.pop("max_score")
    hits["hits"].sort(key=lambda hit: str(hit["_id"]))
    return json.dumps(answer)


@pytest.mark.timeout(1800)
async def test_searches_when_made_by_chance_then_never_an_error_and_nothing_private(
    filled: Path, tmp_path: Path
) -> None:
    public = SearchIndex(fill(path_in(tmp_path), DOCUMENTS))
    both = SearchIndex(filled)
    made, asked, longest = Made(18), 0, 0.0
    for number in range(SEARCHES):
        kinds = TYPES if number % 5 == 0 else ("data",) if number % 5 < 4 else ("study",)
        viewer = (None, 8, None)[number % 3]
        try:
            question = translate(made.body(), kinds, viewer_id=viewer, is_embedded=True)
        except QueryRefusedError:
            continue
        began = time.perf_counter()
        answer = await both.search(kinds, question, viewer_id=viewer)
        longest = max(longest, time.perf_counter() - began)
        text = json.dumps(answer)
        assert SECRET not in text.replace(json.dumps(question.get("suggest", "")), "") or _is_echo(answer), (
            question
        )
        assert without_ranks(answer) == without_ranks(
            await public.search(kinds, question, viewer_id=viewer)
        ), question
        asked += 1
    both.close()
    public.close()
    assert asked > SEARCHES / 2
    assert len(PRIVATE) == 2
    assert longest < 2


def _is_echo(answer: dict[str, Any]) -> bool:
    """Whether the secret stands only where the suggester repeats what was typed."""
    suggested = [one["options"] for part in answer.get("suggest", {}).values() for one in part]
    return SECRET not in json.dumps([{**answer, "suggest": suggested}])
