"""CONTRIBUTING.md, followed to the letter in a copy of the checkout."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what is under version control, with this environment."""
    folder = tmp_path / "openml-web"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def run(command: str, folder: Path) -> None:
    # Before the editable install, which leads elsewhere; and of the tests, the one that is asked for.
    environment = {**os.environ, "PYTHONPATH": str(folder), "TEST_LONG": ""}
    done = subprocess.run(
        ["sh", "-ec", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.long
def test_route_when_added_as_written_then_its_test_passes(checkout: Path) -> None:
    run("make --question .venv/.dev", checkout)
    for block in BLOCKS[:2]:
        run(block, checkout)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_first_change_when_made_as_written_then_every_check_passes(checkout: Path) -> None:
    assert len(BLOCKS) == 3
    for block in BLOCKS:
        run(block, checkout)


def test_help_when_asked_for_then_every_target_that_people_call(checkout: Path) -> None:
    shown = subprocess.run(["make", "help"], cwd=checkout, capture_output=True, text=True, check=True).stdout

    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z][a-z0-9-]*):", makefile, flags=re.MULTILINE)
    assert re.findall(r"^make (\S+) +\S", shown, flags=re.MULTILINE) == targets
    assert set(re.findall(r"make ([a-z][a-z0-9-]+)`", PAGE)) <= set(targets)


def test_links_when_followed_then_every_page_is_there() -> None:
    linked = re.findall(r"\]\(([^):#]+)\)", PAGE)

    assert linked
    assert [link for link in linked if not (ROOT / link).exists()] == []
