"""The wheel, installed where there is no checkout: migrate, serve, sign up, publish."""

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import NO_CERTIFICATES, PASSWORD, PATIENCE_SECONDS, find_free_port, wait_until_up

ROOT = Path(__file__).parents[1]
QUIET = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment that has the wheel, and of this one's libraries no `app`."""
    folder = tmp_path_factory.mktemp("wheel")
    environment = {**os.environ, **QUIET}
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([sys.executable, "-m", "pip", *build], env=environment, check=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    commands = folder / "venv/bin"
    (site,) = (folder / "venv/lib").glob("python*/site-packages")
    # A path in a .pth file is searched, but what that folder's own .pth files name (the checkout) is not.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    install = ["--python", str(commands / "python"), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], env=environment, check=True)
    return commands


@contextmanager
def running(command: list[str], folder: Path, settings: dict[str, str], url: str) -> Iterator[None]:
    with subprocess.Popen(command, cwd=folder, env={**os.environ, **settings}) as process:
        try:
            wait_until_up(url, process)
            yield
        finally:
            process.terminate()


@pytest.mark.long
def test_wheel_when_installed_outside_a_checkout_then_it_migrates_serves_and_publishes(
    installed: Path, tmp_path: Path
) -> None:
    port, sandbox_port = find_free_port(), find_free_port()
    settings = {"PORT": str(port), "SANDBOX_PORT": str(sandbox_port)}
    command = str(installed / "openml-web")
    where = subprocess.run(
        [str(installed / "python"), "-c", "import app; print(app.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    migrated = subprocess.run([command, "migrate"], cwd=tmp_path, capture_output=True, text=True, check=False)
    site, openml = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"

    assert Path(where.stdout.strip()).is_relative_to(installed.parent)
    assert (migrated.returncode, migrated.stdout) == (0, "The database is up to date.\n"), migrated.stderr
    with (
        running(
            [sys.executable, "-m", "openml_sandbox", f"--port={sandbox_port}"], tmp_path, {}, f"{openml}/"
        ),
        running([command, "serve"], tmp_path, settings, f"{site}/health/ready"),
        httpx.Client(base_url=site, timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES) as client,
    ):
        person = {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.org"}
        client.post("/signup", json={**person, "password": PASSWORD}).raise_for_status()
        made = subprocess.run(
            [command, "user", "activate", "ada@example.org"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        form = {"username": "ada@example.org", "password": PASSWORD}
        token = client.post("/token", data=form).raise_for_status().json()["access_token"]
        done = client.post(
            "/data-upload",
            headers={"Authorization": f"Bearer {token}"},
            files={"dataset": ("rivers.csv", b"level,flood\n4.20,yes\n1.05,no\n")},
            data={"metadata": '{"dataset_name": "rivers", "description": "Levels.", "def_tar_att": "flood"}'},
        )
        assert done.json()["msg"] == "dataset uploaded", done.text


@pytest.mark.long
@pytest.mark.parametrize("command", ["dev", "sandbox"])
def test_sandbox_when_it_is_not_installed_then_a_sentence_says_what_to_install(
    installed: Path, tmp_path: Path, command: str
) -> None:
    done = subprocess.run(
        [str(installed / "openml-web"), command],
        cwd=tmp_path,
        env={**os.environ, "PORT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("The sandbox is not installed: run `pip install packages/openml-sandbox`")
    assert done.stderr.count("\n") == 1
