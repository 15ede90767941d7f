"""What a deployment costs the database while nobody wants anything of it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import app.db.mysql
from app.core.settings import Settings
from app.db.engine import Database
from app.db.migrations import migrate
from tests.conftest import Running, serving
from tests.mariadb_server import OwnMariaDB, own_mariadb

WATCHED_SECONDS = 10.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnMariaDB]:
    with own_mariadb(tmp_path_factory.mktemp("mariadb")) as found:
        yield found


@pytest.fixture
async def settings(server: OwnMariaDB, tmp_path: Path, sandbox_url: str) -> Settings:
    found = Settings(
        _env_file=None, data_dir=tmp_path, database_uri=server.address, openml_server=sandbox_url
    )
    database = Database(found)
    await migrate(database.engine)
    await database.close()
    return found


async def watch(server: OwnMariaDB, *, rest_seconds: float) -> tuple[float, int]:
    """Return how many statements came in a second, and how many connections are open in the end."""
    await asyncio.sleep(rest_seconds + 1.5)
    own = await asyncio.to_thread(server.questions)
    own = await asyncio.to_thread(server.questions) - own
    before = await asyncio.to_thread(server.questions)
    await asyncio.sleep(WATCHED_SECONDS)
    asked = await asyncio.to_thread(server.questions) - before - own
    return asked / WATCHED_SECONDS, len(await asyncio.to_thread(server.connections))


@pytest.mark.parametrize("is_told", [False, True], ids=["alone", "told by others"])
@pytest.mark.long
async def test_worker_when_idle_then_it_asks_rarely_and_keeps_one_connection(
    server: OwnMariaDB,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    is_told: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    # Instead of half a minute: what connections that were needed at the start take to be closed.
    rest_seconds = 5.5 if is_told else 1.5
    monkeypatch.setattr(app.db.mysql, "IDLE_SECONDS", rest_seconds)
    async with serving(settings) as running:
        _hear_others(running, is_told=is_told)
        rate, connections = await watch(server, rest_seconds=rest_seconds)

    print(f"an idle worker: {rate:.2f} statements a second, {connections} connections")  # noqa: T201 - docs/scaling.md
    assert rate <= (0.4 if is_told else 1.5)
    assert connections <= 1


@pytest.mark.long
async def test_web_process_when_idle_then_it_asks_nothing_and_keeps_no_connection(
    server: OwnMariaDB, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.db.mysql, "IDLE_SECONDS", 1.0)
    async with serving(settings.model_copy(update={"embedded_worker": False})):
        rate, connections = await watch(server, rest_seconds=1.0)

    assert (rate, connections) == (0, 0)


def _hear_others(running: Running, *, is_told: bool) -> None:
    running.resources.notifications.hears_others = lambda: is_told
