"""Uploads of others: stopped, kept in quarantine, let go on; and told to whose they are."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.core.settings import Settings
from app.db.upload_states import UploadState
from app.db.upload_tables import upload_parts, uploads
from app.uploads.lifecycle import QUARANTINE_DAYS, remove_orphaned_bytes
from tests.conftest import Person, Running
from tests.upload_rows import put_in
from tests.uploads.test_data_upload import CSV, spool
from tests.uploads.test_resources import begin, send

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
WHY = {"reason": "It has names of patients."}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Nobody works on uploads here but the test."""
    return settings.model_copy(update={"embedded_worker": False})


async def act(app: Running, administrator: Person, path: str, deed: str) -> httpx.Response:
    return await app.client.post(f"/admin{path}/{deed}", json=WHY, headers=administrator.headers)


async def put(app: Running, path: str, state: UploadState, **values: Any) -> None:
    async with app.resources.database.session() as session:
        await put_in(session, path.rpartition("/")[2], state, at=app.resources.database.now(), **values)


async def state_of(app: Running, person: Person, path: str) -> tuple[str, str]:
    found = (await app.client.get(path, headers=person.headers)).json()
    return found["state"], (found["error"] or {}).get("detail", "")


async def part_count(app: Running) -> int:
    async with app.resources.database.session() as session:
        return await session.scalar(sa.select(sa.func.count()).select_from(upload_parts)) or 0


async def test_upload_when_cancelled_by_an_administrator_then_stopped_and_its_owner_reads_why(
    app: Running, administrator: Person, person: Person
) -> None:
    path = await begin(app, person)
    await send(app, person, path, CSV[:5])
    listed = await app.client.get(
        "/admin/uploads", params={"user_id": person.id, "state": "receiving"}, headers=administrator.headers
    )
    assert [f"/uploads/{each['id']}" for each in listed.json()["uploads"]] == [path]

    answer = await act(app, administrator, path, "cancel")

    assert answer.json() == {"msg": "Upload cancelled"}
    assert await state_of(app, person, path) == (
        "cancelled",
        "An administrator has cancelled this upload: It has names of patients.",
    )
    assert (await part_count(app), spool(app)) == (0, [])
    events = (await app.client.get("/audit", headers=person.headers)).json()["events"]
    assert events[0]["kind"] == "upload cancelled by an administrator"
    assert events[0]["detail"] == f"river-levels ({path[9:]}): It has names of patients."
    story = (await app.client.get(f"/admin{path}", headers=administrator.headers)).json()
    assert [event["state"] for event in story["events"]] == ["receiving", "cancelled"]
    assert story["error"]["type"].endswith("upload-gone")
    for deed, status in {"cancel": 409, "requeue": 409, "quarantine": 409, "remove": 409}.items():
        assert (await act(app, administrator, path, deed)).status_code == status, deed
    assert (await act(app, administrator, "/uploads/nothing", "cancel")).status_code == 404


async def test_upload_when_it_is_being_sent_then_it_stops_only_if_that_fails(
    app: Running, administrator: Person, person: Person
) -> None:
    path = await begin(app, person)
    await put(app, path, UploadState.SENDING, sent_at=app.resources.database.now())

    assert (await act(app, administrator, path, "quarantine")).status_code == 409
    answer = await act(app, administrator, path, "cancel")

    assert answer.status_code == 202
    assert (await state_of(app, person, path))[0] == "sending"
    await put(app, path, UploadState.ACTIVE, dataset_id=7)
    assert (await act(app, administrator, path, "cancel")).status_code == 409
    assert (await act(app, administrator, path, "quarantine")).status_code == 409


async def test_upload_when_it_waits_or_has_failed_then_an_administrator_lets_it_go_on(
    app: Running, administrator: Person, person: Person
) -> None:
    path = await begin(app, person)
    await send(app, person, path, CSV)
    later = app.resources.database.now() + timedelta(hours=1)
    await put(app, path, UploadState.CHECKED)
    async with app.resources.database.session() as session:
        await session.execute(sa.update(uploads).values(available_at=later, lease_owner="worker"))
    assert (await act(app, administrator, path, "requeue")).status_code == 409, "a worker has it"
    async with app.resources.database.session() as session:
        await session.execute(sa.update(uploads).values(lease_owner=None))

    assert (await act(app, administrator, path, "requeue")).status_code == 200

    async with app.resources.database.session() as session:
        assert (await session.execute(sa.select(uploads.c.available_at))).scalar_one() < later
    now = app.resources.database.now()
    await put(app, path, UploadState.FAILED, finished_at=now, received_sha256="0" * 64)
    assert (await act(app, administrator, path, "requeue")).json() == {"msg": "Upload goes on"}
    assert (await state_of(app, person, path))[0] == "verifying"
    events = (await app.client.get("/audit", headers=person.headers)).json()["events"]
    assert [event["kind"] for event in events[:2]] == ["upload tried again by an administrator"] * 2


async def test_upload_when_its_owner_never_published_it_then_no_administrator_does(
    app: Running, administrator: Person, person: Person
) -> None:
    path = await begin(app, person, publish=False)
    await send(app, person, path, CSV)
    await put(app, path, UploadState.READY, received_sha256="0" * 64)

    assert (await act(app, administrator, path, "requeue")).status_code == 409
    await act(app, administrator, path, "quarantine")
    assert (await act(app, administrator, path, "requeue")).status_code == 200

    found = (await app.client.get(path, headers=person.headers)).json()
    assert (found["state"], found["publish"]) == ("verifying", False)


@pytest.mark.parametrize("state", [UploadState.VERIFYING, UploadState.READY, UploadState.FAILED])
async def test_upload_when_in_quarantine_then_its_bytes_are_kept_out_of_its_owners_reach_until_the_end(
    app: Running, administrator: Person, person: Person, state: UploadState
) -> None:
    path = await begin(app, person)
    await send(app, person, path, CSV)
    await put(app, path, state, finished_at=app.resources.database.now() if state == "failed" else None)

    assert (await act(app, administrator, path, "quarantine")).json() == {"msg": "File in quarantine"}

    held = await app.client.get("/admin/uploads?quarantined=true", headers=administrator.headers)
    assert [each["id"] for each in held.json()["uploads"]] == [path[9:]]
    assert await state_of(app, person, path) == (
        "cancelled",
        "An administrator holds the file of this upload: It has names of patients.",
    )
    removed = await app.client.delete(path, headers={**person.headers, "Tus-Resumable": "1.0.0"})
    assert removed.status_code == 409
    for name in ("retry", "publish"):
        assert (await app.client.post(f"{path}/{name}", json={}, headers=person.headers)).status_code in {
            409,
            410,
        }
    database, storage = app.resources.database, app.resources.storage
    await remove_orphaned_bytes(database, storage)
    assert await part_count(app) == 1

    async with database.session() as session:
        long_ago = database.now() - timedelta(days=QUARANTINE_DAYS, minutes=1)
        await session.execute(sa.update(uploads).values(quarantined_at=long_ago))
    await remove_orphaned_bytes(database, storage)
    assert (await part_count(app), spool(app)) == (0, [])
    assert (await act(app, administrator, path, "requeue")).status_code == 409, "the bytes are gone"


async def test_file_in_quarantine_when_removed_then_gone_and_nothing_brings_it_back(
    app: Running, administrator: Person, person: Person
) -> None:
    path = await begin(app, person)
    await send(app, person, path, CSV)
    await act(app, administrator, path, "quarantine")

    assert (await act(app, administrator, path, "remove")).json() == {"msg": "File removed"}

    assert (await part_count(app), spool(app)) == (0, [])
    for deed in ("requeue", "remove", "cancel"):
        assert (await act(app, administrator, path, deed)).status_code == 409
