"""What `openml-web doctor` says of the OpenML server, beside one that is not well."""

import asyncio
import os
import secrets
import shutil
import socket
from pathlib import Path

import pytest

from app.core.settings import Settings
from app.doctor import openml
from app.doctor.diagnosis import Level
from tests.conftest import insert_person, run_sandbox, running, wait_until_up
from tests.doctor.conftest import Diagnose, told
from tests.web.pages.test_proxies import process


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As a mail server does."""
    writer.write(b"220 mail.example.org ESMTP\r\n")
    await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_openml_when_it_is_another_server_then_a_fault(diagnose: Diagnose) -> None:
    async with await asyncio.start_server(greet, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        faults = told(await diagnose("openml", openml_server=f"http://127.0.0.1:{port}/"), Level.FAULT)

    assert "does not answer as OpenML does" in faults


async def test_openml_when_its_answers_take_long_then_warned(
    diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openml, "SLOW_SECONDS", 0.0)

    assert "for each of two small answers" in told(await diagnose("openml"), Level.WARNING)


async def test_limit_when_a_body_of_that_length_may_begin_then_said_without_sending_one(
    diagnose: Diagnose,
) -> None:
    found = await diagnose("openml", upload_max_bytes=1 << 30)

    assert f"lets bodies of UPLOAD_MAX_BYTES ({1 << 30}) begin" in told(found, Level.OK)


async def test_limit_when_it_is_the_web_servers_then_that_one_is_told(
    diagnose: Diagnose, sandbox_url: str, tmp_path: Path, free_port: int
) -> None:
    if shutil.which("nginx") is None:
        (pytest.fail if os.environ.get("TEST_PROXIES") == "required" else pytest.skip)("not installed: nginx")
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid nginx.pid; error_log stderr crit; worker_processes 1; events {{}} http {{ access_log off;"
        f"client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;"
        f"server {{ listen 127.0.0.1:{free_port}; client_max_body_size 1m; "
        f"location / {{ proxy_pass {sandbox_url}; }} }} }}"
    )
    command = ["nginx", "-e", "stderr", "-p", str(tmp_path), "-c", "nginx.conf"]
    url = f"http://127.0.0.1:{free_port}/"
    with process(command, tmp_path) as front:
        await asyncio.to_thread(wait_until_up, url, front)
        found = await diagnose("openml", openml_server=url)

    assert f"takes a body of {1 << 20} bytes, and refuses one of {2 << 20}" in told(found, Level.WARNING)


async def test_limit_when_the_server_waits_for_the_body_or_a_proxy_is_between_then_said_that_it_is_unseen(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openml, "LIMIT_SECONDS", 0.05)
    # As a server that does not know `Expect`, and waits for the body.
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        level, text = await openml.check_body_limit(settings.model_copy(update={"openml_server": url}))
    far = "http://openml.example/"
    behind = Settings(_env_file=None, openml_server=far, outgoing_proxy="http://proxy.example:3128")

    assert level is Level.SKIPPED
    assert "it does not say so before a body is sent. Ask those who run it: UPLOAD_MAX_BYTES" in text
    assert "cannot be seen, for a proxy is in between" in (await openml.check_body_limit(behind))[1]


async def test_key_when_revoked_or_of_somebody_who_may_only_read_then_a_fault(
    diagnose: Diagnose, settings: Settings, password_hash: str, tmp_path: Path
) -> None:
    keys = {role: secrets.token_hex(16) for role in ("writer", "read-only", "revoked")}
    async with running(settings.model_copy(update={"embedded_worker": False})) as app:
        for role, key in keys.items():
            await insert_person(app, password_hash, api_key=key, email=f"{role}@example.org")
    known = ",".join(f"{keys[role]}={role}" for role in ("writer", "read-only"))
    with run_sandbox(tmp_path, SANDBOX_KEYS=known) as url:
        found = {
            name: await diagnose("openml", openml_server=url, wishes={"account": name})
            for name in ("writer@example.org", "read-only@example.org", "revoked@example.org", "nobody")
        }

    assert "OpenML takes the API key" in told(found["writer@example.org"], Level.OK)
    assert "(104: " in told(found["read-only@example.org"], Level.FAULT)
    assert "(103: " in told(found["revoked@example.org"], Level.FAULT)
    assert "nobody has no API key" in told(found["nobody"], Level.FAULT)
    assert not any(key in str(found) for key in keys.values())
