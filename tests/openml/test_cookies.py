"""No client of ours keeps a cookie: it would make one session of all users, whose requests wait for each other."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.commands.credentials import ClientCredentials
from app.commands.uploader import Uploader
from app.core.settings import Settings
from app.web.upstreams import Upstreams, open_upstreams
from tests.conftest import (
    NO_CERTIFICATES,
    PATIENCE_SECONDS,
    MakePerson,
    Person,
    Running,
    empty_database,
    running,
)
from tests.datasets.test_data_edit import as_the_spa_sends, edit, load
from tests.servers import serving
from tests.upstream import ARFF, Upstream

# Results are asked for by the client of OpenML.
ASKED_BY = [*(field.name for field in fields(Upstreams) if field.name != "results"), "openml"]
SOON_SECONDS = 3.0
LARGE = ARFF + "Ouse,4.2,1.5,yes\n" * 2_000_000
"""More than the buffers of two connections take."""


@pytest.fixture(params=["sqlite"])
def database_uri(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> str:
    """A migrated, empty database: nothing here depends on its kind."""
    return empty_database(request, tmp_path, migrated_sqlite)


def _cookie_setter(brought: list[str]) -> Starlette:
    async def serve(request: Request) -> Response:
        brought.append(request.headers.get("cookie", ""))
        answer = Response("{}", media_type="application/json")
        answer.set_cookie("ci_session", "a" * 32, max_age=7200)
        answer.set_cookie("other", "b", path="/", httponly=True)
        return answer

    return Starlette(routes=[Route("/{path:path}", serve, methods=["GET", "POST", "HEAD"])])


@pytest.mark.every(3)
@pytest.mark.parametrize("name", ASKED_BY)
async def test_client_when_a_server_sets_cookies_then_none_is_brought_back(
    settings: Settings, name: str
) -> None:
    brought: list[str] = []
    async with serving(_cookie_setter(brought)) as url:
        changes = {"dashboard_server": url, "elasticsearch_server": url, "croissant_server": url}
        passes = {"pass_on": ("croissant", "reads", "files")}
        without_worker = {"openml_server": url, "embedded_worker": False}
        changed = settings.model_copy(update=changes | passes | without_worker)
        async with running(changed) as app, open_upstreams(changed) as upstreams:
            http = _http_of(app, upstreams, name)
            for _ in range(3):
                await http.get(url, headers={"Accept": "*/*"})

    assert brought == ["", "", ""]


def _http_of(app: Running, upstreams: Upstreams, name: str) -> httpx.AsyncClient:
    owner: Any = app.resources.openml._connection if name == "openml" else getattr(upstreams, name)
    owner = owner._client._client if name == "search" else owner
    http: httpx.AsyncClient = owner._http
    return http


async def test_command_when_a_server_sets_cookies_then_none_is_brought_back() -> None:
    brought: list[str] = []
    async with serving(_cookie_setter(brought)) as url:
        await asyncio.to_thread(_ask_twice, url.rstrip("/"))

    assert brought == ["", ""]


def _ask_twice(server: str) -> None:
    key = ClientCredentials("X-API-Key", SecretStr("0" * 32))
    with Uploader(server, key, display=None, patience_seconds=5) as uploader:  # type: ignore[arg-type]  # shown nothing
        for _ in range(2):
            uploader._client.get(server)


# --- beside the real server's habit of one request of a session at a time


@asynccontextmanager
async def _slow_reader(url: str, path: str) -> AsyncIterator[None]:
    """Somebody who asks for a file and reads only its beginning."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(0)
        loop = asyncio.get_running_loop()
        port = httpx.URL(url).port
        await loop.sock_connect(connection, ("127.0.0.1", port))
        await loop.sock_sendall(connection, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (await loop.sock_recv(connection, 4096)).startswith(b"HTTP/1.1 200")
        yield


async def test_download_when_another_is_slow_then_answered_at_once(
    app: Running, person: Person, upstream: Upstream
) -> None:
    small = await upstream.publish(person.api_key)
    await upstream.fail("POST /data", "never-active")
    large = await upstream.publish(person.api_key, arff=LARGE, processed=False)
    paths = [(await upstream.dataset(dataset_id))["url"].split("/", 3)[3] for dataset_id in (small, large)]
    async with (
        serving(app.client._transport.app) as url,  # type: ignore[attr-defined]  # with its state
        httpx.AsyncClient(timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES, base_url=url) as reader,
    ):
        # The first answer is the one that could bring a cookie.
        assert (await reader.get(paths[0])).status_code == 200
        async with _slow_reader(url, f"/{paths[1]}"):
            answer = await reader.get(paths[0], timeout=SOON_SECONDS)
    # The sandbox would read it all once the fault is over, and others would wait.
    await upstream.client.delete(f"api/v1/data/{large}", params={"api_key": person.api_key})

    assert (answer.status_code, answer.text) == (200, ARFF)
    assert "set-cookie" not in answer.headers


async def test_edit_when_anothers_is_slow_then_answered_at_once(
    app: Running, make_person: MakePerson, upstream: Upstream
) -> None:
    slow, quick = await make_person(), await make_person()
    datasets = {person.id: await upstream.publish(person.api_key) for person in (slow, quick)}
    forms = {person.id: await load(app, person, datasets[person.id]) for person in (slow, quick)}
    fault = {"on": "POST /data/edit", "fault": "slow", "delay_seconds": 1.5 * SOON_SECONDS}
    (await upstream.client.post("sandbox/faults", json=fault)).raise_for_status()

    async def change(person: Person) -> Any:
        body = as_the_spa_sends(forms[person.id], description="Changed.")
        return await edit(app, person, datasets[person.id], body)

    held_up = asyncio.ensure_future(change(slow))
    await asyncio.sleep(0.5)
    async with asyncio.timeout(SOON_SECONDS):
        answered = await change(quick)

    assert (answered.status_code, held_up.done()) == (200, False)
    assert (await held_up).status_code == 200
