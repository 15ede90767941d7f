"""`make audit`, with programs in the place of uv that say what pip-audit says."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests import audit

HOLE = {"id": "PYSEC-2026-1", "fix_versions": ["2.1"], "aliases": [], "description": ""}
REPORTS: dict[str, tuple[Any, int, list[str]]] = {
    "clean": ({"dependencies": [{"name": "a", "version": "2", "vulns": []}]}, 0, ["1 of 1 packages"]),
    "vulnerable": (
        {"dependencies": [{"name": "a", "version": "2", "vulns": [HOLE]}]},
        1,
        ["a 2: PYSEC-2026-1, mended in 2.1"],
    ),
    "unknown": ({"dependencies": [{"name": "a", "skip_reason": "not found"}]}, 0, ["0 of 1 packages"]),
    "away": (None, 0, ["cannot be reached"]),
}


@pytest.mark.parametrize("what", REPORTS)
def test_audit_when_the_advisories_say_this_then_only_what_is_known_fails(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report, code, said = REPORTS[what]
    (tmp_path / "report").write_text("" if report is None else json.dumps(report))
    program = tmp_path / "uvx"
    program.write_text(f"#!/bin/sh\ncat '{tmp_path}/report'\nexit {1 if what != 'clean' else 0}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    assert audit.main() == code
    printed = capsys.readouterr().out
    assert all(text in printed for text in said)


def test_audit_when_uv_is_not_there_then_said_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert audit.main() == 0
    assert "not looked at" in capsys.readouterr().out
