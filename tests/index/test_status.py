"""What operators are told of the index: by the command, doctor, and the metrics."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import cli
from app.core import metrics
from app.core.settings import Settings
from app.doctor.diagnosis import Diagnosis, Level, Wishes
from app.doctor.examination import examine_installation
from app.index.lock import is_being_filled
from app.index.store import Store, path_in
from app.metrics.scraping import ScrapedCollector
from tests.conftest import Running, eventually, running
from tests.index.conftest import DOCUMENTS

Run = Callable[..., Result]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"search_index": True})


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    environment = {
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URI": settings.database_uri.get_secret_value(),
        "OPENML_SERVER": settings.openml_server,
        "SEARCH_INDEX": "true",
    }
    return lambda *arguments, **more: CliRunner().invoke(cli, arguments, env={**environment, **more})


def test_command_when_there_is_no_index_then_it_says_what_to_do(run: Run) -> None:
    found = run("index", "status")

    assert (found.exit_code, found.output) == (
        1,
        "There is no index yet. A worker makes it, or: openml-web index rebuild\n",
    )
    assert "SEARCH_INDEX is false" in str(run("index", "status", SEARCH_INDEX="false").exception)


def test_command_when_it_rebuilds_then_all_that_openml_lists_is_there(run: Run, settings: Settings) -> None:
    store = Store(path_in(settings.data_dir))
    with store.writing():
        store.put(DOCUMENTS)
    store.close()

    rebuilt, told = run("index", "rebuild"), run("index", "status")

    assert (rebuilt.exit_code, told.exit_code) == (0, 0), rebuilt.output
    assert rebuilt.output.endswith(told.output)
    lines = told.output.splitlines()
    assert "task_type  11" in lines
    assert any(line.startswith("flow  ") for line in lines)
    assert "0 of them are not read whole yet" in lines
    assert lines[-1].startswith("lists read to their end last: 20")


def test_command_when_openml_is_away_then_a_sentence(run: Run) -> None:
    found = run("index", "rebuild", OPENML_SERVER="http://127.0.0.1:9/")

    assert found.exit_code == 1
    assert "http://127.0.0.1:9/ cannot be read: OpenML cannot be reached." in found.output


async def look(settings: Settings) -> list[Diagnosis]:
    return await examine_installation(settings, Wishes(), frozenset({"search"}))


async def test_doctor_when_the_index_is_missing_old_or_fresh_then_said(settings: Settings) -> None:
    async def diagnosis() -> tuple[Level, str]:
        (found,) = await look(settings)
        return found.level, found.text

    def note(at: float) -> None:
        store = Store(path_in(settings.data_dir))
        with store.writing():
            store.put(DOCUMENTS)
            store.set_meta("fresh_at", at)
        store.close()

    assert (await diagnosis())[0] is Level.WARNING
    await asyncio.to_thread(note, time.time() - 3600)
    level, text = await diagnosis()
    assert (level, "60 minutes ago" in text) == (Level.WARNING, True)
    await asyncio.to_thread(note, time.time())
    level, text = await diagnosis()
    assert (level, "10 documents" in text) == (Level.OK, True)
    settings = settings.model_copy(update={"search_index": False})
    assert (await diagnosis())[0] is Level.SKIPPED


async def test_metrics_when_scraped_then_the_age_and_the_documents_are_told(settings: Settings) -> None:
    async with running(settings) as app:
        await eventually(lambda: _is_fresh(app))
        collector = ScrapedCollector(app.resources, asyncio.get_running_loop())
        families = await asyncio.to_thread(lambda: list(collector.collect()))
        assert await asyncio.to_thread(is_being_filled, path_in(settings.data_dir))
    found = {family.name: family.samples for family in families}

    kinds = {sample.labels["kind"]: sample.value for sample in found[metrics.INDEX_DOCUMENTS.full_name]}
    assert kinds["task_type"] == 11
    assert 0 <= found[metrics.INDEX_AGE.full_name][0].value < 60
    assert found[metrics.INDEX_BYTES.full_name][0].value > 100_000


async def _is_fresh(app: Running) -> bool | None:
    assert app.resources.index is not None
    try:
        found = await app.resources.index.status()
    except Exception:  # noqa: BLE001 - it is not begun yet
        return None
    return bool(found.fresh_at and found.documents["task_type"]) or None
