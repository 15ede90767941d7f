"""Two machines on one MariaDB and one Redis: each has an index of its own, and hears at once of what the other did."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.core.settings import Settings
from app.index.store import path_in
from tests.broker_servers import OwnRedis
from tests.conftest import Person, Running, eventually, insert_person, run_sandbox, running, serving
from tests.uploads.test_data_upload import form

pytestmark = [pytest.mark.long, pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)]
ALL_DATA: dict[str, Any] = {"size": 50, "query": {"match_all": {}}}


@pytest.fixture
def sandbox_url(tmp_path: Path) -> Iterator[str]:
    with run_sandbox(tmp_path / "sandbox") as url:
        yield url


@pytest.fixture
async def machines(
    settings: Settings, own_redis: OwnRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Running, Running]]:
    """Two of them. Neither looks by itself for what there is to do: what it does, it was told of."""
    monkeypatch.setattr("app.index.filling.REST_SECONDS", 3600.0)
    monkeypatch.setattr("app.index.filling.TAIL_SECONDS", 3600.0)
    joined = settings.model_copy(update={"redis_url": SecretStr(own_redis.url), "search_index": True})
    second = joined.model_copy(update={"data_dir": tmp_path / "second"})
    async with serving(joined) as one, running(second) as other:
        assert path_in(joined.data_dir) != path_in(second.data_dir)
        for machine in (one, other):
            await eventually(partial(is_filled, machine))
        yield one, other


async def is_filled(machine: Running) -> bool | None:
    """Whether every list was read to its end, users last of all."""
    index = machine.resources.index
    assert index is not None
    try:
        status = await index.status()
    except Exception:  # noqa: BLE001 - it is not begun yet
        return None
    return bool(status.documents["measure"] and status.fresh_at) or None


@pytest.fixture
async def ada(machines: tuple[Running, Running], password_hash: str) -> Person:
    return await insert_person(machines[0], password_hash)


async def until(machine: Running, kind: str, number: int, **fields: object) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        found = (await machine.client.get(f"/es/{kind}/{kind}/{number}")).json()
        document: dict[str, Any] = found.get("_source", {})
        is_there = found["found"] and all(document.get(name) == value for name, value in fields.items())
        return document if is_there else None

    return await eventually(look, seconds=30)


async def test_indices_when_something_is_made_on_one_machine_then_both_have_it_at_once(
    machines: tuple[Running, Running], ada: Person
) -> None:
    one, other = machines
    answer = await one.client.post("/data-upload", files=form(), headers=ada.headers)
    number = answer.json()["id"]
    for machine in machines:
        await until(machine, "data", number, status="active", uploader_id=ada.id)

    # What is changed on either is seen on both.
    edit = {"owner": "true", "description": "Told over Redis"}
    edited = await other.client.post(f"/data-edit?url=?id={number}", json=edit, headers=ada.headers)
    assert edited.status_code == 200, edited.text
    for machine in machines:
        await until(machine, "data", number, description="Told over Redis")
    wanted = {"dataset_id": number, "task_type": "classification", "target_name": "flood"}
    task = (await one.client.post("/upload-task", json=wanted, headers=ada.headers)).json()["id"]
    await until(other, "task", task, target_feature="flood")
    totals = [
        (await machine.client.post("/es/data/data/_search", json=ALL_DATA)).json()["hits"]["total"]
        for machine in machines
    ]
    assert totals == [1, 1]


async def test_indices_when_an_account_goes_then_on_both(
    machines: tuple[Running, Running], ada: Person
) -> None:
    one, other = machines
    profile = {"first_name": "Grace", "last_name": "Hopper", "bio": "Compilers", "email": ada.email}
    assert (await one.client.post("/profile", json=profile, headers=ada.headers)).status_code == 200
    for machine in machines:
        await until(machine, "user", ada.id, first_name="Grace")

    gone = await one.client.post("/delete", json={"password": ada.password}, headers=ada.headers)
    assert gone.status_code == 200, gone.text

    async def is_gone() -> bool | None:
        return (await other.client.get(f"/es/user/user/{ada.id}")).json()["found"] is False or None

    await eventually(is_gone, seconds=30)
