"""The package, installed by itself where there is no checkout and no service."""

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import test_openml_python
from sandbox_command import running

PACKAGE = Path(__file__).parents[1]
QUIET = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}


def wheel_of(package: Path, folder: Path) -> Path:
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(package)]
    subprocess.run(command, env={**os.environ, **QUIET}, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.long
def test_package_when_installed_in_an_empty_environment_then_openml_python_publishes_and_reads(
    tmp_path: Path,
) -> None:
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    commands = tmp_path / "venv/bin"
    wheel = wheel_of(PACKAGE, tmp_path)
    install = ["--python", str(commands / "python"), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], env={**os.environ, **QUIET}, check=True)
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    # Its requirements: a path in a .pth file is searched, but what that folder's own .pth files name is not.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    where = subprocess.run(
        [str(commands / "python"), "-c", "import openml_sandbox; print(openml_sandbox.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    (tmp_path / "client").mkdir()

    assert Path(where.stdout.strip()).is_relative_to(site)
    with running(tmp_path, command=[str(commands / "openml-sandbox")]) as (url, _):
        test_openml_python.run(url, tmp_path / "client", test_openml_python.PUBLISH)


@pytest.mark.long
def test_archive_when_a_wheel_is_built_of_it_then_the_shared_file_is_there(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=PACKAGE, capture_output=True, check=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    subprocess.run(["tar", "-xzf", archive.name], cwd=tmp_path, check=True)
    (unpacked,) = (path for path in tmp_path.iterdir() if path.is_dir())

    shared = unpacked / "openml_sandbox/framing.py"
    assert not shared.is_symlink()
    assert shared.read_text() == (PACKAGE / "openml_sandbox/framing.py").read_text()


def test_requirements_when_the_service_is_installed_then_the_sandbox_needs_no_others() -> None:
    """`make run` installs it without looking for what it needs."""
    needed = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]["dependencies"]
    locked = (PACKAGE.parents[1] / "requirements.txt").read_text().splitlines()
    versions = dict(line.split()[0].split("==") for line in locked if "==" in line and line[0].isalnum())

    for requirement in map(Requirement, needed):
        assert requirement.specifier.contains(versions[requirement.name]), requirement
