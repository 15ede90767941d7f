"""Installing as docs/deploy.md says, line by line, in a copy of the checkout."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")


@pytest.mark.long
def test_service_when_installed_as_the_page_says_then_its_commands_are_there(tmp_path: Path) -> None:
    found = re.search(r"^# Install$.*?^```sh\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert found is not None
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)

    done = subprocess.run(["sh", "-ec", found[1]], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "migrate" in done.stdout
    assert "worker" in done.stdout
