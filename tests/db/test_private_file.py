"""The file of SQLite is its owner's alone, whatever the umask, and whoever made it."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
import structlog

from app.core.settings import Settings
from app.db.engine import Database

ENDINGS = ("", "-wal", "-shm")


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    found = {path.name.removeprefix("openml.db"): path for path in folder.glob("openml.db*")}
    return {ending: stat.S_IMODE(path.stat().st_mode) for ending, path in found.items()}


async def write(database: Database) -> None:
    async with database.session() as session:
        await session.execute(sa.text("CREATE TABLE IF NOT EXISTS written (at INTEGER)"))
        await session.execute(sa.text("INSERT INTO written VALUES (1)"))


async def test_file_when_made_then_nobody_else_can_read_it_nor_its_companions(
    tmp_path: Path, umask: int
) -> None:
    database = Database(Settings(_env_file=None, data_dir=tmp_path))
    try:
        await write(database)
        found = modes(tmp_path)
    finally:
        await database.close()

    assert found == dict.fromkeys(ENDINGS, 0o600), oct(umask)


async def test_file_when_others_can_read_it_then_mended_and_said(tmp_path: Path) -> None:
    for ending in ENDINGS:
        (tmp_path / f"openml.db{ending}").touch()
        (tmp_path / f"openml.db{ending}").chmod(0o664)

    with structlog.testing.capture_logs() as lines:
        database = Database(Settings(_env_file=None, data_dir=tmp_path))
    mended = modes(tmp_path)
    await database.close()
    with structlog.testing.capture_logs() as later:
        await Database(Settings(_env_file=None, data_dir=tmp_path)).close()

    assert mended == dict.fromkeys(ENDINGS, 0o600)
    assert [Path(line["file"]).name for line in lines] == [f"openml.db{ending}" for ending in ENDINGS]
    assert later == []
