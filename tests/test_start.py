"""What a start imports, and what it leaves until it is used (benchmarks/start.py says what that saves)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEMPLATES = {"jinja2"}
MIGRATIONS = {"alembic", "mako"}
TABLES_AND_PICTURES = {"pyarrow", "PIL"}
REQUESTS = {"fastapi", "uvicorn", "app.main", "app.web"}
METRICS = {"prometheus_client", "app.metrics.process"}
ROUTES = {"app.routes", "app.jobs", "app.uploads.service", "app.accounts.lifecycle"}
"""What comes once the service listens."""
TELEMETRY = {"opentelemetry.sdk", "app.telemetry.traces", "sentry_sdk"}
EVERYTHING = {"asyncio", "structlog", "pydantic", "sqlalchemy", "importlib.metadata", "app.core.settings"}
START_WORKER = """
import asyncio
from app.commands import worker
from app.core.setting_loading import load_settings

async def start():
    async with worker.open_resources(load_settings()) as resources:
        process = worker.run_worker_process(
            resources.database, resources.notifications, lambda: worker.run_worker(resources)
        )
        work = asyncio.ensure_future(process)
        await resources.vitals.wait_for_news()
        work.cancel()
        await asyncio.wait([work])

asyncio.run(start())
"""
SAY_WHAT_IS_LOADED = "\nimport sys\nprint(*sys.modules)"


def run(script: str, folder: Path) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", script + SAY_WHAT_IS_LOADED],
        cwd=folder,
        env={**os.environ, "DATA_DIR": str(folder / "var")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("app.cli", EVERYTHING | TEMPLATES | MIGRATIONS | TABLES_AND_PICTURES | REQUESTS),
        ("app.main", ROUTES | METRICS | TELEMETRY | TEMPLATES | MIGRATIONS | TABLES_AND_PICTURES),
        ("app.commands.service", ROUTES | METRICS | TELEMETRY | TEMPLATES | MIGRATIONS | TABLES_AND_PICTURES),
        (
            "app.commands.worker",
            METRICS | TELEMETRY | TEMPLATES | MIGRATIONS | TABLES_AND_PICTURES | REQUESTS,
        ),
    ],
)
def test_imports_when_something_starts_then_what_it_may_never_use_is_not_among_them(
    tmp_path: Path, module: str, unwanted: set[str]
) -> None:
    loaded = run(f"import {module}", tmp_path)

    assert module in loaded
    assert not loaded & unwanted


@pytest.mark.long
def test_worker_when_it_works_and_has_nothing_to_do_then_it_holds_nothing_of_requests(tmp_path: Path) -> None:
    migrate = [sys.executable, "-m", "app.cli", "migrate"]
    subprocess.run(migrate, cwd=tmp_path, env={**os.environ, "DATA_DIR": str(tmp_path / "var")}, check=True)

    loaded = run(START_WORKER, tmp_path)

    assert "app.jobs" in loaded
    assert not loaded & (TELEMETRY | TEMPLATES | MIGRATIONS | TABLES_AND_PICTURES | REQUESTS)


def test_requirements_when_only_the_service_is_installed_then_nothing_to_colour_a_terminal_is() -> None:
    """structlog and click's kin import rich at their start wherever they find it."""
    for name in ("requirements.txt", "requirements-engines.txt", "requirements-tables.txt"):
        packages = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / name).read_text(), re.MULTILINE))
        assert "structlog" in packages
        assert not packages & {"rich", "typer", "pygments"}
