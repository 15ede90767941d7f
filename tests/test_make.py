"""What the Makefile does on a machine that lacks something."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WHOLE = """#!/bin/sh
case "$*" in
    --version) echo "Python 3.12.0" ;;
    "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python && touch .venv/whole ;;
    "-m pip --version") test -e .venv/whole ;;
esac
"""
WITHOUT_VENV = WHOLE.replace("&& touch .venv/whole", "; exit 1")
OLD = WHOLE.replace("#!/bin/sh", '#!/bin/sh\ncase "$*" in "-c "*) exit 1 ;; esac')


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a blank in its name, and the Makefile in it."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    return folder


def make(folder: Path, python: str) -> "subprocess.CompletedProcess[str]":
    """Make the environment with a `python3` of that text, the only Python on the path."""
    commands = folder / "commands"
    commands.mkdir(exist_ok=True)
    (commands / "python3").write_text(python)
    (commands / "python3").chmod(0o755)
    for name in ("sh", "rm", "mkdir", "cp", "touch", "test"):
        found = shutil.which(name)
        if found and not (commands / name).exists():
            (commands / name).symlink_to(found)
    gnu_make = shutil.which("make") or "make"
    environment = {**os.environ, "PATH": str(commands)}
    return subprocess.run(
        [gnu_make, ".venv/.made"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_environment_when_python_cannot_make_one_then_nothing_half_is_left_and_the_package_is_named(
    checkout: Path,
) -> None:
    failed = make(checkout, WITHOUT_VENV)

    assert failed.returncode != 0
    assert "apt install python3-venv" in failed.stderr
    assert not (checkout / ".venv").exists()
    assert make(checkout, WHOLE).returncode == 0


def test_environment_when_half_of_one_was_left_then_it_is_made_anew(checkout: Path) -> None:
    half = checkout / ".venv/bin/python"
    half.parent.mkdir(parents=True)
    half.write_text("#!/bin/sh\nexit 1\n")
    half.chmod(0o755)

    done = make(checkout, WHOLE)

    assert done.returncode == 0, done.stderr
    assert (checkout / ".venv/whole").exists()


def test_environment_when_it_is_whole_then_it_stays(checkout: Path) -> None:
    make(checkout, WHOLE)
    (checkout / ".venv/.made").unlink()
    (checkout / ".venv/kept").touch()

    assert make(checkout, WHOLE).returncode == 0
    assert (checkout / ".venv/kept").exists()


def test_environment_when_python_is_too_old_then_what_to_install(checkout: Path) -> None:
    failed = make(checkout, OLD)

    assert failed.returncode != 0
    assert "Python 3.11 or newer was not found" in failed.stderr


def test_make_when_told_then_downloads_are_kept_for_the_next_time() -> None:
    assert "--no-cache-dir" not in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("is_mute", [False, True], ids=["refuses", "says nothing"])
def test_requirements_when_the_index_does_not_answer_then_what_to_do_and_the_next_try_goes_on(
    checkout: Path, *, is_mute: bool
) -> None:
    (checkout / "requirements-tables.txt").touch()
    (checkout / "requirements.txt").write_text(f"openml-web-nowhere==1 --hash=sha256:{'0' * 64}\n")
    python = checkout / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (checkout / ".venv/.made").touch()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    with socket.socket() as index:
        index.bind(("127.0.0.1", 0))
        if is_mute:
            index.listen()
        environment |= {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": f"http://127.0.0.1:{index.getsockname()[1]}/simple",
            "PIP_DEFAULT_TIMEOUT": "1",
            "PIP_RETRIES": "0",
        }
        failed = subprocess.run(
            ["make", ".venv/.runtime"],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    assert failed.returncode != 0
    assert "PIP_DEFAULT_TIMEOUT=120 make .venv/.runtime" in failed.stderr
    assert "HTTPS_PROXY" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (checkout / ".venv/.runtime").exists()
    assert (checkout / ".venv/.made").exists()
