"""Three machines without a shared disk: two that take bytes, two that work; a database, and an S3 store."""

import asyncio
import hashlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.core.settings import Settings
from app.storage.s3 import open_s3
from tests.service import ADA, Service, wait_for
from tests.timings import timings

ROWS = b"".join(
    b"%d,%d,%s\n" % (number, number * number, b"yes" if number % 3 else b"no") for number in range(50_000)
)
CSV = b"level,flow,flood\n" + ROWS
METADATA = {"dataset_name": "river-levels", "description": "Daily river levels.", "def_tar_att": "flood"}


@pytest.fixture
def environment(
    tmp_path: Path, migrated_sqlite: Path, sandbox_url: str, s3: dict[str, str]
) -> dict[str, str]:
    database = tmp_path / "openml.db"
    database.write_bytes(migrated_sqlite.read_bytes())
    return {
        **os.environ,
        **{name.upper(): value for name, value in s3.items()},
        "DATABASE_URI": f"sqlite:///{database}",
        "OPENML_SERVER": sandbox_url,
        "APP_SECRET_KEY": "a secret of thirty-two bytes or more",
        "SEND_EMAIL": "false",
        "EMBEDDED_WORKER": "false",
        "TIMINGS": timings(lease_seconds=1),
    }


@pytest.fixture
def machines(tmp_path: Path, environment: dict[str, str]) -> Iterator[tuple[Service, Service]]:
    with ExitStack() as stack:
        ports = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(2)
        ]
    services = [
        Service(port, {**environment, "DATA_DIR": str(tmp_path / f"machine-{port}")}) for port in ports
    ]
    try:
        services[0].start()
        services[1].start(EMBEDDED_WORKER="true")
        yield services[0], services[1]
    finally:
        for service in services:
            service.kill()


@pytest.fixture
def start_worker(
    tmp_path: Path, environment: dict[str, str]
) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    with ExitStack() as stack:

        def start() -> "subprocess.Popen[bytes]":
            process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "worker"],
                env={**environment, "DATA_DIR": str(tmp_path / "worker")},
                start_new_session=True,
            )
            stack.callback(process.wait)
            stack.callback(os.killpg, process.pid, signal.SIGKILL)
            return process

        yield start


@pytest.mark.long
def test_upload_when_machines_share_only_a_database_and_a_store_then_published_though_a_worker_dies(
    machines: tuple[Service, Service],
    start_worker: Callable[[], "subprocess.Popen[bytes]"],
    s3: dict[str, str],
    tmp_path: Path,
) -> None:
    one, two = machines
    assert httpx.post(f"{one.url}/signup", json=ADA).json() == {"msg": "User created"}
    token = httpx.post(
        f"{two.url}/token", data={"username": ADA["email"], "password": ADA["password"]}
    ).json()
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    body = {"file_name": "river.csv", "size": len(CSV), "metadata": METADATA, "publish": True}
    begun = httpx.post(f"{one.url}/uploads", json=body, headers=headers)
    path = urlsplit(begun.headers["location"]).path
    for machine, start, end in ((one, 0, 100_000), (two, 100_000, 100_007), (one, 100_007, len(CSV))):
        answer = httpx.patch(
            machine.url + path,
            content=CSV[start:end],
            headers={
                **headers,
                "Tus-Resumable": "1.0.0",
                "Upload-Offset": str(start),
                "Content-Type": "application/offset+octet-stream",
            },
        )
        assert answer.headers["upload-offset"] == str(end), answer.text
    assert not one.spooled()

    def look() -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(one.url + path, headers=headers).json()
        assert found["state"] != "failed", found["error"]
        return found

    wait_for(lambda: look()["state"] != "verifying", pause=0.01)
    two.kill()
    start_worker()
    wait_for(lambda: look()["state"] == "active")
    assert look()["sha256"] == hashlib.sha256(CSV).hexdigest()

    assert asyncio.run(_upload_ids(tmp_path / "another", s3)) == []


async def _upload_ids(folder: Path, s3: dict[str, str]) -> list[str]:
    storage, _ = await open_s3(Settings(_env_file=None, data_dir=folder, **s3))  # type: ignore[arg-type]  # as read
    return await storage.upload_ids()
