"""Each cause for which `/health/ready` says no, and that it says which."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from app.commands.drain import drain
from app.core import vitals
from app.core.settings import Settings
from app.db import worker_heartbeats
from app.db.revisions import VERSION_TABLE
from app.db.store_marks import adopt
from app.db.tables import outbox, task_requests
from app.db.upload_tables import uploads
from app.db.worker_heartbeats import Heartbeat
from app.health.checks import CheckName
from app.worker import janitor
from app.worker.scheduling import CONVERSIONS_PER_USER
from tests.conftest import MakePerson, Running, running
from tests.health.conftest import until, wrong_with
from tests.s3_server import S3Server, find_weed, start_server
from tests.small_disk import small_disk

pytestmark = pytest.mark.usefixtures("looking_often")


@pytest.fixture
async def web(settings: Settings) -> AsyncIterator[Running]:
    """A process that only answers."""
    async with running(settings.model_copy(update={"embedded_worker": False})) as app:
        yield app


async def add_heartbeat(app: Running, name: str = "w", **changes: Any) -> None:
    """Write the sign of life of a worker; `age` and `silence` are seconds."""
    now = app.resources.database.now()
    age, silence = changes.pop("age", 60), changes.pop("silence", 0)
    values = Heartbeat(
        id=name,
        host="elsewhere",
        pid=7,
        started_at=now - timedelta(seconds=age),
        seen_at=now - timedelta(seconds=silence),
        fault="",
    )._replace(**changes)
    async with app.resources.database.session() as session:
        await worker_heartbeats.beat(session, values)


async def test_ready_when_asked_for_everything_then_each_check_is_listed(app: Running) -> None:
    answer = (await app.client.get("/health/ready?verbose=1")).json()

    assert answer["status"] == "ok"
    assert {check["name"] for check in answer["checks"]} == set(CheckName)
    assert all(check["ok"] for check in answer["checks"])
    assert (await app.client.get("/health/ready?exclude=nonsense")).status_code == 422


async def test_instance_when_drained_or_about_to_stop_then_not_ready_and_it_answers(web: Running) -> None:
    settings = web.resources.settings
    command = CliRunner(env={"DATA_DIR": str(settings.data_dir), "PORT": str(settings.port)})

    assert "says no" in (await asyncio.to_thread(command.invoke, drain)).stdout
    found = await until(web, lambda wrong: "stopping" in wrong, "worker")
    assert found["stopping"].startswith("This instance was taken out with openml-web drain;")
    assert (await web.client.get("/health/live")).status_code == 200
    await asyncio.to_thread(command.invoke, drain, ["--off"])
    await until(web, lambda wrong: not wrong, "worker")
    web.resources.leaving.begin()
    await until(web, lambda wrong: wrong == {"stopping": "This process is about to stop."}, "worker")


@pytest.mark.parametrize(
    ("heartbeats", "says"),
    [
        ([], "No worker is running"),
        ([{}], None),
        ([{"age": 0}], None),
        ([{"silence": 10}], None),
        ([{"silence": 40}], "No worker was heard of for 4"),
        ([{"silence": 3000}], "No worker is running"),
        ([{"fault": "KeyError"}], "(KeyError)"),
        # One of them is enough.
        ([{"silence": 40}, {"age": 1}], None),
        ([{"fault": "KeyError"}, {"fault": "KeyError"}, {"age": 600}], None),
        # They fall one after another, and the last will.
        ([{"fault": "KeyError"}, {"fault": "KeyError"}, {"age": 2}], "soon after their start (KeyError)"),
        ([{"silence": 100}, {"silence": 50}, {"age": 2}], "soon after their start;"),
        ([{"silence": 100}, {"silence": 50}, {"age": 40}], None),
        ([{"silence": 2000}, {"silence": 1000}, {"age": 2}], None),
    ],
)
async def test_worker_when_it_is_a_process_of_its_own_then_its_signs_of_life_count(
    web: Running, heartbeats: list[dict[str, Any]], says: str | None
) -> None:
    for number, changes in enumerate(heartbeats):
        await add_heartbeat(web, str(number), **changes)

    wrong = await wrong_with(web)

    assert set(wrong) == ({"worker"} if says else set())
    assert (says or "") in wrong.get("worker", "")
    assert await wrong_with(web, "worker") == {}


async def test_heartbeats_when_old_then_removed(web: Running) -> None:
    await add_heartbeat(web, "old", age=9000, silence=4000)
    await add_heartbeat(web, "new", age=9000)

    await janitor.forget_the_past(
        web.resources.database, audit_days=web.resources.settings.timings.audit_days
    )

    async with web.resources.database.session() as session:
        kept = await session.scalars(sa.text("SELECT id FROM worker_heartbeats"))
        assert kept.all() == ["new"]


async def test_worker_when_the_one_inside_falls_again_and_again_then_not_ready_until_it_stays(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vitals, "STEADY_SECONDS", 2.0)
    monkeypatch.setattr("app.worker.run.RESTART_SECONDS", 0.2)
    in_its_way = settings.data_dir / "conversions"
    in_its_way.parent.mkdir(exist_ok=True)
    in_its_way.touch()
    async with running(settings) as app:
        for _ in range(20):
            assert "FileExistsError" in (await wrong_with(app))["worker"]
        assert await wrong_with(app, "worker") == {}

        in_its_way.unlink()

        await until(app, lambda wrong: not wrong)
        assert app.resources.vitals.is_steady


ROWS: dict[str, tuple[sa.Table, dict[str, Any]]] = {
    "Mails": (outbox, {"kind": "feedback", "recipient": "a@b.org", "parameters": {}, "state": "pending"}),
    "Uploads": (
        uploads,
        {"id": "u", "user_id": 1, "state": "received", "file_name": "a.csv", "format": "csv"},
    ),
    "Published datasets": (
        uploads,
        {"id": "u", "user_id": 1, "state": "processing", "file_name": "a.csv", "format": "csv"},
    ),
    "Tasks": (
        task_requests,
        {"id": "t", "user_id": 1, "dataset_id": 1, "state": "waiting", "request": {}},
    ),
}


async def add_row(app: Running, queue: str, *, due_for: float, **changes: Any) -> None:
    table, values = ROWS[queue]
    now = app.resources.database.now()
    moments = {"created_at": now, "available_at": now - timedelta(seconds=due_for)}
    async with app.resources.database.session() as session:
        await session.execute(sa.insert(table).values({**values, **moments, **changes}))


@pytest.mark.parametrize("queue", ROWS)
async def test_queue_when_its_oldest_row_is_due_for_too_long_then_it_is_named(
    web: Running, queue: str
) -> None:
    await add_heartbeat(web)
    await add_row(web, queue, due_for=500)
    assert await wrong_with(web) == {}

    async with web.resources.database.session() as session:
        late = web.resources.database.now() - timedelta(seconds=700)
        await session.execute(sa.update(ROWS[queue][0]).values(available_at=late))

    wrong = await until(web, bool)
    assert set(wrong) == {"queues"}
    assert wrong["queues"].startswith(queue)
    assert "ready_queue_seconds (600)" in wrong["queues"]
    # Somebody works on it, or it was put off.
    async with web.resources.database.session() as session:
        later = web.resources.database.now() + timedelta(seconds=30)
        await session.execute(sa.update(ROWS[queue][0]).values(available_at=later))
    await until(web, lambda wrong: not wrong)


async def test_queue_when_only_one_users_uploads_wait_for_each_other_then_ready(web: Running) -> None:
    await add_heartbeat(web)
    for number in range(CONVERSIONS_PER_USER):
        await add_row(web, "Uploads", due_for=-30, id=f"held-{number}", lease_owner="somebody")
    await add_row(web, "Uploads", due_for=5000, id="waits")
    assert await wrong_with(web) == {}

    await add_row(web, "Uploads", due_for=5000, id="another's", user_id=2)

    assert set(await until(web, bool)) == {"queues"}


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_disk_when_it_may_only_be_read_or_has_too_little_left_then_not_ready(
    settings: Settings, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "var", mebibytes=32) as folder:
        # A worker has files open there, and the system would not take the disk away from it.
        changes = {"disk_reserve_bytes": 16 << 20, "embedded_worker": False}
        async with running(settings.model_copy(update=changes)) as app:
            assert await wrong_with(app, "worker") == {}

            (folder / "ballast").write_bytes(bytes(20 << 20))
            wrong = await until(app, bool, "worker")
            assert set(wrong) == {"disk"}
            assert f"DISK_RESERVE_BYTES ({16 << 20})" in wrong["disk"]

            (folder / "ballast").unlink()
            await until(app, lambda wrong: not wrong, "worker")
            remount(folder, "ro")
            wrong = await until(app, bool, "worker")
            remount(folder, "rw")
            assert set(wrong) == {"disk", "storage"}
            assert "Read-only file system" in wrong["disk"]
            await until(app, lambda wrong: not wrong, "worker")


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_disk_when_the_folder_of_uploads_is_no_folder_then_the_storage_is_not_ready(
    app: Running, settings: Settings
) -> None:
    assert await wrong_with(app) == {}
    shutil.rmtree(settings.data_dir / "uploads")
    (settings.data_dir / "uploads").touch()

    assert "File exists" in (await until(app, lambda wrong: "storage" in wrong))["storage"]


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[S3Server]:
    command = find_weed()
    if command is None:
        pytest.skip("there is no S3 server")
    server = start_server(command, tmp_path / "s3")
    yield server
    server.kill()


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_store_when_away_silent_or_refusing_then_not_ready_in_time_and_ready_again_afterwards(
    settings: Settings, own_store: S3Server
) -> None:
    own_store.make_bucket("ready")
    given: dict[str, Any] = dict(own_store.settings("ready"))
    store = Settings(_env_file=None, data_dir=settings.data_dir, **given)
    changes = {name: getattr(store, name) for name in given}
    async with running(settings.model_copy(update=changes)) as app:
        assert await wrong_with(app) == {}

        own_store.pause()
        assert "within 3 seconds" in (await until(app, lambda wrong: "storage" in wrong))["storage"]
        own_store.resume()
        await until(app, lambda wrong: not wrong)

        own_store.remove_bucket("ready")
        assert "NoSuchBucket" in (await until(app, lambda wrong: "storage" in wrong))["storage"]
        own_store.make_bucket("ready")  # Empty, and so another store than before.
        assert "store adopt" in (await until(app, lambda wrong: "adopt" in str(wrong)))["storage"]
        await adopt(app.resources.database, app.resources.storage.mark)
        await until(app, lambda wrong: not wrong)

        own_store.kill()
        assert set(await until(app, bool)) == {"storage"}
        own_store.start()
        await until(app, lambda wrong: not wrong)


async def test_database_when_behind_its_migrations_then_the_command_to_run_and_ahead_is_fine(
    app: Running, make_person: MakePerson
) -> None:
    version = sa.table(VERSION_TABLE, sa.column("version_num"))

    async def set_version(number: str) -> None:
        async with app.resources.database.session() as session:
            await session.execute(sa.update(version).values(version_num=number))

    async with app.resources.database.session() as session:
        present = str(await session.scalar(sa.select(version.c.version_num)))
    try:
        await set_version("0001")
        assert (await until(app, bool)) == {
            "migrations": "The database is behind this version of the service. Run: openml-web migrate"
        }
        # Of two versions that run at once while one takes the other's place, the older one goes on.
        await set_version("of the future")
        await until(app, lambda wrong: not wrong)
    finally:
        await set_version(present)
    await make_person()
