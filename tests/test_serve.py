"""The parent of several web processes: what it says, what it starts again, and what is left when it is killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.core.supervisor import describe_end
from tests.conftest import NO_CERTIFICATES, PATIENCE_SECONDS, find_free_port, wait_until_up
from tests.service import wait_for

WEB_PROCESSES = 2


class Served:
    """`openml-web serve --workers 2`, and its log."""

    def __init__(self, folder: Path, database: Path, **settings: str) -> None:
        (folder / "openml.db").write_bytes(database.read_bytes())
        self.port = find_free_port()
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "serve", "--workers", str(WEB_PROCESSES)],
                env={**os.environ, "DATA_DIR": str(folder), "PORT": str(self.port), **settings},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of the log that say this, all of which must be JSON."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [line for line in lines if line["event"] == name]

    def children(self) -> list[int]:
        """Return the processes that answer, without `multiprocessing`'s tracker of resources."""
        listed = subprocess.run(
            ["pgrep", "-P", str(self.process.pid), "-f", "spawn_main"],
            capture_output=True,
            text=True,
            check=False,
        )
        return [int(line) for line in listed.stdout.split()]

    def answers(self) -> bool:
        with suppress(httpx.HTTPError), httpx.Client(timeout=5, verify=NO_CERTIFICATES) as client:
            return client.get(f"http://127.0.0.1:{self.port}/health/live").status_code == 200
        return False

    def wait_until_all_started(self, times: int = WEB_PROCESSES) -> None:
        wait_for(lambda: len(self.events("Application startup complete.")) >= times)


@contextmanager
def served(folder: Path, database: Path, **settings: str) -> Iterator[Served]:
    found = Served(folder, database, **settings)
    try:
        yield found
    finally:
        with suppress(ProcessLookupError):
            os.killpg(found.process.pid, signal.SIGKILL)
        found.process.wait()


@pytest.mark.long
def test_web_process_when_killed_then_the_log_says_by_what_and_others_start_later_each_time(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    with served(tmp_path, migrated_sqlite) as service:
        service.wait_until_all_started()
        (start,) = service.events("service starts")
        assert (start["port"], start["web_processes"]) == (service.port, WEB_PROCESSES)
        first, second = service.children()

        os.kill(first, signal.SIGKILL)
        wait_for(lambda: len(service.events("web process started in place of one that ended")) == 1)
        third = service.events("web process started in place of one that ended")[0]["child"]
        os.kill(third, signal.SIGTERM)
        wait_for(lambda: len(service.events("web process ended")) == 2)
        service.wait_until_all_started(WEB_PROCESSES + 1)

        killed, stopped = service.events("web process ended")
        assert (killed["child"], killed["level"], killed["exit_code"]) == (first, "error", -9)
        assert killed["reason"] == "killed by signal 9 (SIGKILL); perhaps the system was out of memory"
        assert (stopped["child"], stopped["early_ends"]) == (third, 2)
        assert stopped["next_start_in_seconds"] == 2 * killed["next_start_in_seconds"]
        assert second in service.children()
        wait_for(service.answers)

        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(PATIENCE_SECONDS) == 0
        assert service.events("service stopped")


@pytest.mark.long
def test_web_process_when_killed_however_often_then_the_service_goes_on(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    """Whoever finds what ends a process must not end the service."""
    with served(tmp_path, migrated_sqlite) as service:
        service.wait_until_all_started()
        for ends in range(WEB_PROCESSES, 3 * WEB_PROCESSES + 1, WEB_PROCESSES):
            wait_for(lambda: len(service.children()) == WEB_PROCESSES)
            for child in service.children():
                os.kill(child, signal.SIGKILL)
            wait_for(lambda ends=ends: len(service.events("web process ended")) == ends)  # type: ignore[misc]  # mypy infers no lambda with defaults

        service.wait_until_all_started(WEB_PROCESSES + 1)
        wait_for(service.answers)
        assert service.process.poll() is None


@pytest.mark.long
def test_web_process_when_it_hangs_then_ended_and_said(tmp_path: Path, migrated_sqlite: Path) -> None:
    with served(tmp_path, migrated_sqlite) as service:
        service.wait_until_all_started()
        time.sleep(1.5)  # so that both have given a sign of life
        hanging, other = service.children()
        os.kill(hanging, signal.SIGSTOP)

        wait_for(lambda: bool(service.events("web process ended")), seconds=2 * PATIENCE_SECONDS)
        (ended,) = service.events("web process ended")
        assert (ended["child"], ended["reason"]) == (hanging, "killed: it gave its parent no sign of life")
        service.wait_until_all_started(WEB_PROCESSES + 1)
        assert other in service.children()


@pytest.mark.long
def test_web_processes_when_their_parent_is_killed_then_they_end_and_the_port_is_free(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    with served(tmp_path, migrated_sqlite) as service:
        service.wait_until_all_started()
        children = service.children()

        service.process.kill()
        service.process.wait()

        wait_for(lambda: not any(Path(f"/proc/{child}").exists() for child in children), seconds=20)
        with socket.create_server(("127.0.0.1", service.port)):
            pass
        assert len(service.events("the parent of this web process is gone, so it stops")) == WEB_PROCESSES


@pytest.mark.long
def test_web_processes_when_uvicorns_own_parent_is_killed_then_they_end_too(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    (tmp_path / "openml.db").write_bytes(migrated_sqlite.read_bytes())
    port = find_free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", "app.main:create_app", "--workers", "2"]
    with subprocess.Popen(
        [*command, "--port", str(port)], env={**os.environ, "DATA_DIR": str(tmp_path)}, start_new_session=True
    ) as process:
        wait_until_up(f"http://127.0.0.1:{port}/health/live", process)
        process.kill()
        process.wait()
    try:
        wait_for(lambda: _is_free(port), seconds=20)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


@pytest.mark.long
def test_serve_when_its_processes_cannot_start_then_it_gives_up_and_says_so(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    with served(tmp_path, migrated_sqlite, SPA_DIR=str(tmp_path / "nothing")) as service:
        assert service.process.wait(PATIENCE_SECONDS) == 1
        assert service.events("web process ended")[0]["reason"] == "exit code 3"
        assert service.events("service gives up: no web process of it came as far as answering")


@pytest.mark.parametrize(
    ("command", "setting"),
    [
        (["serve"], "PORT"),
        pytest.param(["serve", "--workers", "2"], "PORT", marks=pytest.mark.long),
        pytest.param(["dev"], "PORT", marks=pytest.mark.long),
        (["dev"], "SANDBOX_PORT"),
        pytest.param(["sandbox"], "SANDBOX_PORT", marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=pytest.mark.long)])
def test_port_when_in_use_then_one_sentence_names_it_and_what_to_set(
    tmp_path: Path, command: list[str], setting: str, host: str
) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        port = listener.getsockname()[1]
        ports = {"PORT": "0", "SANDBOX_PORT": "0", setting: str(port)}
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", *command],
            cwd=tmp_path,
            env={**os.environ, "HOST": host, **ports},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    assert done.returncode == 2
    assert done.stderr == (
        f"Cannot listen on {address}: another program listens there. Set {setting} to another.\n"
    )
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("192.0.2.1", "this machine does not have the address"),
        pytest.param("no-such-host.invalid", "Name or service not known", marks=pytest.mark.long),
    ],
)
def test_address_when_not_of_this_machine_then_a_sentence(tmp_path: Path, host: str, reason: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "serve"],
        cwd=tmp_path,
        env={**os.environ, "HOST": host},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr == f"Cannot listen on {host}:5000: {reason}. Set HOST to another.\n"


@pytest.mark.parametrize(
    ("exit_code", "said"),
    [
        (0, "exit code 0"),
        (1, "exit code 1"),
        (-9, "killed by signal 9 (SIGKILL); perhaps the system was out of memory"),
        (-11, "killed by signal 11 (SIGSEGV)"),
        (-15, "killed by signal 15 (SIGTERM)"),
        (-63, "killed by signal 63 (unknown)"),
        (None, "exit code None"),
    ],
)
def test_end_when_described_then_in_words_of_the_system(exit_code: int | None, said: str) -> None:
    assert describe_end(exit_code) == said
