"""`openml-web health`, which knows what runs here and on which port. tests/test_from_zero.py asks one that serves."""

import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.commands import health
from app.commands.health import check
from app.core.settings import Settings
from app.db.engine import Database
from app.events.notifications import Notifications
from app.worker.heartbeat import beating
from tests.conftest import eventually

ROOT = Path(__file__).parents[2]


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


async def test_health_when_a_service_says_nothing_then_that_one_is_named_in_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        found = await check(settings.model_copy(update={"port": port}), of="web")

    assert found == (False, f"http://127.0.0.1:{port} does not answer within 0.2 seconds.")


def test_deadlines_when_others_call_it_then_theirs_are_longer() -> None:
    """Python has to start within what is left."""
    called = (
        ("Dockerfile", r"--timeout=(\d+)s"),
        ("compose.yaml", r"health\]\n.*\n +timeout: (\d+)s"),
        ("deploy/kubernetes/service.yaml", r"openml-web, health.*(?:\n.*){1,4}timeoutSeconds: (\d+)"),
    )
    for name, pattern in called:
        found = re.findall(pattern, (ROOT / name).read_text())
        assert found, name
        assert all(int(seconds) >= health.CHECK_SECONDS + 5 for seconds in found), name
