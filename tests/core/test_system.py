"""What differs between Linux and macOS."""

import fcntl
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.system import MACOS_OPEN_FILES, allow_many_files, usable_processors, write_through


def test_processors_when_no_affinity_is_known_then_all_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")

    assert usable_processors() == os.cpu_count()


@pytest.mark.parametrize("refused", [False, True])
def test_write_through_when_the_drive_has_a_cache_of_its_own_then_it_is_flushed_where_that_can_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, refused: bool
) -> None:
    asked: list[str] = []

    def full_flush(_file: int, _request: int) -> None:
        asked.append("full")
        if refused:
            raise OSError(45, "Operation not supported")

    monkeypatch.delattr(os, "fdatasync")
    monkeypatch.setattr(os, "fsync", lambda _file: asked.append("fsync"))
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", full_flush)
    with (tmp_path / "file").open("wb") as file:
        write_through(file.fileno())

    assert asked == (["full", "fsync"] if refused else ["full"])


def test_open_files_when_the_system_refuses_its_own_hard_limit_then_what_macos_grants(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    granted: list[int] = []

    def setrlimit(_kind: int, limits: tuple[int, int]) -> None:
        if limits[0] > MACOS_OPEN_FILES or limits[0] == resource.RLIM_INFINITY:
            raise ValueError("current limit exceeds maximum limit")
        granted.append(limits[0])

    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    allow_many_files()

    assert granted == [MACOS_OPEN_FILES]


def test_child_when_the_system_does_not_bound_memory_then_it_is_watched() -> None:
    program = (
        "import time; from app.core.child_limits import watch_memory; watch_memory(200 << 20); "
        "kept = [bytearray(b'x') * (1 << 20) for _ in range(1000)]; time.sleep(30)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)

    assert done.returncode == -9
