"""Lists and descriptions that a hostile server makes up: kept in bounds, found, shown, and in nobody's way."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from app.index import documents
from app.index.catalogue import Filters
from app.index.cleaning import clean
from app.index.engine import SearchIndex
from app.index.sources import is_id
from app.index.store import Put, Store, path_in
from app.openml import listings, xml
from app.openml.runs import Run, RunMeasure
from app.web.search_query import TYPES, translate
from tests.conftest import LONG

ENTRIES = 3000 if LONG else 120
TEXTS = [
    *("", "1", "-1", "0", "x", "99999-12-31T23:59:59", "2014-04-06T23:23:39", "\0", "\ud800", "nan", "1e999"),
    *(
        "9" * 400,
        "1" * 19,
        "<script>alert(1)</script>",
        "'; DROP TABLE entry; --",
        '" OR name : x',
        "a" * 200_000,
    ),
    *("../../etc", "study_99", "study_" + "9" * 300, "public", "private", "٣", "\u202e", "true", "{}", "[]"),
]
FIELDS = [
    *(
        "did",
        "id",
        "run_id",
        "task_id",
        "flow_id",
        "name",
        "version",
        "status",
        "format",
        "uploader",
        "quality",
    ),
    *(
        "description",
        "upload_date",
        "upload_time",
        "licence",
        "tag",
        "visibility",
        "input",
        "parameter",
        "tasks",
    ),
    *(
        "task_type",
        "task_type_id",
        "creator",
        "main_entity_type",
        "creation_date",
        "ttid",
        "dependencies",
        "runs",
    ),
    *(
        "data",
        "error",
        "external_version",
        "index",
        "data_type",
        "labels",
        "is_target",
        "number_of_missing_values",
    ),
]


class Hostile:
    """Makes entries up by chance."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - the same each time

    def value(self, depth: int = 0) -> Any:
        chance = self._chance
        kind = chance.random()
        if depth > 3 or kind < 0.6:
            return chance.choice(TEXTS)
        if kind < 0.7:
            return None
        if kind < 0.85:
            return [self.value(depth + 1) for _ in range(chance.randint(0, 3))]
        return {chance.choice([*FIELDS, *TEXTS]): self.value(depth + 1) for _ in range(chance.randint(0, 3))}

    def entry(self) -> dict[str, Any]:
        chance = self._chance
        return {name: self.value() for name in chance.sample(FIELDS, chance.randint(0, len(FIELDS)))}

    def text(self) -> str:
        return self._chance.choice(TEXTS)

    def run(self) -> Run:
        numbers = (None, 1, 10**18)
        chance, text = self._chance, self.text
        return Run(
            **{name: chance.choice(numbers) for name in ("task_id", "flow_id", "uploader", "data_id")},
            id=chance.choice(numbers) or 7,
            task_type=text(),
            flow_name=text(),
            uploader_name=text(),
            data_name=text(),
            error=text(),
            settings=[(text(), text())],
            measures=[
                RunMeasure(text(), chance.choice([None, 1e308]), text(), (0.5,) * chance.randint(0, 3))
            ],
            tags=[text(), text()],
            files=[(text(), text())],
        )

    def put(self) -> Put:
        made: list[Callable[[], Put]] = [
            lambda: documents.of_dataset(self.entry()),
            lambda: documents.of_description(61, self.entry(), [self.entry()], {self.text(): self.text()}),
            lambda: documents.of_task(self.entry(), {}),
            lambda: documents.of_flow(self.entry(), detailed=True),
            lambda: documents.of_flow(self.entry(), detailed=False),
            lambda: documents.of_study(self.entry(), detailed=True),
            lambda: documents.of_task_type(self.entry()),
            lambda: documents.of_procedure(self.entry()),
            lambda: documents.of_measure(self.entry()),
            lambda: documents.of_listed_run(self.entry()),
            lambda: documents.of_run(self.run()),
        ]
        return self._chance.choice(made)()


async def test_entries_when_made_up_by_a_hostile_server_then_kept_found_and_shown(tmp_path: Path) -> None:
    made, path = Hostile(18), path_in(tmp_path)
    store = Store(path)
    puts = [made.put()._replace(id=str(number % 200)) for number in range(ENTRIES)]
    for start in range(0, len(puts), 50):
        with store.writing():
            store.put(puts[start : start + 50], number_of_pass=start)
    store.close()

    index = SearchIndex(path)
    sorts = ("date", "name", "runs", "qualities.NumberOfInstances", "run_task.task_id")
    for kind in TYPES:
        for sort in sorts:
            body = {"size": 1000, "sort": {sort: "desc"}, "aggs": {"a": {"terms": {"field": sort}}}}
            answer = await index.search((kind,), translate(body, (kind,), viewer_id=None, is_embedded=True))
            json.dumps(answer).encode()
            assert answer["hits"]["total"]["value"] == len(answer["hits"]["hits"])
            for hit in answer["hits"]["hits"][:20]:
                assert await index.get(kind, hit["_id"]) is not None
        found = await index.find("script", kind=kind, filters=Filters(tags=("study_99",)), sort="newest")
        assert found.is_exact
    index.close()
    assert path.stat().st_size < 300_000_000


def test_entry_when_its_elements_are_mixed_up_then_read_and_made_a_document() -> None:
    chance = random.Random(4)  # noqa: S311 - the same each time
    names = ["quality", "input", "parameter", "tag", "name", "did", "x"]
    for _ in range(300):
        element = Element(f"{xml.OML}dataset")
        for _ in range(chance.randint(0, 8)):
            attributes = {"name": chance.choice(["a", ""])} if chance.random() < 0.5 else {}
            child = SubElement(element, f"{xml.OML}{chance.choice(names)}", attributes)
            child.text = chance.choice([None, "", "1", "x"])
            for _ in range(chance.randint(0, 2)):
                SubElement(child, f"{xml.OML}{chance.choice(names)}").text = chance.choice([None, "y"])
        entry = listings.read_entry(element)
        for put in (
            documents.of_dataset(entry),
            documents.of_task(entry, {}),
            documents.of_listed_run(entry),
        ):
            json.dumps(clean(put.document))
        documents.of_flow(entry, detailed=True)


def test_ids_when_they_are_none_then_left_out() -> None:
    for number in ("1", "9999999999"):
        assert is_id(Put("data", number, {}))
    for number in ("", "0", "-1", "007", "1e3", "٣", "x", "1\n", "9" * 400, "../1"):
        assert not is_id(Put("data", number, {})), number
    assert is_id(Put("measure", "predictive-accuracy", {}))
    assert not is_id(Put("measure", "<script>", {}))
