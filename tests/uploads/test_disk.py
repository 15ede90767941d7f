"""A disk that is small: what unpacks to more than there is room for harms nobody but itself."""

import asyncio
import gzip
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app.core.settings import Settings
from app.db import upload_bytes, uploads
from app.storage.problems import StorageFullError
from app.tabular import ConversionRequest
from app.uploads import conversion, pipeline
from tests.conftest import PATIENCE_SECONDS, Person, Running, eventually, insert_person, running
from tests.mailbox import mail_to
from tests.small_disk import small_disk
from tests.uploads.test_data_upload import CSV, SPA_METADATA, form, spool

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)

MEBIBYTE = 1 << 20
DISK = 48
RESERVE = 16 * MEBIBYTE
ROW = b"1234567,abcdefgh\n"


def table(mebibytes: int) -> bytes:
    return b"level,name\n" + ROW * (mebibytes * MEBIBYTE // len(ROW))


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(pipeline, "FIRST_PAUSE_SECONDS", 0.2)
    monkeypatch.setattr(pipeline, "ROOM_ATTEMPTS", 3)
    with small_disk(tmp_path / "var", mebibytes=DISK) as folder:
        yield folder


@pytest.fixture
async def site(settings: Settings, disk: Path) -> AsyncIterator[Running]:
    assert settings.data_dir == disk
    async with running(settings.model_copy(update={"disk_reserve_bytes": RESERVE})) as app:
        yield app


async def used(app: Running, person: Person) -> int:
    async with app.resources.database.session() as session:
        return (await upload_bytes.get_usage(session, person.id)).bytes


async def send(app: Running, person: Person, content: bytes, name: str, **changes: Any) -> str:
    headers = {**person.headers, "Prefer": "respond-async"}
    metadata = {"def_tar_att": "flood" if content == CSV else "level", **changes}
    answer = await app.client.post("/data-upload", files=form(content, name, **metadata), headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["status_path"])


async def ended(app: Running, person: Person, path: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        found: dict[str, Any] = (await app.client.get(path, headers=person.headers)).json()
        return found if found["finished_at"] or found["dataset_id"] else None

    return await eventually(look)


@pytest.mark.long
async def test_gzip_when_it_unpacks_to_more_than_the_disk_then_the_reserve_stays_and_others_go_on(
    site: Running, password_hash: str, disk: Path
) -> None:
    one, other = await insert_person(site, password_hash), await insert_person(site, password_hash)
    least_free = shutil.disk_usage(disk).free
    watching = True

    async def watch() -> None:
        nonlocal least_free
        while watching:
            least_free = min(least_free, shutil.disk_usage(disk).free)
            await asyncio.sleep(0.01)

    watcher = asyncio.create_task(watch())
    with capture_logs() as logs:
        path = await send(
            site, one, gzip.compress(table(64)), "bomb.csv.gz", notify=True, dataset_name="bomb"
        )
        answers: list[httpx.Response] = []
        said: list[str | None] = []
        while not (stands := (await site.client.get(path, headers=one.headers)).json())["finished_at"]:
            said.append((stands["progress"] or {}).get("detail"))
            name = f"small-{len(answers)}"
            small = form(dataset_name=name)
            answers.append(await site.client.post("/data-upload", files=small, headers=other.headers))
        failed = await ended(site, one, path)
    watching = False
    await watcher

    assert (failed["state"], failed["error"]["type"].rpartition("/")[2]) == ("failed", "storage-full")
    assert "retry" in failed["error"]["detail"]
    assert {answer.status_code for answer in answers} == {200}
    assert least_free >= RESERVE
    assert conversion.NO_ROOM in said
    # The file is kept for another attempt, and counts; what was made of it is gone.
    assert await used(site, one) == failed["size"]
    assert [path.name for path in spool(site)] == ["source"]
    await mail_to(site, one.email, subject="could not be published")
    assert any("reserve" in line.get("fault", "") for line in logs)
    await site.client.delete(path, headers=one.headers)
    assert (await used(site, one), spool(site)) == (0, [])


@pytest.mark.long
async def test_table_when_it_fits_and_its_arff_does_not_then_told_and_the_log_says_where(
    settings: Settings, disk: Path, password_hash: str
) -> None:
    # No reserve: the disk itself is full.
    async with running(settings.model_copy(update={"disk_reserve_bytes": 0})) as app:
        person = await insert_person(app, password_hash)
        with capture_logs() as logs:
            path = await send(app, person, table(30), "large.csv", notify=True, dataset_name="large")
            failed = await ended(app, person, path)

        assert failed["error"]["type"].rpartition("/")[2] == "storage-full"
        assert str(disk) not in str(failed)
        faults = [line["fault"] for line in logs if "fault" in line]
        assert len(faults) >= 1
        assert all(fault.startswith("ENOSPC ") and fault.endswith("/arff") for fault in faults)
        attempts = [line for line in logs if line["event"] == "upload has to wait"]
        assert len(attempts) == pipeline.ROOM_ATTEMPTS - 1
        await mail_to(app, person.email, subject="could not be published")
        assert await used(app, person) == failed["size"]


async def test_conversion_when_its_owner_may_not_have_as_much_then_refused_and_told_what_to_do(
    settings: Settings, password_hash: str
) -> None:
    limit = 2 * MEBIBYTE
    async with running(settings.model_copy(update={"upload_user_bytes": limit})) as app:
        person = await insert_person(app, password_hash)
        path = await send(app, person, gzip.compress(table(20)), "packed.csv.gz")
        failed = await ended(app, person, path)

        assert failed["error"]["type"].rpartition("/")[2] == "quota-exceeded"
        assert failed["error"]["limit_bytes"] == limit
        assert await used(app, person) == failed["size"]
        assert [path.name for path in spool(app)] == ["source"]


async def test_file_when_it_can_never_be_published_then_nothing_of_it_stays(
    site: Running, password_hash: str
) -> None:
    person = await insert_person(site, password_hash)
    path = await send(site, person, b"a,b\n1,2\n3\n", "ragged.csv", def_tar_att="a")
    failed = await ended(site, person, path)

    assert failed["error"]["correct"] == "file"

    async def gone() -> bool | None:
        return (spool(site) == [] and await used(site, person) == 0) or None

    await eventually(gone)
    again = await site.client.post(f"{path}/retry", json=SPA_METADATA, headers=person.headers)
    assert (again.status_code, "send the file again" in again.json()["detail"]) == (409, True)


async def test_work_when_its_room_is_promised_to_others_meanwhile_then_ended(
    settings: Settings, password_hash: str, tmp_path: Path
) -> None:
    free = shutil.disk_usage(tmp_path).free
    # Uploads may go down to the reserve; conversions leave half as much again.
    reserve, size = free // 4, 7 * free // 10
    limits = {"disk_reserve_bytes": reserve, "upload_max_bytes": free, "upload_user_bytes": free}
    async with running(settings.model_copy(update={**limits, "embedded_worker": False})) as app:
        one, other = await insert_person(app, password_hash), await insert_person(app, password_hash)
        path = await send(app, one, CSV, "one.csv")
        async with app.resources.database.session() as session:
            upload = await uploads.get_upload(session, path.rpartition("/")[2])
        assert upload is not None
        request = ConversionRequest(
            source=app.resources.storage.path(upload.id, "source"),
            target=app.resources.storage.path(upload.id, "arff"),
            format="csv",
            relation="one",
        )
        ended_with: list[BaseException] = []

        async def endless() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as error:
                ended_with.append(error)
                raise

        file = conversion.WorkingFile(
            app.resources.database,
            app.resources.storage,
            app.resources.settings,
            upload=upload,
            request=request,
            kept_bytes=0,
        )
        work = asyncio.create_task(file.watch(endless()))
        await asyncio.sleep(2 * conversion.WATCH_SECONDS)
        assert not work.done()
        body = {"file_name": "other.csv", "size": size}
        begun = await app.client.post("/uploads", json=body, headers=other.headers)
        assert begun.status_code == 201, begun.text

        with pytest.raises(StorageFullError):
            await asyncio.wait_for(work, PATIENCE_SECONDS)
        assert len(ended_with) == 1
