"""`openml-web backup`, `restore` and `move`, as operators type them."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.core.clock import utc_now
from app.core.settings import Settings
from app.db import worker_heartbeats
from app.db.engine import Database
from app.db.outbox import add_mail
from app.db.revisions import VERSION_TABLE
from app.db.snapshots import LEFT_OUT, tables_to_copy
from app.db.worker_heartbeats import Heartbeat
from tests.commands.conftest import Run
from tests.commands.test_administration import prepare
from tests.service import Service

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)


@pytest.fixture
def part(settings: Settings) -> Path:
    """The bytes of an upload that waits for its owner; a mail waits, too."""
    upload_id = prepare(settings)
    path = settings.data_dir / "uploads" / upload_id / "a"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"abcdef")  # Of which the row names three.
    write(settings)
    return path


def write(settings: Settings, *, beats: bool = False) -> None:
    """Queue a mail; or let a worker process be alive."""

    async def add() -> None:
        database, now = Database(settings), utc_now()
        try:
            async with database.session() as session:
                if beats:
                    await worker_heartbeats.beat(session, Heartbeat("w:2", "host-2", 9, now, now, ""))
                else:
                    await add_mail(
                        session, kind="confirmation", recipient="ada@example.org", parameters={}, now=now
                    )
        finally:
            await database.close()

    asyncio.run(add())


def stop_worker(settings: Settings) -> None:
    with closing(sqlite3.connect(settings.database_url.partition("///")[2])) as connection, connection:
        connection.execute("DELETE FROM worker_heartbeats WHERE id = 'w:2'")


def test_backup_when_restored_elsewhere_then_told_what_is_held(run: Run, part: Path, tmp_path: Path) -> None:
    elsewhere = {
        "DATABASE_URI": f"sqlite:///{tmp_path / 'new.db'}",
        "DATA_DIR": str(tmp_path / "new"),
    }

    made = run("backup", "saved")

    assert made.exit_code == 0, made.output
    assert " 1 files with 3 bytes" in made.stdout
    assert "keep it as secret" in made.stdout
    assert not Path("saved.partial").exists()
    assert "is whole" in run("backup", "saved", "--verify").stdout
    again = run("backup", "saved")
    assert "is there already" in str(again.exception)
    restored = run("restore", "saved", **elsewhere)
    assert restored.exit_code == 0, restored.exception
    assert "1 mails that waited are held" in restored.stdout
    assert "1 uploads are looked for" in restored.stdout
    assert (tmp_path / "new/uploads" / part.parent.name / "a").read_bytes() == b"abc"
    assert "held when a backup was restored" in run("mail", "list", **elsewhere).stdout
    assert "Name an empty one" in str(run("restore", "saved", **elsewhere).exception)


@pytest.mark.parametrize("harm", ["changed", "removed", "sums", "manifest"])
def test_verify_when_a_backup_is_not_as_it_was_written_then_named(run: Run, part: Path, harm: str) -> None:
    run("backup", "saved")
    file = Path("saved/files/uploads", part.parent.name, "a")
    if harm == "changed":
        file.write_bytes(b"abd")
    elif harm == "removed":
        file.unlink()
    else:
        file = Path("saved/SHA256SUMS" if harm == "sums" else "saved/manifest.json")
        file.write_text(file.read_text()[:-9])

    for answer in (run("backup", "saved", "--verify"), run("restore", "saved", DATA_DIR="new")):
        assert answer.exit_code == 1
        assert file.name in str(answer.exception)


def test_backup_when_it_was_interrupted_then_no_backup_until_it_is_gone_on_with(run: Run, part: Path) -> None:
    assert run("backup", "saved").exit_code == 0
    shutil.copytree("saved", "other.partial")
    copied = Path("other.partial/files/uploads", part.parent.name, "a")
    digest = "0" * 64  # Shows that it is not copied again.
    Path("other.partial/copied").write_text(f"{digest} 3 uploads/{part.parent.name}/a\n{digest} 9 uplo")
    Path("other.partial/manifest.json").unlink()
    copied.write_bytes(b"xyz")
    copied.with_name("0123456789abcdef.draft").write_bytes(b"half of a fi")

    assert "never finished" in str(run("restore", "other.partial").exception)
    assert run("backup", "other").exit_code == 0

    assert [path.name for path in Path("other/files").rglob("*") if path.is_file()] == ["a"]
    assert digest in Path("other/SHA256SUMS").read_text()


def test_backup_when_bytes_are_nowhere_then_told_and_the_rest_is_kept(run: Run, part: Path) -> None:
    part.unlink()

    made = run("backup", "saved")

    assert made.exit_code == 0
    assert f"1 files that the database names are nowhere: uploads/{part.parent.name}/a" in made.stderr
    assert "is whole" in run("backup", "saved", "--verify").stdout


def test_backup_when_a_source_was_put_together_then_its_parts_are_taken_of_it(run: Run, part: Path) -> None:
    part.rename(part.with_name("source"))

    run("backup", "saved")

    assert Path("saved/files/uploads", part.parent.name, "a").read_bytes() == b"abc"


@pytest.mark.parametrize("revision", [None, "0001", "9999"])
def test_backup_when_the_database_is_not_of_this_version_then_refused(
    run: Run, settings: Settings, revision: str | None
) -> None:
    with closing(sqlite3.connect(settings.database_url.partition("///")[2])) as connection, connection:
        if revision is None:
            connection.execute(f"DROP TABLE {VERSION_TABLE}")
        else:
            connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '{revision}'")

    refused = run("backup", "saved")

    assert "Only the version that a database is of knows all of it" in str(refused.exception)
    assert not Path("saved").exists()


def test_tables_when_one_is_neither_copied_nor_left_out_then_found(settings: Settings) -> None:
    async def names() -> set[str]:
        database = Database(settings)
        try:
            async with database.session() as session:
                connection = await session.connection()
                return set(await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names()))
        finally:
            await database.close()

    known = {table.name for table in [*tables_to_copy(with_openml=True), *LEFT_OUT]}

    assert asyncio.run(names()) - {VERSION_TABLE} == known


def test_move_when_the_service_is_stopped_then_all_is_in_the_new_places(
    run: Run, part: Path, settings: Settings, tmp_path: Path
) -> None:
    Path("new.env").write_text(f"DATABASE_URI=sqlite:///{tmp_path / 'new.db'}\nDATA_DIR={tmp_path / 'new'}\n")
    write(settings, beats=True)

    looked = run("move", "--to", "new.env", "--check")
    assert "1 uploads are not finished; 3 bytes are kept" in looked.stdout
    assert "To be moved: store and database" in looked.stdout
    assert "A worker runs: process 9 on host-2" in str(run("move", "--to", "new.env").exception)
    stop_worker(settings)
    moved = run("move", "--to", "new.env")

    assert moved.exit_code == 0, moved.exception
    assert "1 files, 3 bytes, are in the new store" in moved.stdout
    assert "uploads: 1 rows, the same in both" in moved.stdout
    assert (tmp_path / "new/uploads" / part.parent.name / "a").read_bytes() == b"abc"
    now = {"DATABASE_URI": f"sqlite:///{tmp_path / 'new.db'}", "DATA_DIR": str(tmp_path / "new")}
    assert "pending" in run("mail", "list", **now).stdout
    assert "names the database and the store that are used now" in str(
        run("move", "--to", "new.env", **now).exception
    )
    assert "Name an empty one" in str(run("move", "--to", "new.env").exception)


def test_move_when_the_file_has_no_settings_then_named(run: Run) -> None:
    Path("new.env").write_text("DATABASE_URL=mysql://a@b/c\n")

    assert "DATABASE_URL" in str(run("move", "--to", "new.env").exception)


def test_move_when_a_service_with_its_own_worker_answers_then_it_is_to_be_stopped_first(
    service: Service, run: Run, tmp_path: Path
) -> None:
    service.start()
    Path("new.env").write_text(f"DATABASE_URI=sqlite:///{tmp_path / 'new.db'}\n")

    refused = run("move", "--to", "new.env", PORT=str(service.port))

    assert "openml-web serve answers on" in str(refused.exception)
    assert not (tmp_path / "new.db").exists()
    assert run("move", "--to", "new.env", "--check", PORT=str(service.port)).exit_code == 0
