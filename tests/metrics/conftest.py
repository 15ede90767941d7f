"""What a process that is killed leaves in memory goes with its test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.metrics.shared import folder_of


@pytest.fixture(autouse=True)
def nothing_left_in_memory(tmp_path: Path) -> Iterator[None]:
    yield
    for data_dir in (tmp_path, tmp_path / "var"):
        shutil.rmtree(folder_of(data_dir))
