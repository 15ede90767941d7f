"""The operator's command, and the README's session, as people run them."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import IN_CI, PATIENCE_SECONDS, find_free_port, wait_until_up

README = (Path(__file__).parents[1] / "README.md").read_text()


def command(*arguments: str, cwd: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        cwd=cwd,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def dev(folder: Path, port: int, sandbox_port: int, **settings: str) -> "Iterator[subprocess.Popen[str]]":
    """`make run` in an empty folder, on ports of its own."""
    environment = {**os.environ, "PORT": str(port), "SANDBOX_PORT": str(sandbox_port), **settings}
    with subprocess.Popen(
        [sys.executable, "-m", "app.cli", "dev"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_until_up(f"http://127.0.0.1:{port}/health/ready", process)
            wait_until_up(f"http://127.0.0.1:{sandbox_port}/", process)
            yield process
        finally:
            process.send_signal(signal.SIGINT)


MACOS_LACKS = [
    "sched_getaffinity",
    "sched_setaffinity",
    "fdatasync",
    "posix_fadvise",
    "posix_fallocate",
    "copy_file_range",
    "splice",
    "memfd_create",
    "eventfd",
    "pidfd_open",
    "getrandom",
    "setresuid",
    "O_TMPFILE",
    "O_DIRECT",
    "O_PATH",
]
"""Of `os`, what Linux has and macOS has not."""


@pytest.fixture(params=["here", pytest.param("without what macOS lacks", marks=pytest.mark.long)])
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of processes on this system, and on one whose `os` has no more than that of macOS."""
    if request.param == "here":
        return {}
    folder = tmp_path_factory.mktemp("macos")
    lines = ["import os", *(f"vars(os).pop({name!r}, None)" for name in MACOS_LACKS)]
    (folder / "sitecustomize.py").write_text("\n".join(lines))
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])}


def test_readme_session_when_run_as_printed_then_it_prints_what_it_says_and_stopping_leaves_var(
    tmp_path: Path, system: dict[str, str]
) -> None:
    if shutil.which("curl") is None:
        (pytest.fail if IN_CI else pytest.skip)("the README's session needs curl")
    section = README.partition("## From sign-up to a published dataset")[2]
    script, printed = re.findall(r"```\w*\n(.*?)```", section, re.DOTALL)[:2]
    port, sandbox_port = find_free_port(), find_free_port()
    script = script.replace("127.0.0.1:5000", f"127.0.0.1:{port}")
    script = script.replace("127.0.0.1:5001", f"127.0.0.1:{sandbox_port}")

    with dev(tmp_path, port, sandbox_port, **system) as process:
        assert process.stdout is not None
        greeting = "".join(iter(process.stdout.readline, "  Stop with Ctrl-C.\n"))
        done = subprocess.run(
            ["sh", "-e"], input=script, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(printed)
    assert f"http://127.0.0.1:{port}/docs" in greeting
    assert str(tmp_path / "var" / "mail") in greeting
    assert process.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["var"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{sandbox_port}/", timeout=PATIENCE_SECONDS)


def lines_of_dev(folder: Path, *, until: str) -> tuple[str, str]:
    """Run `make run` until its output has a text; return that, and which port the sandbox was to have."""
    port, sandbox_port = find_free_port(), find_free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "app.cli", "dev"],
        cwd=folder,
        env={**os.environ, "PORT": str(port), "SANDBOX_PORT": str(sandbox_port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        seen = ""
        for line in process.stdout:
            seen += line
            if until in line:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_SECONDS)
    return seen, str(sandbox_port)


@pytest.mark.long
def test_dev_when_the_sandbox_does_not_come_up_then_a_sentence_instead_of_ready(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "sandbox").touch()

    seen, sandbox_port = lines_of_dev(tmp_path, until="OpenML is ")

    assert "OpenML is ready" not in seen
    assert f"The sandbox does not answer at http://127.0.0.1:{sandbox_port}/" in seen


@pytest.mark.long
def test_dev_when_the_worker_falls_again_and_again_then_a_sentence_instead_of_ready(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "conversions").touch()

    seen, _ = lines_of_dev(tmp_path, until="OpenML is ")

    assert "OpenML is not ready. The service says: The worker of this process ends by a fault" in seen


@pytest.mark.long
def test_dev_when_killed_then_the_sandbox_goes_too(tmp_path: Path) -> None:
    port, sandbox_port = find_free_port(), find_free_port()
    with dev(tmp_path, port, sandbox_port) as process:
        process.kill()
        process.wait()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                httpx.get(f"http://127.0.0.1:{sandbox_port}/", timeout=PATIENCE_SECONDS)
            except httpx.HTTPError:
                return
            time.sleep(0.05)
    pytest.fail("the sandbox outlived its parent")


@pytest.mark.long
def test_dev_when_a_port_is_taken_then_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = command("dev", cwd=tmp_path, PORT=str(listener.getsockname()[1]))

    assert done.returncode == 2
    assert "Set PORT to another." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_serve_when_the_database_is_behind_then_the_command_to_run(tmp_path: Path) -> None:
    behind = command("serve", cwd=tmp_path)
    migrated = command("migrate", cwd=tmp_path)

    assert behind.returncode == 2
    assert behind.stderr == ("The database is behind this version of the service. Run: openml-web migrate\n")
    assert migrated.returncode == 0, migrated.stderr
    assert migrated.stdout == "The database is up to date.\n"


def test_serve_when_not_fit_for_production_then_every_reason_at_once(tmp_path: Path) -> None:
    done = command("serve", cwd=tmp_path, ENVIRONMENT="production", APP_SECRET_KEY="abcd")

    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for name in ("APP_SECRET_KEY", "OPENML_SERVER", "SMTP_SERVER", "PUBLIC_URL"):
        assert f"- {name} is" in done.stderr
    assert not list(tmp_path.iterdir()), "nothing was started, nothing is left"


@pytest.mark.parametrize(
    "what", ["serve", *(pytest.param(what, marks=pytest.mark.long) for what in ("worker", "dev"))]
)
def test_start_when_settings_would_fail_later_then_refused_with_a_sentence_for_each(
    tmp_path: Path, what: str
) -> None:
    wrong = {
        "EMAIL_SENDER": "OpenML Team noreply@example.org",
        "CONTACT_EMAIL": "the team",
        "SMTP_SERVER": "smtp://mail.example.org",
        "OPENML_SERVER": "www.openml.org",
        "TIMINGS": '{"lease_seconds": Infinity}',
    }

    done = command(what, cwd=tmp_path, **wrong)

    assert done.returncode == 2
    for name in wrong:
        assert f"- {name}: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_uvicorn_when_the_database_is_behind_then_the_sentence_and_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "uvicorn", "--factory", "app.main:create_app", "--port", "0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 3
    assert "Run: openml-web migrate" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_uvicorn_when_not_fit_for_production_then_the_same_sentences(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "uvicorn",
            "--factory",
            "app.main:create_app",
            "--workers",
            "2",
            "--port",
            "0",
        ],
        cwd=tmp_path,
        env={**os.environ, "ENVIRONMENT": "production"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "Stopping parent process" in done.stderr
    assert "APP_SECRET_KEY is not set" in done.stderr


def test_sandbox_when_its_keys_are_malformed_then_a_sentence_without_the_key(tmp_path: Path) -> None:
    done = command("sandbox", cwd=tmp_path, SANDBOX_KEYS="not-a-key=writer", SANDBOX_PORT="0")

    assert done.returncode == 2
    assert "SANDBOX_KEYS: entry 1" in done.stderr
    assert "not-a-key" not in done.stderr


@pytest.mark.parametrize("name", ["dev", "sandbox"])
def test_sandbox_when_it_is_not_installed_then_a_sentence_says_what_to_install(
    tmp_path: Path, name: str
) -> None:
    """As in an environment of production: the folder that its installation names is not searched."""
    hide = "import sys\nsys.path[:] = [path for path in sys.path if 'openml-sandbox' not in path]\n"
    (tmp_path / "sitecustomize.py").write_text(hide)
    done = command(name, cwd=tmp_path, PORT="0", SANDBOX_PORT="0", PYTHONPATH=str(tmp_path))

    assert done.returncode == 2
    assert done.stderr.startswith("The sandbox is not installed: run `pip install packages/openml-sandbox`")
    assert "OPENML_SERVER" in done.stderr
    assert done.stderr.count("\n") == 1


def test_wrong_setting_when_started_then_its_name_and_no_value(tmp_path: Path) -> None:
    done = command("migrate", cwd=tmp_path, DATABASE_URI="postgresql://user:secret@host/db")

    assert done.returncode == 2
    assert "this service speaks mysql:// and sqlite://" in done.stderr
    assert "secret" not in done.stderr
