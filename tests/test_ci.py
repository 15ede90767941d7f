"""What the gate (`.ci/run`) bounds its steps with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BOUNDED = Path(__file__).parents[1] / ".ci" / "bounded"
LEAVING = "setsid sleep 60 & (sleep 60 &)"
"""Starts a process with a session of its own, and one whose parent has ended."""


@pytest.mark.skipif(sys.platform != "linux", reason="it runs on Linux")
@pytest.mark.parametrize(
    ("seconds", "command", "status"),
    [("0.5", f"{LEAVING}; sleep 60", 124), ("60", f"{LEAVING}; exit 3", 3), ("60", "kill -9 $$", 137)],
)
def test_step_when_it_ends_or_is_cut_then_its_status_and_no_process_is_left(
    tmp_path: Path, seconds: str, command: str, status: int
) -> None:
    mark = f"OF_STEP={tmp_path}"
    environment = {**os.environ, "OF_STEP": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, BOUNDED, seconds, "sh", "-c", command], env=environment, check=False
    )

    assert done.returncode == status
    assert [path for path in Path("/proc").glob("[0-9]*/environ") if mark in _text(path)] == []


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # It has ended.
        return ""
