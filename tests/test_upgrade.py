"""Whatever serves is exchanged while people work: each process by one of the same version, each version by the next."""

import io
import os
import secrets
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import httpx
import jwt
import pytest

from app.core.tokens import key_id
from tests.conftest import NO_CERTIFICATES, PATIENCE_SECONDS, find_free_port
from tests.db.test_schema import LAST, NEXT, Migrated
from tests.service import ADA, Service, wait_for
from tests.test_serve import served
from tests.timings import short_timings
from tests.upgrading import Clients, Front, require_nginx
from tests.uploads.test_data_upload import form

ROOT = Path(__file__).parents[1]
LAST_VERSION = "1ee630e"
"""The commit of the version before this one, which the last migration is unknown to: none has a tag yet."""
OLD_VERSION, KNOWN_TO_IT = "ed260c6", "0010"
"""The last one that does not start on a database that is ahead, and the newest revision that it knows."""
WIDE = ",".join(f"{name}=1000000/hour" for name in ("upload-account", "upload-address", "chunk-account"))


def web_processes(parent: int) -> set[int]:
    listed = subprocess.run(
        ["pgrep", "-P", str(parent), "-f", "spawn_main"], capture_output=True, text=True, check=False
    )
    return {int(line) for line in listed.stdout.split()}


def all_published_once(sandbox_url: str, names: list[str]) -> bool:
    """Say whether each of the tables is on the sandbox; fail if one is there twice."""
    found = httpx.get(
        f"{sandbox_url}api/v1/json/data/list/limit/100000/status/all", timeout=PATIENCE_SECONDS
    ).json()
    counted = Counter(dataset["name"] for dataset in found.get("data", {}).get("dataset", []))
    assert max((counted[name] for name in names), default=0) <= 1, "doubled"
    return all(counted[name] for name in names)


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_processes_when_replaced_one_by_one_for_another_key_then_no_request_fails_and_no_session_ends(
    service: Service, sandbox_url: str, tmp_path: Path
) -> None:
    """An event stream ends with when to come again; all others notice nothing."""
    require_nginx()
    front = Front(tmp_path, [service.port, service.port])
    key, accepted = tmp_path / "key", tmp_path / "accepted"
    old, new = secrets.token_hex(32), secrets.token_hex(32)
    key.write_text(old)
    accepted.write_text("")
    del service.environment["APP_SECRET_KEY"]
    service.environment |= {"APP_SECRET_KEY_FILE": str(key), "ACCEPTED_SECRET_KEYS_FILE": str(accepted)}
    service.start(workers=2, RATE_LIMITS=WIDE, UPLOADS_PER_USER="10000", PUBLIC_URL=front.url)
    headers = service.sign_up_and_log_in()
    parent = service.started[0].pid
    wait_for(lambda: len(web_processes(parent)) == 2)
    draft = service.ask("POST", "/uploads", headers=headers, json={"file_name": "t.csv", "size": 100}).json()
    stream = socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE_SECONDS)
    with closing(stream), front.running(), Clients(front.url, headers).at_work() as clients:
        lines = [
            f"GET /uploads/{draft['id']}/events HTTP/1.1",
            "Host: a",
            f"Authorization: {headers['Authorization']}",
        ]
        stream.sendall("\r\n".join([*lines, "", ""]).encode())
        assert stream.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
        accepted.write_text(new)
        replace_processes(parent)
        told = read_all(stream)
        key.write_text(new)
        accepted.write_text(old)
        replace_processes(parent)
        login = service.ask("POST", "/token", data={"username": ADA["email"], "password": ADA["password"]})

    assert jwt.get_unverified_header(login.json()["access_token"])["kid"] == key_id(new)
    assert jwt.get_unverified_header(headers["Authorization"].split()[1])["kid"] == key_id(old)

    assert "retry: 2000\n\n" in told
    assert clients.failed == []
    assert len(clients.accepted) >= 2
    wait_for(lambda: all_published_once(sandbox_url, clients.accepted), seconds=3 * PATIENCE_SECONDS)


def replace_processes(parent: int) -> None:
    before = web_processes(parent)
    os.kill(parent, signal.SIGHUP)
    wait_for(lambda: not before & web_processes(parent), seconds=3 * PATIENCE_SECONDS)


@pytest.mark.long
@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
def test_requests_when_they_outlast_a_stop_then_told_what_counts_and_when_to_come_again(
    service: Service,
) -> None:
    service.start(TIMINGS=short_timings(upload_stall_seconds=60))
    headers = service.sign_up_and_log_in()
    draft = service.ask("POST", "/uploads", headers=headers, json={"file_name": "t.csv", "size": 1000}).json()
    path = f"/uploads/{draft['id']}"
    with service.send(headers, form(), all_but=30) as slow_form, slow_patch(service, headers, path) as patch:
        wait_for(lambda: len(service.spooled()) == 2)
        os.kill(service.started[0].pid, signal.SIGTERM)
        of_patch, of_form = read_all(patch), read_all(slow_form)
    service.started.pop().wait(PATIENCE_SECONDS)

    for answer in (of_patch, of_form):
        assert answer.startswith("HTTP/1.1 503 ")
        assert "\r\nretry-after: " in answer.lower()
    assert "\r\nupload-offset: 400\r\n" in of_patch.lower()
    service.start()
    assert (
        service.ask("HEAD", path, headers={**headers, "Tus-Resumable": "1.0.0"}).headers["Upload-Offset"]
        == "400"
    )


def read_all(connection: socket.socket) -> str:
    with connection.makefile("rb") as answer:
        return answer.read().decode()


def slow_patch(service: Service, headers: dict[str, str], path: str) -> socket.socket:
    """Return a connection on which 400 of 1000 bytes were sent."""
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE_SECONDS)
    lines = [
        f"PATCH {path} HTTP/1.1",
        "Host: a",
        f"Authorization: {headers['Authorization']}",
        "Content-Length: 1000",
    ]
    lines += [
        "Tus-Resumable: 1.0.0",
        "Upload-Offset: 0",
        "Content-Type: application/offset+octet-stream",
        "",
        "",
    ]
    connection.sendall("\r\n".join(lines).encode() + b"x" * 400)
    return connection


@pytest.mark.long
@pytest.mark.parametrize("works_from", [LAST, NEXT])
def test_web_process_when_it_ends_on_a_database_that_is_ahead_then_the_others_go_on(
    tmp_path: Path, migrated_sqlite: Path, works_from: str
) -> None:
    with served(tmp_path, migrated_sqlite) as service:
        service.wait_until_all_started()
        time.sleep(1.5)  # so that both have given a sign of life
        Migrated(f"sqlite:///{tmp_path / 'openml.db'}", tmp_path).say_it_is(NEXT, works_from)
        first, second = service.children()
        os.kill(first, signal.SIGKILL)

        if works_from == LAST:
            service.wait_until_all_started(3)
            assert len(service.children()) == 2
        else:
            wait_for(lambda: len(service.events("web process ended")) == 3)
            ends = service.events("web process ended")
            assert [end["exit_code"] for end in ends] == [-9, 3, 3]
            assert [end["next_start_in_seconds"] for end in ends] == [0.5, 1.0, 2.0]
        assert second in service.children()
        assert service.answers()


def unpack_version(commit: str, folder: Path) -> Path:
    """Return a folder with the program of another version."""
    packed = subprocess.run(
        ["git", "archive", commit, "app", "alembic"], cwd=ROOT, capture_output=True, check=False
    )
    if packed.returncode != 0:
        # No fault of the tree, and CI may clone without a history.
        pytest.skip(
            f"the history here has no {commit}: clone it whole (fetch-depth: 0), or nothing is tried beside it"
        )
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as tree:
        tree.extractall(folder, filter="data")
    return folder


class Instance:
    """One `serve` behind nginx, of either version."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.port = find_free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, program: Path) -> None:
        self._process = start(self._service, program, "serve", PORT=str(self.port))
        wait_for(self._is_up)

    def stop(self) -> None:
        assert self._process is not None
        stop(self._process)

    def _is_up(self) -> bool:
        try:
            with httpx.Client(verify=NO_CERTIFICATES) as client:
                return client.get(f"http://127.0.0.1:{self.port}/health/ready").status_code == 200
        except httpx.HTTPError:
            return False


@pytest.mark.long
@pytest.mark.parametrize(
    ("before", "embedded"),
    [
        pytest.param(LAST_VERSION, "true", id="beside"),
        pytest.param(LAST_VERSION, "false", id="beside-workers-apart"),
        pytest.param(OLD_VERSION, "false", id="old-workers-apart"),
    ],
)
def test_version_when_the_next_takes_its_place_then_nothing_is_lost_doubled_or_refused_and_there_is_a_way_back(
    empty_mariadb: str, sandbox_url: str, tmp_path: Path, before: str, embedded: str
) -> None:
    """As docs/upgrade.md says it: migrate, then each instance in turn is left out, stopped and started anew."""
    require_nginx()
    version_before = unpack_version(before, tmp_path / "before")
    settings = {
        "DATA_DIR": str(tmp_path / "var"),
        "DATABASE_URI": empty_mariadb,
        "OPENML_SERVER": sandbox_url,
        "APP_SECRET_KEY": secrets.token_hex(32),
        "TIMINGS": short_timings(),
        "RATE_LIMITS": WIDE,
        "UPLOADS_PER_USER": "10000",
        "EMBEDDED_WORKER": embedded,
    }
    service = Service(0, {**os.environ, **settings})
    try:
        headers = exchange_versions(service, version_before, sandbox_url, tmp_path)
        # The way back, of which docs/upgrade.md says when the database has to go, too.
        for process in (*service.started,):
            stop(process)
        if before == OLD_VERSION:
            migrate(service, ROOT, "--down", KNOWN_TO_IT, "--yes")
        publish_by(service, version_before, sandbox_url, headers)
    finally:
        service.kill()


def exchange_versions(
    service: Service, version_before: Path, sandbox_url: str, tmp_path: Path
) -> dict[str, str]:
    """Return what somebody who signed in before it sends along."""
    first, second = Instance(service), Instance(service)
    front = Front(tmp_path, [first.port, second.port])
    service.environment["PUBLIC_URL"] = front.url
    migrate(service, version_before)
    worker = start_worker(service, version_before)
    first.start(version_before)
    second.start(version_before)
    service.port = first.port
    headers = service.sign_up_and_log_in()
    with front.running(), Clients(front.url, headers).at_work() as clients:
        time.sleep(2)
        migrate(service, ROOT)
        time.sleep(3)
        for instance in (second, first):
            front.leave_out(instance.port)
            instance.stop()
            instance.start(ROOT)
            front.leave_out(None)
            time.sleep(3)
            if instance is second:
                stop(worker)
                worker = start_worker(service, ROOT)

    assert clients.failed == []
    assert len(clients.accepted) > 10
    wait_for(lambda: all_published_once(sandbox_url, clients.accepted), seconds=6 * PATIENCE_SECONDS)
    wait_for(lambda: {row["state"] for row in service.uploads()} == {"active"}, seconds=2 * PATIENCE_SECONDS)
    assert len(service.uploads()) == len(clients.accepted)
    return headers


def publish_by(service: Service, program: Path, sandbox_url: str, headers: dict[str, str]) -> None:
    """Have a version take the rows that are there as its own, the session among them, and publish a table."""
    instance, name = Instance(service), f"back-{secrets.token_hex(6)}"
    worker = start_worker(service, program)
    instance.start(program)
    service.port = instance.port
    answer = service.ask("POST", "/data-upload", headers=headers, files=form(dataset_name=name))
    assert answer.status_code == 200, answer.text
    wait_for(lambda: all_published_once(sandbox_url, [name]), seconds=PATIENCE_SECONDS)
    instance.stop()
    stop(worker)


def start(service: Service, program: Path, command: str, **settings: str) -> "subprocess.Popen[bytes]":
    """Start a command of either version."""
    environment = {**service.environment, **settings, "PYTHONPATH": str(program)}
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", command], cwd=program, env=environment, start_new_session=True
    )
    service.started.append(process)
    return process


def start_worker(service: Service, program: Path) -> "subprocess.Popen[bytes] | None":
    """Start a worker, unless each instance has its own."""
    is_embedded = service.environment["EMBEDDED_WORKER"] == "true"
    return None if is_embedded else start(service, program, "worker")


def stop(process: "subprocess.Popen[bytes] | None") -> None:
    if process is not None:
        process.send_signal(signal.SIGTERM)
        assert process.wait(2 * PATIENCE_SECONDS) in {0, -signal.SIGTERM}


def migrate(service: Service, program: Path, *options: str) -> None:
    environment = {**service.environment, "PYTHONPATH": str(program)}
    subprocess.run(
        [sys.executable, "-m", "app.cli", "migrate", *options], cwd=program, env=environment, check=True
    )
