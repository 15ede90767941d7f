"""The search index with a million datasets: how long it takes to fill, and how fast it answers.

    .venv/bin/python -m benchmarks.index [DOCUMENTS] [FOLDER]

Documents are synthetic: names and descriptions of words that are as frequent as those of a language (Zipf), ten
qualities, two tags, ten columns. Searches are those of the frontends' pages, each with another word, filter or page. The folder is
kept: the next run with the same number of documents goes on where the last one ended.
"""

import itertools
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from app.index import catalogue
from app.index.catalogue import Filters, Wanted
from app.index.fields import KINDS
from app.index.reading import open_reader
from app.index.search import search
from app.index.store import Put, Store, path_in
from app.web.search_query import translate

WORDS = 50_000
TEXTS = 20_000
SEARCHES = 150
AT_ONCE = 1000
Body = dict[str, Any]
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


class Words:
    """Words that are as frequent as those of a language: the second half as often as the first, and so on."""

    def __init__(self, chance: random.Random) -> None:
        letters = "aeioubcdfghklmnprstvwz"
        self.all = ["".join(chance.choices(letters, k=chance.randint(4, 10))) for _ in range(WORDS)]
        self._weights = [0.0]
        for rank in range(1, WORDS + 1):
            self._weights.append(self._weights[-1] + 1 / rank)
        del self._weights[0]
        self._chance = chance

    def some(self, count: int) -> list[str]:
        """Return words of a text."""
        return self._chance.choices(self.all, cum_weights=self._weights, k=count)


def documents(count: int, words: Words, chance: random.Random) -> Iterator[Put]:
    # Made beforehand: what is measured is the index, not the making of texts.
    texts = [" ".join(words.some(60)) for _ in range(TEXTS)]
    names = ["-".join(words.some(2)) for _ in range(TEXTS)]
    columns = [
        [{"name": name, "type": "numeric", "missing": 0} for name in words.some(10)] for _ in range(TEXTS)
    ]
    for number in range(1, count + 1):
        rows = int(10 ** chance.uniform(1, 7))
        uploader = chance.randint(1, 5000)
        document = {
            "data_id": number,
            "name": chance.choice(names),
            "description": chance.choice(texts),
            "version": chance.randint(1, 3),
            "status": chance.choice(["active"] * 9 + ["in_preparation"]),
            "format": "ARFF",
            "licence": chance.choice(["Public", "CC BY", "CC0", "CC BY-SA"]),
            "date": f"20{chance.randint(14, 26)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02} 12:00:00",
            "uploader_id": uploader,
            "runs": int(1000 * chance.random() ** 8),
            "nr_of_likes": 0,
            "nr_of_downloads": chance.randint(0, 1000),
            "tags": [{"tag": f"tag{chance.randint(1, 300)}", "uploader": "1"} for _ in range(2)],
            "qualities": {
                "NumberOfInstances": rows,
                "NumberOfFeatures": chance.randint(2, 500),
                "NumberOfClasses": chance.randint(0, 20),
                "NumberOfMissingValues": chance.randint(0, 100),
                **{f"Quality{place}": chance.random() for place in range(6)},
            },
            "features": chance.choice(columns),
        }
        yield Put("data", str(number), document)


def fill(path: Path, count: int) -> None:
    chance = random.Random(7)
    words = Words(chance)
    store = Store(path)
    there = store.count().get("data", 0)
    if there >= count:
        store.close()
        return
    began, busy = time.monotonic(), time.process_time()
    batch: list[Put] = []
    for put in itertools.islice(documents(count, words, chance), there, None):
        batch.append(put)
        if len(batch) == AT_ONCE:
            with store.writing():
                store.put(batch)
            batch.clear()
            if put.document["data_id"] % 100_000 == 0:
                seconds = time.monotonic() - began
                used = time.process_time() - busy
                print(
                    f"  {put.document['data_id']} documents after {seconds:.0f} s, {used:.0f} of the processor",
                    flush=True,
                )
    with store.writing():
        store.put(batch)
        store.set_meta("documents", count)
    store.close()
    seconds, busy = time.monotonic() - began, time.process_time() - busy
    size = sum(part.stat().st_size for part in path.parent.glob(f"{path.name}*"))
    print(
        f"filled from {there} in {seconds / 60:.1f} min, of which {busy / 60:.1f} of the processor; {size / 1e9:.2f} GB on disk"
    )


def listing(words: Words, chance: random.Random, *, least: int = 0) -> Body:
    """The frontend's list: up to two words, up to three filters and at least so many, one of its orders."""
    some: list[Body] = [
        {"range": {"qualities.NumberOfInstances": {"gte": str(10 ** chance.randint(2, 6))}}},
        {"range": {"qualities.NumberOfFeatures": {"gte": 5, "lte": chance.randint(6, 400)}}},
        {"nested": {"path": "tags", "query": {"term": {"tags.tag": f"tag{chance.randint(1, 300)}"}}}},
        {"term": {"uploader_id": chance.randint(1, 5000)}},
        {"term": {"licence": chance.choice(["Public", "CC BY", "CC0"])}},
    ]
    filters = [
        {"term": {"status": "active"}},
        *chance.sample(some, max(least, chance.choice([0, 0, 1, 2, 3]))),
    ]
    text = " ".join(words.some(chance.choice([0, 0, 1, 1, 2])))
    sort = chance.choice(["date", "runs", "nr_of_downloads", "qualities.NumberOfInstances", "name", ""])
    return {
        "from": chance.choice([0, 0, 0, 50, 500, 5000]),
        "size": 50,
        "query": {
            "bool": {
                "must": {"query_string": {"query": text}} if text else {"match_all": {}},
                "filter": filters,
                "should": [{"term": {"visibility": "public"}}],
                "minimum_should_match": 1,
            }
        },
        "aggs": {"type": {"terms": {"field": "_type"}}},
        "_source": ["data_id", "name", "status", "runs", "qualities.NumberOfInstances", "date"],
        **({"sort": {sort: {"order": "desc"}}} if sort else {}),
    }


def text_of(words: list[str]) -> Body:
    return {"query": {"query_string": {"query": " ".join(words)}}}


def measure(what: str, call: Callable[[], object], times: int = SEARCHES) -> None:
    """Print how long a call takes, and how much of that the processor: on a busy machine they differ."""
    took, used = [], []
    for _ in range(times):
        began, busy = time.perf_counter(), time.thread_time()
        call()
        took.append(1000 * (time.perf_counter() - began))
        used.append(1000 * (time.thread_time() - busy))
    print(f"{what:36} {_marks(took)}   processor {_marks(used)}", flush=True)


def _marks(values: list[float]) -> str:
    marks = statistics.quantiles(values, n=20)
    return f"p50 {statistics.median(values):7.1f} p95 {marks[18]:7.1f} ms"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    path = path_in(Path(sys.argv[2] if len(sys.argv) > 2 else "var/benchmark-index"))
    fill(path, count)
    words = Words(random.Random(7))
    chance = random.Random(8)
    connection = open_reader(path)

    def ask(body: Body, kinds: tuple[str, ...] = ("data",)) -> object:
        return search(connection, kinds, translate(body, kinds, viewer_id=None), None)

    def find(text: str) -> object:
        return catalogue.find(connection, Wanted(text=text, filters=Filters(status="active")), None)

    measure("a list of the frontend (any)", lambda: ask(listing(words, chance)), 4 * SEARCHES)
    measure("a list with two or three filters", lambda: ask(listing(words, chance, least=2)))
    measure("counts of the side bar", lambda: ask(COUNTS, KINDS), 30)
    typed = [word[: chance.randint(2, 6)] for word in words.some(SEARCHES)]
    suggest = {"size": 0, "suggest": {"a": {"prefix": "", "completion": {"field": "suggest"}}}}

    def complete() -> object:
        suggest["suggest"]["a"]["prefix"] = chance.choice(typed)  # type: ignore[index]  # as it is written above
        return search(
            connection, ("data",), translate(suggest, ("data",), viewer_id=None, is_embedded=True), None
        )

    measure("suggestions while somebody types", complete)
    measure("an own page: text, facets", lambda: find(" ".join(words.some(1))))
    measure("an own page: two words, facets", lambda: find(" ".join(words.some(2))))
    measure("an own page: all datasets, facets", lambda: find(""), 30)
    measure("a text of twenty common words", lambda: ask(text_of(chance.sample(words.all[:40], 20))), 30)
    measure("a beginning of one letter", lambda: ask(text_of([f"{chance.choice(words.all)[0]}*"])), 30)
    numbers = range(1, count + 1)
    measure(
        "one document", lambda: catalogue.read_document(connection, "data", str(chance.choice(numbers)), None)
    )
    measure("counts of the start page", lambda: catalogue.counts(connection), 30)
    print(f"most memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
