"""What only real processes and sockets show: several workers, a kill at any moment, a client that goes away."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.core.settings import Settings
from app.db.engine import Database
from app.db.tables import uploads
from tests.conftest import wait_until_up
from tests.upload.test_data_upload import CSV, form

ADA = {"first_name": "Ada", "last_name": "L", "email": "ada@example.org", "password": "correct horse battery"}
ORDER = ["receiving", "received", "checked", "converted", "sending", "published", "processing", "active"]


@dataclass
class Service:
    """The service as an operator starts it, and what can be seen of it."""

    port: int
    environment: dict[str, str]
    started: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def folder(self) -> Path:
        return Path(self.environment["DATA_DIR"])

    def start(self, *, workers: int = 1, **changes: str) -> None:
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "--factory",
            "app.main:create_app",
            "--port",
            str(self.port),
        ]
        process = subprocess.Popen(
            [*command, "--workers", str(workers)], env={**self.environment, **changes}, start_new_session=True
        )
        self.started.append(process)
        wait_until_up(f"{self.url}/health/live", process)

    def kill(self) -> None:
        """SIGKILL to every process: no chance to tidy up."""
        for process in self.started:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            process.wait()
        self.started.clear()

    def sign_up_and_log_in(self) -> dict[str, str]:
        assert httpx.post(f"{self.url}/signup", json=ADA).json() == {"msg": "User created"}
        self.confirm()
        answer = httpx.post(f"{self.url}/token", data={"username": ADA["email"], "password": ADA["password"]})
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def confirm(self) -> None:
        wait_for(lambda: bool(self.mails()))
        link = next(word for word in self.mails()[0].read_text().split() if "token=" in word)
        assert httpx.post(f"{self.url}/confirmation", json={"url": link}).json() == {"msg": "User confirmed"}

    def mails(self) -> list[Path]:
        return list((self.folder / "mail").glob("*.eml"))

    def spooled(self) -> list[Path]:
        return [path for path in (self.folder / "uploads").rglob("*") if path.is_file()]

    def uploads(self) -> list[Any]:
        async def look() -> list[Any]:
            uri = self.environment["DATABASE_URI"]
            database = Database(Settings(_env_file=None, data_dir=self.folder, database_uri=uri))
            try:
                async with database.session() as session:
                    return list((await session.execute(sa.select(uploads))).mappings())
            finally:
                await database.close()

        return asyncio.run(look())

    def upload_reached(self, state: str) -> bool:
        found = self.uploads()
        if found and found[0]["state"] == "failed":
            pytest.fail(str(found[0]["error"]))
        return bool(found) and ORDER.index(found[0]["state"]) >= ORDER.index(state)

    def send(self, headers: dict[str, str], files: dict[str, Any], *, all_but: int = 0) -> socket.socket:
        """A connection on which an upload was sent, but for its last bytes."""
        request = httpx.Request("POST", f"{self.url}/data-upload", headers=headers, files=files)
        body = request.read()
        lines = [
            "POST /data-upload HTTP/1.1",
            *(f"{key}: {value}" for key, value in request.headers.items()),
            "",
            "",
        ]
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        connection.sendall("\r\n".join(lines).encode() + body[: len(body) - all_but])
        return connection


def wait_for(look: Callable[[], bool], *, seconds: float = 30, pause: float = 0.05) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            pytest.fail(f"nothing after {seconds} seconds")
        time.sleep(pause)


@pytest.fixture
def service(tmp_path: Path, database_uri: str, sandbox_url: str, free_port: int) -> Iterator[Service]:
    settings = {
        "DATA_DIR": str(tmp_path / "var"),
        "DATABASE_URI": database_uri,
        "OPENML_SERVER": sandbox_url,
        "PUBLIC_URL": f"http://127.0.0.1:{free_port}",
        "APP_SECRET_KEY": "a secret of thirty-two bytes or more",
        "LEASE_SECONDS": "1",
        "RECONCILE_SECONDS": "1",
        "UPLOAD_STALL_SECONDS": "1",
    }
    service = Service(free_port, {**os.environ, **settings})
    yield service
    service.kill()


def published(sandbox_url: str, name: str) -> list[int]:
    listed = httpx.get(f"{sandbox_url}api/v1/json/data/list/data_name/{name}/status/all").json()
    return [dataset["did"] for dataset in listed.get("data", {}).get("dataset", [])]


def test_logout_when_done_on_one_worker_then_refused_by_all_and_after_a_restart(service: Service) -> None:
    service.start(workers=2)
    headers = service.sign_up_and_log_in()

    def statuses() -> set[int]:
        # A new connection each time, so that both workers are asked.
        with httpx.Client(headers={**headers, "Connection": "close"}) as client:
            return {client.get(f"{service.url}/profile").status_code for _ in range(40)}

    assert statuses() == {200}
    assert httpx.post(f"{service.url}/logout", headers=headers).status_code == 200
    assert statuses() == {401}
    service.kill()
    service.start(workers=2)
    assert statuses() == {401}


def test_mail_when_killed_between_sign_up_and_delivery_then_delivered_after_the_restart(
    service: Service,
) -> None:
    service.start(EMBEDDED_WORKER="false")
    assert httpx.post(f"{service.url}/signup", json=ADA).json() == {"msg": "User created"}
    service.kill()
    assert not service.mails()

    service.start()

    service.confirm()


def test_upload_when_killed_halfway_then_a_row_says_so_and_nothing_else_is_left(
    service: Service, sandbox_url: str
) -> None:
    service.start()
    headers = service.sign_up_and_log_in()
    with service.send(headers, form(dataset_name="killed-halfway"), all_but=50):
        wait_for(lambda: bool(service.spooled()))
        service.kill()
    assert service.uploads()[0]["state"] == "receiving"

    service.start()

    wait_for(lambda: service.uploads()[0]["state"] == "failed", seconds=90)
    assert "broke off" in json.dumps(service.uploads()[0]["error"])
    wait_for(lambda: not service.spooled())
    assert published(sandbox_url, "killed-halfway") == []


def test_upload_when_the_client_goes_away_then_a_row_says_so_at_once(service: Service) -> None:
    service.start(UPLOAD_STALL_SECONDS="60")
    headers = service.sign_up_and_log_in()
    with service.send(headers, form(), all_but=50):
        wait_for(lambda: bool(service.uploads()))

    wait_for(lambda: service.uploads()[0]["state"] == "failed", seconds=10)
    assert not service.spooled()


def test_upload_when_the_client_falls_silent_then_told_to_send_it_again(service: Service) -> None:
    service.start()
    with service.send(service.sign_up_and_log_in(), form(), all_but=50) as connection:
        answer = HTTPResponse(connection)
        answer.begin()
        problem = json.loads(answer.read())

    assert answer.status == 408
    assert problem["type"] == "https://openml.org/problems/body-stalled"


@pytest.mark.parametrize(("token", "status"), [("Bearer null", b"401"), ("good", b"413")])
def test_upload_when_it_will_be_refused_then_before_the_first_byte(
    service: Service, token: str, status: bytes
) -> None:
    service.start(UPLOAD_MAX_BYTES="1000")
    if token == "good":
        token = service.sign_up_and_log_in()["Authorization"]
    head = (
        f"POST /data-upload HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nExpect: 100-continue\r\n"
        "Content-Length: 5000000\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port), timeout=5) as connection:
        connection.sendall(head.encode())
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 " + status), "no 100 Continue in front"


def test_upload_when_larger_than_it_may_be_then_refused_while_it_comes(service: Service) -> None:
    service.start(UPLOAD_MAX_BYTES="1000")
    headers = service.sign_up_and_log_in()

    answer = httpx.post(f"{service.url}/data-upload", files=form(CSV * 20), headers=headers)

    assert answer.status_code == 413
    assert answer.json()["limit_bytes"] == 1000
    assert not service.spooled()


@pytest.mark.parametrize(
    ("database_uri", "state"),
    [
        ("sqlite", "sending"),
        *(("mariadb", state) for state in ("received", "checked", "converted", "sending", "published")),
    ],
    indirect=["database_uri"],
)
def test_upload_when_killed_in_any_state_then_published_once(
    service: Service, sandbox_url: str, tmp_path: Path, state: str
) -> None:
    """Everything is killed as soon as the row shows the state (or a later one, if that is reached first)."""
    service.start()
    headers = service.sign_up_and_log_in()
    name = f"{tmp_path.parent.name}-{tmp_path.name}".replace("_", "-")
    large = CSV + b"x,1,no\n" * 200_000
    with service.send(headers, form(large, dataset_name=name)):
        wait_for(lambda: service.upload_reached(state), pause=0.005)
        service.kill()

    service.start()

    wait_for(lambda: service.upload_reached("active"), seconds=60)
    assert published(sandbox_url, name) == [service.uploads()[0]["dataset_id"]]
    wait_for(lambda: not service.spooled(), seconds=90)
