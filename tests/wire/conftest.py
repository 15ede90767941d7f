"""The servers as an operator starts them, each a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import find_free_port, wait_until_up
from tests.service import Site, serving_site


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path, sandbox_url: str) -> Iterator[Site]:
    """`openml-web serve`."""
    with serving_site(tmp_path_factory.mktemp("wire"), migrated_sqlite, sandbox_url) as found:
        yield found


@pytest.fixture(scope="package")
def sandbox_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """`openml-web sandbox`."""
    port = find_free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "app.cli", "sandbox"],
        env={**os.environ, "SANDBOX_PORT": str(port), "DATA_DIR": str(tmp_path_factory.mktemp("sandbox"))},
    ) as process:
        wait_until_up(f"http://127.0.0.1:{port}/", process)
        try:
            yield port
        finally:
            process.terminate()


@pytest.fixture(scope="package")
def foreign_port(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[int]:
    """`uvicorn --factory app.main:create_app`, without our protocol: not what we document, but what people do."""
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "openml.db").write_bytes(migrated_sqlite.read_bytes())
    port = find_free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", "app.main:create_app", "--port", str(port)]
    with subprocess.Popen(command, env={**os.environ, "DATA_DIR": str(folder)}) as process:
        wait_until_up(f"http://127.0.0.1:{port}/health/live", process)
        try:
            yield port
        finally:
            process.terminate()
