"""The examples of docs/api.md, docs/uploads.md, docs/administration.md and docs/backup.md, run as printed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.service import Service

DOCS = Path(__file__).parents[1] / "docs"
WALKS = [
    ("api.md", "API tokens"),
    pytest.param("api.md", "What describes a dataset, tasks, collections", marks=pytest.mark.long),
    pytest.param("uploads.md", "Begin, send, look, publish", marks=pytest.mark.long),
    ("uploads.md", "How a file is read"),
    ("uploads.md", "From a script"),
    ("administration.md", "An example"),
    ("backup.md", "An example"),
]


def without_numbers(text: str) -> str:
    """What is the same in each run: numbers, and aliases made of content, are not."""
    return re.sub(r"\d+", "#", re.sub(r'"c[0-9a-f]{31}"', '"alias"', text))


@pytest.mark.long
@pytest.mark.parametrize(("page", "title"), WALKS)
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_walk_when_run_as_printed_then_it_prints_what_it_says(
    service: Service, tmp_path: Path, page: str, title: str
) -> None:
    if shutil.which("curl") is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("the walk needs curl")
    section = (DOCS / page).read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    script, printed = re.findall(r"```\w*\n(.*?)```", section, re.DOTALL)
    service.start()
    signed_in = service.sign_up_and_log_in()
    token = signed_in["Authorization"].removeprefix("Bearer ")
    api_key = httpx.get(f"{service.url}/api-key", headers=signed_in).json()["apikey"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    done = subprocess.run(
        ["sh", "-e"],
        input=script.replace("http://127.0.0.1:5000", service.url),
        env={**service.environment, "TOKEN": token, "OPENML_APIKEY": api_key, "PATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, without_numbers(done.stdout)) == (0, without_numbers(printed)), done.stderr
