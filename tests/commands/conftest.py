"""Commands of operators, in an empty folder, on a database of their own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import cli
from app.core.settings import Settings

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, database_uri: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("DATABASE_URI", database_uri)
    # What else may run on this machine is no part of the test.
    monkeypatch.setenv("PORT", "9")

    def run_command(*arguments: str, **settings: str) -> Result:
        return CliRunner().invoke(cli, arguments, env=settings)

    return run_command


@pytest.fixture
def settings(tmp_path: Path, database_uri: str, sandbox_url: str) -> Settings:
    return Settings(
        _env_file=None,
        data_dir=tmp_path / "var",
        database_uri=database_uri,
        openml_server=sandbox_url,
        embedded_worker=False,
    )
