"""What is kept of documents, whatever comes; and files of the index that are old, broken, or written meanwhile."""

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from app.index.cleaning import LONGEST_TEXT, MOST_CHARACTERS, MOST_ITEMS, clean
from app.index.engine import IndexUnavailableError, SearchIndex
from app.index.status import read_status
from app.index.store import LAYOUT, Put, Store, path_in, remove, remove_others
from tests.index.conftest import found

ALL = {"size": 1000, "query": {"match_all": {}}}


def nested(depth: int) -> Any:
    value: Any = "end"
    for _ in range(depth):
        value = {"a": [value]}
    return value


HOSTILE: list[dict[str, Any]] = [
    {"name": "x" * 10_000_000},
    {"name": "\ud800 half", "description": "nul \0 inside", "tags": [{"tag": "\udfff"}]},
    {
        "name": {"not": "a text"},
        "runs": "many",
        "uploader_id": [1],
        "date": 7,
        "qualities": "none",
        "tags": "uci",
    },
    {"name": "<script>alert(1)</script>", "description": "<img src=x onerror=alert(1)>"},
    {
        "runs": 10**400,
        "version": float("nan"),
        "nr_of_likes": float("inf"),
        "qualities": {"a": float("-inf")},
    },
    {"features": [{"name": "a" * 1000}] * 100_000},
    {"deep": nested(1000)},
    {'a"b': 1, "$.x": 2, "": 3, "c\0d": 4, "k" * 1000: 5},
    {f"field{n}": n for n in range(5000)},
    {"tags": [None, 1, {"tag": None}, {"tag": {"x": 1}}, {"tag": 5}], "features": [None, 3, {"name": 4}]},
    {"email": "ada@example.org", "password": "x", "suggest": {"input": ["x"]}, "visibility": "private"},
    {"description": 'words" OR "more', "name": "'); DROP TABLE entry; --"},
    {},
]


async def test_documents_when_hostile_then_kept_in_bounds_and_found(tmp_path: Path) -> None:
    path = path_in(tmp_path)
    store = Store(path)
    for number, document in enumerate(HOSTILE):
        with store.writing():
            store.put([Put("data", str(number), document)])
        with store.writing():
            # Once more, changed: what was kept of its words has to be found again to be removed.
            store.put([Put("data", str(number), {**document, "again": True})])
    index = SearchIndex(path)
    answer = await index.search(("data",), ALL)

    assert len(found(answer)) == len(HOSTILE)
    for hit in answer["hits"]["hits"]:
        text = json.dumps(hit, ensure_ascii=False)
        assert len(text.encode()) < 2 * MOST_CHARACTERS
        assert "ada@example.org" not in text
        assert hit["_source"]["visibility"] == "public"
    with store.writing():
        assert all(store.delete("data", str(number)) for number in range(len(HOSTILE)))
    for text in ("alert", "words", "half", "xxx*"):
        question = {"size": 1, "query": {"query_string": {"query": text}}}
        assert found(await index.search(("data",), question)) == []
    store.close()
    index.close()


def test_clean_when_too_much_comes_then_cut() -> None:
    document = clean(
        {"long": "x" * 10**6, "many": list(range(10**5)), "deep": nested(50), "t": ("a", b"bytes", {1})}
    )

    assert len(document["long"]) == LONGEST_TEXT
    assert len(document["many"]) == MOST_ITEMS
    assert json.dumps(document["deep"]).count("{") < 10
    assert document["t"] == ["a", None, None]


def test_put_when_a_list_tells_less_than_is_known_then_the_rest_stays(tmp_path: Path) -> None:
    store = Store(path_in(tmp_path))
    whole = {
        "name": "iris",
        "description": "Flowers",
        "status": "in_preparation",
        "qualities": {"A": 1, "B": 2},
    }
    with store.writing():
        store.put([Put("data", "61", whole)])
        changed = store.put(
            [Put("data", "61", {"name": "iris", "status": "active", "qualities": {"B": 3}}, detailed=False)]
        )
        again = store.put([Put("data", "61", {"name": "iris", "status": "active"}, detailed=False)])

    kept = store.get("data", "61")
    assert kept == {**whole, "status": "active", "qualities": {"A": 1, "B": 3}, "visibility": "public"}
    assert (changed, again) == (1, 0)
    store.close()


def test_writing_when_it_fails_then_nothing_of_it_stays(tmp_path: Path) -> None:
    store = Store(path_in(tmp_path))

    def write() -> None:
        with store.writing():
            store.put([Put("data", "1", {"name": "gone"})])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()

    assert store.get("data", "1") is None
    store.close()


async def test_index_when_another_process_writes_then_read_meanwhile(tmp_path: Path) -> None:
    path = path_in(tmp_path)
    store = Store(path)
    with store.writing():
        store.put([Put("data", "0", {"name": "first"})])
    index = SearchIndex(path)

    def write() -> None:
        for number in range(1, 200):
            with store.writing():
                store.put([Put("data", str(number), {"name": f"number {number}"})])

    thread = threading.Thread(target=write)
    thread.start()
    totals = []
    while thread.is_alive():
        answer = await index.search(("data",), {"size": 1, "query": {"match_all": {}}})
        totals.append(answer["hits"]["total"]["value"])
    thread.join()

    assert totals == sorted(totals)
    assert (await index.counts())["data"] == 0  # none is active
    assert len(found(await index.search(("data",), ALL))) == 200
    store.close()
    index.close()


async def test_index_when_not_there_or_replaced_then_said_so_and_read_anew(tmp_path: Path) -> None:
    path = path_in(tmp_path)
    index = SearchIndex(path)
    with pytest.raises(IndexUnavailableError, match="cannot be read"):
        await index.search(("data",), ALL)
    assert read_status(path) is None
    for name in ("one", "two"):
        store = Store(path)
        with store.writing():
            store.put([Put("data", name, {"name": name})])
        assert found(await index.search(("data",), ALL)) == [name]
        remove(path)
        assert not store.is_current()
        store.close()
    path.write_bytes(b"no database at all, but a text that is long enough to be looked at" * 100)
    with pytest.raises(IndexUnavailableError):
        await index.search(("data",), ALL)
    with pytest.raises(sqlite3.DatabaseError):
        Store(path)
    index.close()


def test_files_when_of_another_layout_then_removed(tmp_path: Path) -> None:
    path = path_in(tmp_path)
    path.parent.mkdir()
    for name in (
        f"search-{LAYOUT - 1}.db",
        f"search-{LAYOUT - 1}.db-wal",
        path.name,
        f"{path.name}-wal",
        "other",
    ):
        (path.parent / name).touch()

    remove_others(path)

    assert sorted(item.name for item in path.parent.iterdir()) == ["other", path.name, f"{path.name}-wal"]


@pytest.mark.parametrize("steps", [100, 10**9], ids=["in SQLite", "beside it"])
async def test_search_when_it_takes_too_long_then_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    store = Store(path_in(tmp_path))
    with store.writing():
        store.put([Put("data", str(n), {"name": f"a{n}", "own": n}) for n in range(300)])
    store.close()
    monkeypatch.setattr("app.index.engine.SEARCH_SECONDS", 0.0)
    monkeypatch.setattr("app.index.reading.LOOK_EVERY", steps)
    index = SearchIndex(path_in(tmp_path))

    with pytest.raises(IndexUnavailableError, match="too long"):
        await index.search(
            ("data",), {"size": 9, "query": {"match_all": {}}, "sort": [{"own": {"order": "asc"}}]}
        )
    index.close()
