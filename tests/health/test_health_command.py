"""`openml-web health`, which knows what runs here and on which port. tests/test_from_zero.py asks one that serves."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.commands.health import check
from app.core.settings import Settings
from app.db.engine import Database
from app.events.notifications import Notifications
from app.worker.heartbeat import beating
from tests.conftest import eventually


@pytest.fixture
def database_uri(tmp_path: Path, migrated_sqlite: Path) -> str:
    path = tmp_path / "openml.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    return f"sqlite:///{path}"


async def test_health_when_nothing_a_worker_or_another_program_runs_then_said(
    settings: Settings, free_port: int, sandbox_url: str
) -> None:
    here = settings.model_copy(update={"port": free_port})
    assert await check(here) == (
        False,
        f"Nothing answers on http://127.0.0.1:{free_port}. No worker is running; start openml-web worker.",
    )
    database = Database(here)

    async def works() -> str | None:
        found, sentence = await check(here)
        return sentence if found else None

    async with beating(database, Notifications()):
        assert "1 working on" in await eventually(works)
        assert (await check(here, of="worker"))[0]
        assert await check(here, of="web") == (False, f"Nothing answers on http://127.0.0.1:{free_port}.")
    await database.close()

    another = settings.model_copy(update={"port": urlsplit(sandbox_url).port})
    for live in (True, False):
        works_, sentence = await check(another, live=live)
        assert (works_, sentence.split(" ")[1:3]) == (False, ["answers", "404."])
