"""The service as processes of its own, started as an operator starts it."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
import sqlalchemy as sa

from app.core.settings import Settings
from app.db.engine import Database
from app.db.tables import uploads
from tests.conftest import wait_until_up

ADA = {
    "first_name": "Ada",
    "last_name": "L",
    "email": "ada@example.org",
    "password": "seven rivers flow north",
}
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

    def start(self, *, workers: int = 1, output: IO[bytes] | None = None, **changes: str) -> None:
        """Start it with other settings; `output` takes its log."""
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
            [*command, "--workers", str(workers)],
            env={**self.environment, **changes},
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
            children = subprocess.run(
                ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False
            ).stdout.split()
            for pid in [*map(int, children), process.pid]:
                os.kill(pid, number)
            process.wait(60)
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
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        connection.sendall("\r\n".join(lines).encode() + body[: len(body) - all_but])
        return connection


def wait_for(look: Callable[[], bool], *, seconds: float = 30, pause: float = 0.05) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            pytest.fail(f"nothing after {seconds} seconds")
        time.sleep(pause)


@dataclass(frozen=True)
class Site:
    """Where the service is, where it publishes, and the key of a person there."""

    port: int
    sandbox_url: str
    api_key: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"X-API-Key": self.api_key}


@contextmanager
def serving_site(folder: Path, database: Path, sandbox_url: str) -> Iterator[Site]:
    """Start the service on a copy of a migrated database; yield it with a person who has signed up."""
    shutil.copy(database, folder / "openml.db")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    settings = {
        "DATA_DIR": str(folder),
        "OPENML_SERVER": sandbox_url,
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
    }
    service = Service(port, {**os.environ, **settings})
    try:
        with (folder / "log").open("wb") as log:
            service.start(output=log)
        answer = httpx.get(f"{service.url}/api-key", headers=service.sign_up_and_log_in())
        yield Site(port, sandbox_url, answer.json()["apikey"])
    finally:
        service.kill()
