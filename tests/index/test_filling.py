"""The index beside a stand-in OpenML server: filled from its lists, told of what is made here, and resumed."""

import asyncio
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.settings import Settings
from app.events.notifications import Notifications
from app.index.engine import SearchIndex
from app.index.filling import fill_once, keep_filled, pause_of
from app.index.lock import is_being_filled
from app.index.sources import Sources
from app.index.status import IndexStatus, read_status
from app.index.store import Store, path_in, remove
from tests.conftest import MakePerson, Person, Running, eventually, run_sandbox
from tests.uploads.test_data_upload import form
from tests.upstream import Upstream

RIVERS = {
    "query": {"query_string": {"query": "name:river"}},
    "size": 50,
    "sort": [{"date": {"order": "desc"}}],
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"search_index": True})


@pytest.fixture
def sandbox_url(tmp_path: Path) -> Iterator[str]:
    """A server of its own, whose users have the numbers that they have here."""
    with run_sandbox(tmp_path / "sandbox") as url:
        yield url


async def publish(app: Running, person: Person) -> int:
    answer = await app.client.post("/data-upload", files=form(), headers=person.headers)
    number: int = answer.json()["id"]
    return number


async def document(client: httpx.AsyncClient, kind: str, number: int) -> dict[str, Any] | None:
    found = (await client.get(f"/es/{kind}/{kind}/{number}")).json()
    return found["_source"] if found["found"] else None


async def until(app: Running, kind: str, number: int, **fields: Any) -> dict[str, Any]:
    """Wait until a document has these values."""

    async def look() -> dict[str, Any] | None:
        found = await document(app.client, kind, number)
        return found if found and all(found.get(name) == value for name, value in fields.items()) else None

    return await eventually(look)


# On MariaDB numbers of users go on from test to test, and the sandbox begins anew: OpenML has the very same table.
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_index_when_something_is_published_changed_or_made_then_found_at_once(
    app: Running, person: Person
) -> None:
    number = await publish(app, person)
    active = await until(app, "data", number, status="active")
    listed = (await app.client.post("/es/data/data/_search", json=RIVERS)).json()

    assert str(number) in [hit["_id"] for hit in listed["hits"]["hits"]], listed
    assert (active["name"], active["uploader_id"], active["qualities"]["NumberOfInstances"]) == (
        "river-levels",
        person.id,
        3,
    )
    assert [(feature["name"], feature.get("target")) for feature in active["features"]][-1] == ("flood", "1")

    page = f"?url=?id={number}"
    tagged = await app.client.post(f"/data-tag{page}", json={"tag": "rivers"}, headers=person.headers)
    edit = {"owner": "true", "description": "Now of the whole north", "creator": "Ada"}
    edited = await app.client.post(f"/data-edit{page}", json=edit, headers=person.headers)
    assert (tagged.status_code, edited.status_code) == (200, 200), edited.text
    changed = await until(app, "data", number, description="Now of the whole north")
    assert [tag["tag"] for tag in changed["tags"]] == ["rivers"]

    wanted = {"dataset_id": number, "task_type": "classification", "target_name": "flood"}
    task = (await app.client.post("/upload-task", json=wanted, headers=person.headers)).json()["id"]
    form_of_suite = {"description": "Of rivers", "collectionname": "River suite", "taskids": str(task)}
    suite = (
        await app.client.post("/upload-collection-tasks", json=form_of_suite, headers=person.headers)
    ).json()["id"]
    await until(app, "study", suite, tasks_included=1, study_type="task")
    made = await until(app, "task", task, target_feature="flood")
    assert made["collections"] == [{"type": "task", "id": suite}]
    assert (made["uploader_id"], made["tasktype"]["name"]) == (person.id, "Supervised Classification")
    me = await until(app, "user", person.id, datasets_uploaded=1, tasks_uploaded=1)
    assert "email" not in me

    counts = await app.client.post("/es/data/_count", json={"query": {"term": {"uploader_id": person.id}}})
    assert counts.json()["count"] == 1


# On MariaDB numbers of users go on from test to test, and the sandbox begins anew: OpenML has the very same table.
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_private_dataset_when_its_owner_looks_then_in_their_lists_and_in_nobody_elses(
    app: Running, make_person: MakePerson, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.index.engine.OWN_SECONDS", 0.05)
    owner, other = await make_person(), await make_person()
    number = await upstream.publish(owner.api_key, visibility="private", name="diary")
    mine = {"query": {"term": {"uploader_id": owner.id}}}

    async def listed(person: Person | None) -> list[str]:
        headers = person.headers if person else {}
        answer = await app.client.post("/es/data/data/_search", json=mine, headers=headers)
        return [hit["_id"] for hit in answer.json()["hits"]["hits"]]

    async def is_listed() -> bool | None:
        return await listed(owner) == [str(number)] or None

    await eventually(is_listed)
    assert await listed(other) == await listed(None) == []
    shown = (await app.client.get(f"/es/data/data/{number}", headers=owner.headers)).json()["_source"]
    assert (shown["name"], shown["visibility"], shown["uploader_id"]) == ("diary", "private", owner.id)
    page = await app.client.get(f"/search?status=any&uploader_id={owner.id}", headers=owner.headers)
    assert "diary" in page.text
    for headers in ({}, other.headers):
        assert "diary" not in (await app.client.get(f"/u/{owner.id}", headers=headers)).text
        assert (await app.client.get(f"/d/{number}", headers=headers)).status_code == 404

    edit = {"owner": "true", "description": "Dear me"}
    edited = await app.client.post(f"/data-edit?url=?id={number}", json=edit, headers=owner.headers)
    assert edited.status_code == 200, edited.text

    async def is_changed() -> bool | None:
        found = (await app.client.get(f"/es/data/data/{number}", headers=owner.headers)).json()
        return (found["found"] and found["_source"]["description"] == "Dear me") or None

    await eventually(is_changed)
    assert await document(app.client, "data", number) is None
    closed = await app.client.post("/delete", json={"password": owner.password}, headers=owner.headers)
    assert closed.status_code == 200, closed.text
    store = path_in(app.resources.settings.data_dir)

    async def is_forgotten() -> bool | None:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
            found = connection.execute("SELECT 1 FROM entry WHERE id = ? AND shelf = -1", (str(number),))
            return found.fetchone() is None or None

    await eventually(is_forgotten)


async def test_users_when_their_profile_changes_or_the_account_goes_then_the_index_follows(
    app: Running, make_person: MakePerson
) -> None:
    person = await make_person()
    profile = {"first_name": "Grace", "last_name": "Hopper", "bio": "Compilers", "email": person.email}
    assert (await app.client.post("/profile", json=profile, headers=person.headers)).status_code == 200

    shown = await until(app, "user", person.id, first_name="Grace", bio="Compilers")
    assert person.email not in str(shown)
    closed = await app.client.post("/delete", json={"password": person.password}, headers=person.headers)
    assert closed.status_code == 200, closed.text

    async def gone() -> bool | None:
        return await document(app.client, "user", person.id) is None or None

    await eventually(gone)


@dataclass(frozen=True)
class Filling:
    """An index of its own beside the service, and what fills it."""

    path: Path
    app: Running

    @property
    def _parts(self) -> dict[str, Any]:
        resources = self.app.resources
        sources = Sources(resources.openml, resources.database)
        server = resources.settings.openml_url
        return {"server": server, "sources": sources, "database": resources.database}

    async def keep(self) -> None:
        await keep_filled(self.path, notifications=Notifications(), **self._parts)

    async def once(self) -> None:
        await fill_once(self.path, **self._parts)

    async def status(self) -> IndexStatus | None:
        try:
            return await asyncio.to_thread(read_status, self.path)
        except sqlite3.DatabaseError:
            return None

    async def is_filled(self) -> bool | None:
        status = await self.status()
        return bool(status and status.documents["measure"]) or None


@pytest.fixture
def filling(app: Running, tmp_path: Path) -> Filling:
    return Filling(path_in(tmp_path / "own"), app)


async def test_filling_when_killed_again_and_again_then_it_goes_on_and_the_index_is_whole(
    app: Running, person: Person, filling: Filling
) -> None:
    numbers = [await publish(app, person) for _ in range(3)]
    await until(app, "data", numbers[-1], status="active")
    for _ in range(6):
        work = asyncio.create_task(filling.keep())
        await asyncio.sleep(0.15)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        assert not await asyncio.to_thread(is_being_filled, filling.path)
    await filling.once()

    index = SearchIndex(filling.path)
    for number in numbers:
        kept = await index.get("data", str(number))
        assert kept is not None
        assert kept["features"]
    index.close()
    status = await filling.status()
    assert status is not None
    assert (status.waiting, status.documents["task_type"]) == (0, 11)


async def test_filling_when_two_processes_would_then_one_does_and_the_other_takes_over(
    filling: Filling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.index.lock.LOCK_SECONDS", 0.05)
    first = asyncio.create_task(filling.keep())
    await eventually(filling.is_filled)
    second = asyncio.create_task(filling.keep())
    await asyncio.sleep(0.2)
    assert not second.done()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await asyncio.to_thread(remove, filling.path)

    await eventually(filling.is_filled)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)


async def test_filling_when_the_file_is_removed_or_broken_then_made_anew(
    filling: Filling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.index.filling.FIRST_BACK_OFF", 0.05)
    monkeypatch.setattr("app.index.filling.REST_SECONDS", 0.05)

    def breaks() -> None:
        filling.path.parent.mkdir(parents=True)
        filling.path.write_bytes(b"no database" * 1000)

    await asyncio.to_thread(breaks)
    work = asyncio.create_task(filling.keep())
    await eventually(filling.is_filled)
    await asyncio.to_thread(remove, filling.path)
    await eventually(filling.is_filled)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def test_index_when_of_another_server_then_begun_anew(filling: Filling) -> None:
    def make_old() -> None:
        store = Store(filling.path)
        with store.writing():
            store.set_meta("server", "https://elsewhere.example/")
            store.set_meta("data.offset", 500)
        store.close()

    await asyncio.to_thread(make_old)
    await filling.once()

    status = await filling.status()
    assert status is not None
    assert status.server.startswith("http://127.0.0.1")
    assert status.documents["task_type"] == 11


async def test_filling_when_a_list_and_a_description_are_broken_then_the_rest_is_read(
    app: Running, person: Person, filling: Filling, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.index.filling.FIRST_BACK_OFF", 0.01)
    monkeypatch.setattr("app.index.filling.LONGEST_BACK_OFF", 0.05)
    number = await publish(app, person)
    await until(app, "data", number, status="active")
    wanted = {"dataset_id": number, "task_type": "classification", "target_name": "flood"}
    task = (await app.client.post("/upload-task", json=wanted, headers=person.headers)).json()["id"]
    await upstream.fail("GET /study/list/*", "cut-answer", times=None)
    await upstream.fail("GET /data/#", "cut-answer", times=None)
    work = asyncio.create_task(filling.keep())
    await eventually(filling.is_filled)
    index = SearchIndex(filling.path)

    async def has_task() -> bool | None:
        return await index.get("task", str(task)) is not None or None

    async def is_whole() -> bool | None:
        found = await index.get("data", str(number))
        return bool(found and found["features"]) or None

    await eventually(has_task)
    assert await is_whole() is None
    await upstream.heal()
    monkeypatch.setattr("app.index.failures.FIRST_SECONDS", 0.0)
    await eventually(is_whole)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    index.close()


@pytest.mark.parametrize(
    ("server", "seconds"),
    [("https://www.openml.org/", 0.5), ("http://127.0.0.1:5001/", 0.01), ("http://localhost/", 0.01)],
)
def test_pause_when_the_server_is_somebody_elses_then_half_a_second_between_two_requests(
    server: str, seconds: float
) -> None:
    assert pause_of(server) == seconds
