"""The page about the sandbox: its walk is run as printed, and its tables are complete."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from openml_sandbox.api import ROUTES, call_names
from openml_sandbox.faults import CALLS, FAULT_NAMES
from sandbox_server import PATIENCE_SECONDS, Serve, describe

PAGE = (Path(__file__).parents[1] / "README.md").read_text()


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_walk_when_run_as_printed_then_it_prints_what_it_says(serve: Serve, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("the sandbox's walk needs curl")
    script, printed = re.findall(r"```\w*\n(.*?)```", section("A walk through it"), re.DOTALL)
    with serve(tmp_path / "data", keys=None) as server:
        done = subprocess.run(
            ["sh", "-e"],
            input=script.replace("http://127.0.0.1:5001", server.url),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert (done.returncode, done.stdout) == (0, printed), done.stderr


@pytest.mark.long
def test_python_when_run_as_printed_then_openml_python_reads_from_the_sandbox(
    serve: Serve, tmp_path: Path
) -> None:
    (printed,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    look = 'print(openml.datasets.list_datasets(status="all", output_format="dataframe")["name"].tolist())'
    with serve(tmp_path / "data", keys=None) as server:
        server.publish(describe(name="rivers"))
        done = subprocess.run(
            [sys.executable, "-c", printed.replace("http://127.0.0.1:5001", server.url) + look],
            env={"PATH": os.defpath, "HOME": str(tmp_path), "OPENML_CACHE_DIR": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    assert done.stdout.splitlines()[-1:] == ["['rivers']"], done.stderr


def test_calls_when_listed_then_each_route_is_there_and_nothing_else() -> None:
    listed = set(re.findall(r"`((?:GET|POST|DELETE) /[^`]+)`", section("What it answers")))

    assert listed <= set(call_names())
    for kind, routes in ROUTES.items():
        for route in routes:
            path = f"/{kind}/{route.pattern}".rstrip("/")
            methods = [method.upper() for method in route.methods or ("get", "post")]
            assert any(f"{method} {path}" in listed for method in methods), path


def test_faults_when_listed_then_each_is_there_with_whether_it_is_for_any_call() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|.*\| (.+) \|$", section("Faults"), re.MULTILINE)

    assert [name for name, _ in rows] == list(FAULT_NAMES)
    assert {name for name, calls in rows if calls != "any"} == set(CALLS)


def test_docstring_when_faults_change_then_it_names_each() -> None:
    import openml_sandbox.faults

    for name in FAULT_NAMES:
        assert f"``{name}``" in (openml_sandbox.faults.__doc__ or "")
