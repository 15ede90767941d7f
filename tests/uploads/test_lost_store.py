"""An empty store, or another database's, in the place of the one that was there: uploads wait, and nothing is lost."""

import asyncio
import secrets
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.backup.moving import move_store, settle_store
from app.backup.site import BackupError, open_site
from app.core.settings import Settings
from app.db import store_marks
from app.db.store_marks import StoreGuard, adopt, find_other
from app.doctor.diagnosis import Level, Wishes
from app.doctor.examination import examine_installation
from app.resources import open_storage
from app.storage.marks import LONGEST_MARK
from tests.accounts.picture.test_image import post
from tests.backup.test_backup import as_settings, back_up
from tests.conftest import insert_person, serving
from tests.health.conftest import looking_often, wrong_with
from tests.uploads.test_data_upload import CSV, form
from tests.uploads.test_resources import begin, offset_of, reach, send, state_of

__all__ = ["looking_often"]
ROUNDS_SECONDS = 2.5
LONG = pytest.mark.long
FOLDER_FIRST = pytest.mark.parametrize("store", ["folder", pytest.param("s3", marks=LONG)])
S3_FIRST = pytest.mark.parametrize("store", ["s3", pytest.param("folder", marks=LONG)])
SQLITE = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
pytestmark = [SQLITE, pytest.mark.usefixtures("looking_often")]


@pytest.fixture(autouse=True)
def looking_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_marks, "KEEP_SECONDS", 0.0)


@pytest.fixture
def place(settings: Settings, store: str, request: pytest.FixtureRequest) -> Settings:
    changes: dict[str, Any] = as_settings(request.getfixturevalue("s3")) if store == "s3" else {}
    return settings.model_copy(update=changes)


def another(place: Settings, tmp_path: Path) -> Settings:
    """The same site as if its store were not mounted, or another bucket were named."""
    folder = tmp_path / secrets.token_hex(4)
    (folder / "uploads").mkdir(parents=True)
    changes: dict[str, str] = {"data_dir": str(folder)}
    if place.storage_url:
        changes["storage_url"] = f"s3://tests/{secrets.token_hex(4)}"
    return place.model_copy(update=as_settings(changes))


async def diagnosed(settings: Settings) -> str:
    found = await examine_installation(settings, Wishes(), frozenset({"storage"}))
    return " ".join(each.text for each in found if each.level is Level.FAULT)


@FOLDER_FIRST
async def test_store_when_an_empty_one_is_in_its_place_then_uploads_wait_and_go_on_once_it_is_back(
    place: Settings, password_hash: str, tmp_path: Path
) -> None:
    async with serving(place) as app:
        person = await insert_person(app, password_hash)
        path = await begin(app, person)
        await send(app, person, path, CSV[:20])
        assert await wrong_with(app) == {}
        image = (await post(app, person)).json()["image"]
    empty = another(place, tmp_path)

    async with serving(empty) as app:
        assert "it has no id" in (await wrong_with(app))["storage"]
        for refused in (
            await send(app, person, path, CSV[20:], offset=20),
            await app.client.post("/data-upload", files=form(), headers=person.headers),
            await app.client.post("/uploads", json={"file_name": "a.csv", "size": 3}, headers=person.headers),
            await post(app, person),
            await app.client.get(image),
        ):
            assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (
                503,
                "storage-unavailable",
            )
            assert refused.headers["retry-after"]
        assert (await state_of(app, person, path))["state"] == "receiving"
    assert "openml-web store adopt" in await diagnosed(empty)
    with pytest.raises(BackupError, match="it has no id"):
        await back_up(empty, tmp_path / "backup")

    async with serving(place) as app:
        assert await wrong_with(app) == {}
        assert await offset_of(app, person, path) == 20
        assert (await send(app, person, path, CSV[20:], offset=20)).status_code == 204
        await reach(app, person, path, "ready")
        assert (await app.client.get(image)).status_code == 200


@S3_FIRST
async def test_worker_when_the_store_is_an_empty_one_then_it_takes_no_upload_and_removes_none(
    place: Settings, password_hash: str, tmp_path: Path
) -> None:
    async with serving(place.model_copy(update={"embedded_worker": False})) as app:
        person = await insert_person(app, password_hash)
        await app.resources.store.require()
        path = await begin(app, person)
        await send(app, person, path, CSV)
    foreign = another(place, tmp_path)
    strange = "e" * 32
    uploads, _ = await open_storage(foreign)
    async with uploads.writer(strange, 0) as writer:
        await writer.write(b"somebody else's")
        await writer.flush()

    async with serving(foreign) as app:
        # Rounds of the janitor and of the queue.
        await asyncio.sleep(ROUNDS_SECONDS)
        found = await state_of(app, person, path)
        assert (found["state"], found["error"]) == ("verifying", None)
        assert strange in await app.resources.storage.upload_ids()

    async with serving(place) as app:
        await reach(app, person, path, "ready")


async def test_store_when_it_is_another_databases_then_refused_until_it_is_adopted(
    settings: Settings, tmp_path: Path
) -> None:
    async with serving(settings) as app:
        database = app.resources.database
        await app.resources.store.require()
        uploads, _ = await open_storage(another(settings, tmp_path))
        await uploads.mark.write("0" * 32)
        guard = StoreGuard(database, uploads)

        assert "belongs to another database (its id is 00000" in str(await guard.find_fault())
        await adopt(database, uploads.mark)
        assert await guard.find_fault() is None
        # The former one is refused from then on.
        assert "belongs to another database" in str(await app.resources.store.find_fault())


async def test_store_when_rows_of_a_version_before_name_bytes_that_it_lacks_then_it_gets_no_id(
    settings: Settings, password_hash: str, tmp_path: Path
) -> None:
    async with serving(settings.model_copy(update={"embedded_worker": False})) as app:
        person = await insert_person(app, password_hash)
        path = await begin(app, person)
        await send(app, person, path, CSV[:20])
        async with app.resources.database.session() as session:
            await session.execute(sa.text("DELETE FROM store_marks"))
        uploads, _ = await open_storage(another(settings, tmp_path))

        assert "has no bytes of the 1 uploads" in str(
            await StoreGuard(app.resources.database, uploads).find_fault()
        )
        assert await uploads.mark.read() is None


@FOLDER_FIRST
async def test_move_when_the_store_moves_then_the_new_one_is_known_and_the_former_refused(
    place: Settings, tmp_path: Path
) -> None:
    async with serving(place.model_copy(update={"embedded_worker": False})) as app:
        await app.resources.store.require()
    after = another(place, tmp_path)

    async with open_site(place) as source, open_site(after) as target:
        await move_store(source, target.objects)
        await settle_store(source.database, source.database, target.mark)

        assert await find_other(source.database, target.mark) is None
        assert "belongs to another" in str(await find_other(source.database, source.mark))


async def test_mark_when_it_is_not_text_or_cannot_be_read_then_no_mark_or_a_fault(
    settings: Settings,
) -> None:
    uploads, _ = await open_storage(settings)
    path = settings.data_dir / "uploads" / "store-id"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\xff\x00" * 4000)
    assert await uploads.mark.read() == b"\xff\x00" * (LONGEST_MARK // 2)
    async with serving(settings) as app:
        assert await wrong_with(app) == {}, "a database that has no store yet gives it an id"
    path.write_bytes(b"\xff\x00" * 4000)
    async with serving(settings) as app:
        assert "it has no id" in (await wrong_with(app))["storage"]
    path.unlink()
    path.mkdir()
    async with serving(settings) as app:
        assert "cannot be read: Is a directory" in (await wrong_with(app))["storage"]


async def test_store_when_several_processes_begin_at_once_then_all_have_the_same(
    settings: Settings,
) -> None:
    async with serving(settings.model_copy(update={"embedded_worker": False})) as app:
        guards = [StoreGuard(app.resources.database, app.resources.storage) for _ in range(6)]
        assert await asyncio.gather(*(guard.find_fault() for guard in guards)) == [None] * 6
        assert await asyncio.gather(*(guard.find_fault() for guard in guards)) == [None] * 6
