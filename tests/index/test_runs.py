"""Runs: kept of a server that has few, asked for one by one where it has very many."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.core.settings import Settings
from app.index import documents
from app.index.engine import SearchIndex
from app.index.filling import fill_once
from app.index.sources import SOURCES, Sources
from app.index.store import Put, Store, path_in
from app.web.results.asking import ResultsSource
from app.web.search_query import translate
from app.web.search_server import EmbeddedSearch, Searcher
from tests.conftest import Running, run_sandbox
from tests.index.conftest import fill, found
from tests.index.test_shown import require_shape
from tests.sent_results import send_results
from tests.upstream import Upstream

KEYS = ("a" * 32, "b" * 32)
NOBODY = Searcher(None, ("tests",))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"search_index": False})


@pytest.fixture
def sandbox_url(tmp_path: Path) -> Iterator[str]:
    """A server of its own: others count what there is."""
    with run_sandbox(tmp_path / "sandbox") as url:
        yield url


def begin_again(path: Path, kind: str) -> None:
    """Have a list read from its beginning."""
    store = Store(path)
    with store.writing():
        store.set_meta(f"{kind}.due", 0)
        store.set_meta(f"{kind}.tail", 0)
    store.close()


# On MariaDB numbers of users go on from test to test, and the sandbox begins anew.
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_runs_when_the_server_has_few_or_very_many_then_found_or_asked_for(
    app: Running, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = await send_results(upstream, KEYS, {"weka.J48": [4], "weka.ZeroR": [10]})
    resources, path = app.resources, path_in(tmp_path / "own")
    sources = Sources(resources.openml, resources.database)

    async def refill() -> None:
        await fill_once(
            path, server=resources.settings.openml_url, sources=sources, database=resources.database
        )

    await refill()
    index = SearchIndex(path)
    server = EmbeddedSearch(index, ResultsSource(resources.openml))
    of_task = {"query": {"term": {"run_task.task_id": sent.task}}, "sort": {"date": {"order": "desc"}}}
    listed = await server.search(("run",), translate(of_task, ("run",), viewer_id=None), NOBODY)
    assert sorted(found({**listed})) == sorted(map(str, sent.runs))
    for hit in listed["hits"]["hits"]:
        require_shape("run", hit["_source"])
    one = (await server.get("run", str(sent.runs[0]), NOBODY))["hits"]["hits"][0]["_source"]
    assert (one["run_flow"]["name"], one["run_task"]["source_data"]["name"]) == ("weka.J48(1)", "levels")
    assert one["run_flow"]["parameters"] == [{"parameter": "depth", "value": "4"}]
    assert "predictive_accuracy" in [each["evaluation_measure"] for each in one["evaluations"]]
    assert "predictions" in one["output_files"]

    fewer = tuple(replace(source, most=1) if source.kind == "run" else source for source in SOURCES)
    monkeypatch.setattr("app.index.filling.SOURCES", fewer)
    await asyncio.to_thread(begin_again, path, "run")
    await refill()
    assert (await index.counts())["run"] == 0
    asked = (await server.get("run", str(sent.runs[1]), NOBODY))["hits"]["hits"][0]["_source"]
    require_shape("run", asked)
    assert (asked["run_id"], asked["run_task"]["tasktype"]["name"]) == (
        sent.runs[1],
        "Supervised Classification",
    )
    for unknown in ("999999", "0", "x", "9" * 30):
        assert (await server.get("run", unknown, NOBODY))["hits"]["total"] == 0
    index.close()


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_pass_when_datasets_were_removed_meanwhile_then_they_leave_the_index(
    app: Running, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.index.filling.UNSEEN_AT_ONCE", 1)
    numbers = [await upstream.publish(KEYS[0], name=f"rivers{n}") for n in range(4)]
    resources, path = app.resources, path_in(tmp_path / "own")
    sources = Sources(resources.openml, resources.database)
    places: dict[str, Any] = {
        "server": resources.settings.openml_url,
        "sources": sources,
        "database": resources.database,
    }
    await fill_once(path, **places)
    for number in numbers[1:]:
        answer = await upstream.client.delete(f"api/v1/json/data/{number}", params={"api_key": KEYS[0]})
        assert answer.status_code == 200, answer.text
    await asyncio.to_thread(begin_again, path, "data")
    await fill_once(path, **places)
    index = SearchIndex(path)
    assert [number for number in numbers if await index.get("data", str(number))] == numbers[:1]
    index.close()


async def test_run_when_only_a_line_is_known_then_its_names_are_those_of_task_and_flow(
    tmp_path: Path,
) -> None:
    task: dict[str, Any] = {"task_id": 59, "tasktype": {"tt_id": 1, "name": "Supervised Classification"}}
    line = {"run_id": "7", "task_id": "59", "flow_id": "3", "uploader": "1", "task_type_id": "1"}
    puts = [
        Put("task", "59", {**task, "source_data": {"data_id": 61, "name": "iris"}}),
        Put("flow", "3", {"flow_id": 3, "name": "forest"}),
        documents.of_listed_run(line),
        documents.of_listed_run({"run_id": "8", "task_id": "x", "uploader": "?", "upload_time": "soon"}),
        Put("run", "9", {"run_task": {"task_id": [1], "tasktype": "x"}, "run_flow": None, "evaluations": 3}),
    ]
    index = SearchIndex(fill(path_in(tmp_path), puts))
    known = await index.get("run", "7")
    assert known is not None
    require_shape("run", known)
    assert known["run_task"]["source_data"]["name"] == "iris"
    assert (known["run_task"]["tasktype"]["name"], known["run_flow"]["name"]) == (
        task["tasktype"]["name"],
        "forest",
    )
    for number in ("8", "9"):
        hostile = await index.get("run", number)
        assert hostile is not None
        assert (hostile["run_flow"]["parameters"], hostile["run_task"]["tasktype"]["name"]) == ([], "")
    index.close()
