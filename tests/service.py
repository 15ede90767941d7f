"""The service as processes of its own, started as an operator starts it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from app.db.upload_states import UploadState
from app.db.upload_tables import uploads
from app.storage.marks import MARK_NAME
from tests.children import descendants_of
from tests.conftest import NO_CERTIFICATES, PATIENCE_SECONDS, wait_until_up

ADA = {
    "first_name": "Ada",
    "last_name": "L",
    "email": "ada@example.org",
    "password": "seven rivers flow north",
}
ORDER = [str(state) for state in UploadState]


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

    def start(self, *, workers: int = 1, output: IO[bytes] | None = None, **changes: str) -> None:
        """Start it with other settings; `output` takes its log."""
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve", "--workers", str(workers)],
            env={**self.environment, "PORT": str(self.port), **changes},
            start_new_session=True,
            stdout=output,
            stderr=output,
        )
        self.started.append(process)
        wait_until_up(f"{self.url}/health/live", process)

    def start_worker(self) -> "subprocess.Popen[bytes]":
        """Start `openml-web worker` beside the rest."""
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "worker"], env=self.environment, start_new_session=True
        )
        self.started.append(process)
        return process

    def kill(self) -> None:
        """SIGKILL to every process: no chance to tidy up."""
        for process in self.started:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            process.wait()
        self.started.clear()

    def stop(self, number: signal.Signals) -> None:
        """Tell every process to stop, conversions as well, as a terminal and systemd do."""
        for process in self.started:
            children = descendants_of(process.pid)
            for pid in children:
                # Before its first line has run, Python falls over Ctrl-C by itself.
                wait_for(lambda child=pid: _ignores(child, number), pause=0.002)  # type: ignore[misc]  # mypy infers no lambda with defaults
            for pid in [*children, process.pid]:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            process.wait(60)
        self.started.clear()

    def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Ask on a connection of its own, which any of the workers may take."""
        with httpx.Client(timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES) as client:
            return client.request(method, f"{self.url}{path}", **arguments)

    def sign_up_and_log_in(self, person: Mapping[str, str] = ADA) -> dict[str, str]:
        assert self.ask("POST", "/signup", json=person).json() == {"msg": "User created"}
        self.confirm()
        login = {"username": person["email"], "password": person["password"]}
        return {"Authorization": f"Bearer {self.ask('POST', '/token', data=login).json()['access_token']}"}

    def confirm(self) -> None:
        wait_for(lambda: bool(self.mails()))
        link = next(word for word in self.mails()[0].read_text().split() if "token=" in word)
        answer = self.ask("POST", "/confirmation", json={"url": link})
        assert answer.json() == {"msg": "User confirmed"}

    def mails(self) -> list[Path]:
        return list((self.folder / "mail").glob("*.eml"))

    def spooled(self) -> list[Path]:
        return [
            path for path in (self.folder / "uploads").rglob("*") if path.is_file() and path.name != MARK_NAME
        ]

    def uploads(self) -> list[Any]:
        """Return the rows, the oldest first."""
        address = make_url(self.environment["DATABASE_URI"])
        driver = {"mysql": "mysql+pymysql", "sqlite": "sqlite"}[address.drivername]
        engine = sa.create_engine(
            address.set(drivername=driver),
            poolclass=sa.NullPool,
            connect_args={"ssl_disabled": True} if driver != "sqlite" else {},
        )
        with engine.connect() as connection:
            return list(connection.execute(sa.select(uploads).order_by(uploads.c.created_at)).mappings())

    def upload_reached(self, state: str) -> bool:
        """Whether the latest upload is in the state, or in a later one."""
        found = self.uploads()
        if found and found[-1]["state"] == "failed":
            pytest.fail(str(found[-1]["error"]))
        return bool(found) and ORDER.index(found[-1]["state"]) >= ORDER.index(state)

    def send(
        self, headers: dict[str, str], files: dict[str, Any], *, all_but: int = 0, path: str = "/data-upload"
    ) -> socket.socket:
        """A connection on which a form was sent, but for its last bytes."""
        request = httpx.Request("POST", f"{self.url}{path}", headers=headers, files=files)
        body = request.read()
        lines = [
            f"POST {path} HTTP/1.1",
            *(f"{key}: {value}" for key, value in request.headers.items()),
            "",
            "",
        ]
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)
        connection.sendall("\r\n".join(lines).encode() + body[: len(body) - all_but])
        return connection


def _ignores(pid: int, number: signal.Signals) -> bool:
    """Whether a process would not notice a signal, or is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
    return "\tZ (" in status or bool(ignored >> (number - 1) & 1)


def wait_for(look: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS, pause: float = 0.05) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            pytest.fail(f"nothing after {seconds} seconds")
        time.sleep(pause)


@dataclass(frozen=True)
class Site:
    """Where the service is, where it publishes, the key of a person there, and its database."""

    port: int
    sandbox_url: str
    api_key: str
    database: Path = Path("openml.db")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"X-API-Key": self.api_key}


@contextmanager
def serving_site(folder: Path, database: Path, sandbox_url: str, **changes: str) -> Iterator[Site]:
    """Start the service on a copy of a migrated database; yield it with a person who has signed up."""
    shutil.copy(database, folder / "openml.db")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    settings = {
        "DATA_DIR": str(folder),
        "OPENML_SERVER": sandbox_url,
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
    }
    service = Service(port, {**os.environ, **settings, **changes})
    try:
        with (folder / "log").open("wb") as log:
            service.start(output=log)
        answer = httpx.get(f"{service.url}/api-key", headers=service.sign_up_and_log_in())
        yield Site(port, sandbox_url, answer.json()["apikey"], folder / "openml.db")
    finally:
        service.kill()
