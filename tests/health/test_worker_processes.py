"""Worker processes as an operator starts them: killed, stopped, falling; what `/health/ready` and `--check` say."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from tests.freezing import freeze
from tests.service import Service, wait_for


def check(service: Service, **changes: str) -> "subprocess.CompletedProcess[str]":
    """Run `openml-web worker --check`."""
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "worker", "--check"],
        env={**service.environment, **changes},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def wrong_with(service: Service) -> dict[str, str]:
    answer = service.ask("GET", "/health/ready")
    checks: list[dict[str, Any]] = answer.json().get("checks", [])
    assert answer.status_code == (503 if checks else 200)
    return {each["name"]: each["detail"] for each in checks if not each["ok"]}


def wait_until_wrong(service: Service, words: str) -> None:
    wait_for(lambda: words in wrong_with(service).get("worker", ""), pause=0.3)


def says(service: Service, words: str, *, code: int) -> None:
    done = check(service)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert words in (done.stderr if code else done.stdout)


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["mariadb"], indirect=True)
def test_worker_when_absent_working_stopped_killed_or_told_to_end_then_ready_and_check_say_so(
    service: Service,
) -> None:
    service.start(EMBEDDED_WORKER="false")
    assert "No worker is running" in wrong_with(service)["worker"]
    says(service, "No worker is running; start openml-web worker.", code=1)

    worker = service.start_worker()
    wait_for(lambda: not wrong_with(service))
    says(service, f"1 working on {os.uname().nodename}: process {worker.pid}.", code=0)

    freeze(worker)
    wait_until_wrong(service, "No worker was heard of for")
    says(service, f"process number {worker.pid} was not heard of", code=1)

    worker.send_signal(signal.SIGCONT)
    wait_for(lambda: not wrong_with(service))
    says(service, "1 working", code=0)

    worker.kill()
    worker.wait()
    wait_until_wrong(service, "No worker was heard of for")
    says(service, "Start it again.", code=1)

    second = service.start_worker()
    wait_for(lambda: not wrong_with(service))
    says(service, f"process {second.pid}.", code=0)

    second.terminate()
    assert second.wait(60) == 0
    # Its row is gone with it; what is left is that of the one that was killed.
    wait_until_wrong(service, "No worker was heard of for")


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_worker_when_each_falls_at_its_start_then_neither_ready_nor_healthy(service: Service) -> None:
    service.start(EMBEDDED_WORKER="false")
    in_its_way = service.folder / "conversions"
    in_its_way.parent.mkdir(exist_ok=True)
    in_its_way.touch()
    for _ in range(2):
        fallen = service.start_worker()
        assert fallen.wait(60) not in (None, 0)
        wait_until_wrong(service, "(FileExistsError)")
        says(service, "FileExistsError", code=1)

    # The third would stay, but nobody can know yet.
    in_its_way.unlink()
    service.start_worker()
    wait_until_wrong(service, "soon after their start (FileExistsError)")
    wait_for(lambda: not wrong_with(service))


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_check_when_the_database_is_none_away_or_silent_then_a_sentence(
    service: Service, unused_port: int
) -> None:
    nowhere = check(service, DATABASE_URI=f"mysql://root@127.0.0.1:{unused_port}/none")
    behind = check(service, DATABASE_URI=f"sqlite:///{service.folder}/new.db")

    assert (nowhere.returncode, behind.returncode) == (1, 1)
    assert "The database cannot be used" in nowhere.stderr
    assert behind.stderr.endswith("Run: openml-web migrate\n")
    assert "Traceback" not in nowhere.stderr + behind.stderr
