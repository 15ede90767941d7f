"""The rules that libraries check can fail: the commands of `make check`, run on what breaks one."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPE = [
    shlex.split(line.strip().removeprefix("$(BIN)/"))
    for line in re.findall(r"^\t(\$\(BIN\)/\S.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
]
PACKAGES = ("app", "packages/openml-sandbox/openml_sandbox")


def command(*beginning: str) -> list[str]:
    """The line of `make check` that begins so, with the path of its program."""
    [found] = [line for line in RECIPE if line[: len(beginning)] == list(beginning)]
    return [str(Path(sys.executable).with_name(found[0])), *found[1:]]


def run(line: list[str], folder: Path) -> str:
    """What the command says when it fails; nothing when it does not."""
    done = subprocess.run(
        line,
        cwd=folder,
        env={"PYTHONPATH": f"{folder}:{folder}/packages/openml-sandbox", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize(
    ("file", "text", "contract"),
    [
        ("app/core/clock.py", "import app.uploads.service\n", "Packages: who may import whom"),
        ("app/tasks/service.py", "import app.datasets.service\n", "Packages: who may import whom"),
        ("app/tasks/service.py", "import fastapi\n", "HTTP stays at the edge"),
        ("app/commands/sandbox.py", "import openml_sandbox\n", "The service imports nothing of the sandbox"),
    ],
)
def test_imports_when_one_goes_the_wrong_way_then_check_fails(
    tmp_path: Path, file: str, text: str, contract: str
) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / file).open("a") as broken:
        broken.write(text)

    said = run(command("lint-imports"), tmp_path)

    assert f"{contract} BROKEN" in said, said


@pytest.mark.parametrize(
    ("platform", "text"),
    [
        ("darwin", "import os\n\nos.sched_setaffinity(0, [0])\n"),
        ("win32", "import os\n\nos.fork()\n"),
        ("win32", "import fcntl\n\nfcntl.flock(0, 0)\n"),
    ],
)
@pytest.mark.long
def test_platform_when_it_lacks_a_call_then_check_fails(tmp_path: Path, platform: str, text: str) -> None:
    (tmp_path / "broken.py").write_text(text)
    line = command("mypy", "--platform", platform)
    checked = [argument for argument in line if argument.startswith(("app", "packages"))]
    options = [argument for argument in line[1:] if argument not in checked]

    assert checked, "it looks at files of ours"
    assert "[attr-defined]" in run([line[0], *options, "broken.py"], tmp_path)
