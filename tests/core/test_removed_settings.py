"""Settings that are none any more: who still sets one is told, once."""

import json
import os
import subprocess
import sys
from pathlib import Path

from app.core.removed_settings import REMOVED
from app.core.settings import Settings


def started(folder: Path, **settings: str) -> list[dict[str, str]]:
    """What a worker logs that starts and finds that its database was never made."""
    environment = {**os.environ, "DATA_DIR": str(folder / "var"), "LOG_FORMAT": "json", **settings}
    command = [sys.executable, "-m", "app.cli", "worker"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr.endswith("Run: openml-web migrate\n")
    return [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]


def test_removed_settings_when_listed_then_none_is_a_setting() -> None:
    assert not {name.lower() for name in REMOVED} & Settings.model_fields.keys()


def test_start_when_a_removed_setting_is_set_anywhere_then_one_line_says_what_holds(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("RESET_MINUTES=5\nMAX_LABELS=\n")

    lines = started(tmp_path, ACCESS_TOKEN_MINUTES="10", max_columns="7", WATCHERS_AT_ONCE_FILE="/nowhere")

    warned = [line for line in lines if line["level"] == "warning"]
    assert [line["event"] for line in warned] == ["what is set is no setting any more, and ignored"]
    found = ["ACCESS_TOKEN_MINUTES", "MAX_COLUMNS", "RESET_MINUTES", "WATCHERS_AT_ONCE"]
    assert warned[0]["now"] == "; ".join(f"{name}: {REMOVED[name]}" for name in found)


def test_start_when_no_removed_setting_is_set_then_no_line_about_them(tmp_path: Path) -> None:
    assert started(tmp_path, TIMINGS='{"lease_seconds": 60}') == []
