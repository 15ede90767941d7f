"""Many who read slowly what is passed on: nobody else notices, and they do not stay for ever."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from app.core.outflow import LARGE_ANSWERS
from app.core.settings import Settings
from app.web.upstreams import ASKING, LARGE
from tests.conftest import NO_CERTIFICATES, PATIENCE_SECONDS, eventually, running
from tests.servers import serving
from tests.slow_readers import slow_readers
from tests.web.pages.conftest import BUILD
from tests.web.pages.test_reverse_proxy import SWITCHED_ON, app_over_sockets

SOON_SECONDS = 10.0
"""Much less than slow readers stay, and enough for a machine with much else to do."""
MEBIBYTE = b" " * (1 << 20)
LARGE_MEBIBYTES = 10
BUFFER_BYTES = 1 << 16
"""Of each server's connections: with the system's own, answers would have to be much larger."""
MANY = LARGE + 8


class Upstream:
    """A server whose thing number 1 is large, and number 2 small."""

    def __init__(self) -> None:
        self.sending = 0

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._serve, methods=["GET", "POST"])])

    async def _serve(self, request: Request) -> Response:
        question = await request.body()
        if "_search" in request.url.path:
            if b"slow" in question:
                await asyncio.sleep(PATIENCE_SECONDS)
            return self._found(json.loads(question)["size"])
        media_type = "application/json"
        if request.url.path.endswith("/1") or b"large" in question:
            return StreamingResponse(self._mebibytes(), media_type=media_type)
        return Response("{}", media_type=media_type)

    def _found(self, size: int) -> Response:
        text = " " * (1 << 20) if size > 1 else ""
        return JSONResponse({"hits": {"total": 1, "hits": [{"_source": {"name": text}}]}})

    async def _mebibytes(self) -> AsyncIterator[bytes]:
        self.sending += 1
        try:
            for _ in range(LARGE_MEBIBYTES):
                yield MEBIBYTE
        finally:
            self.sending -= 1


class Prefix(NamedTuple):
    """What is passed on below it: paths of a large and of a small answer, or bodies that ask for them."""

    large: str
    small: str
    method: str = "GET"
    large_body: str = ""
    small_body: str = ""


PREFIXES = {
    "api": Prefix("/api/v1/json/data/1", "/api/v1/json/data/2"),
    "data": Prefix("/data/v1/download/1", "/data/v1/download/2"),
    "croissant": Prefix("/croissant/dataset/1", "/croissant/dataset/2"),
    "dashboard": Prefix("/dashboard/data/1", "/dashboard/data/2"),
    "dash": Prefix(*2 * ("/dashboard/_dash-update-component",), "POST", '"large"', '"small"'),
}


@asynccontextmanager
async def serving_site(
    site_settings: Settings, upstream: Upstream, *, stall_seconds: float, **changes: object
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the site behind a proxy that names its clients; yield a client that has another address."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        async with serving(upstream.app, buffer_bytes=BUFFER_BYTES) as behind:
            monkeypatch.setattr("app.main.STALL_SECONDS", stall_seconds)
            monkeypatch.setattr("app.main.LEAST_RATE", 1 << 20)
            servers = dict.fromkeys(
                ["openml_server", "dashboard_server", "croissant_server", "elasticsearch_server"], behind
            )
            settings = Settings(
                _env_file=None,
                **{
                    **site_settings.model_dump(exclude_unset=True),
                    **servers,
                    **SWITCHED_ON,
                    "trusted_proxies": ["127.0.0.1"],
                    **changes,
                },
            )
            async with (
                running(settings) as app,
                serving(app_over_sockets(app), buffer_bytes=BUFFER_BYTES) as url,
                httpx.AsyncClient(
                    base_url=url,
                    timeout=SOON_SECONDS,
                    verify=NO_CERTIFICATES,
                    headers={"X-Forwarded-For": "198.51.100.7"},
                ) as other,
            ):
                yield other


def _from(*addresses: str) -> dict[int, str]:
    return {number: f"X-Forwarded-For: {addresses[number % len(addresses)]}" for number in range(MANY)}


@pytest.mark.parametrize(
    "name", [name if name == "api" else pytest.param(name, marks=pytest.mark.long) for name in PREFIXES]
)
async def test_others_when_one_address_reads_all_it_may_slowly_then_answered_in_time(
    site_settings: Settings, name: str
) -> None:
    prefix = PREFIXES[name]
    async with serving_site(site_settings, Upstream(), stall_seconds=PATIENCE_SECONDS) as other:
        url = str(other.base_url)
        async with slow_readers(
            url, prefix.large, MANY, method=prefix.method, headers=_from("192.0.2.1"), body=prefix.large_body
        ) as readers:
            statuses = [reader.status for reader in readers]
            large = await other.request(prefix.method, prefix.large, content=prefix.large_body)
            small = await asyncio.gather(
                *(
                    other.request(prefix.method, prefix.small, content=prefix.small_body)
                    for _ in range(ASKING * 2)
                )
            )
            theirs = await other.request(
                prefix.method,
                prefix.small,
                content=prefix.small_body,
                headers={"X-Forwarded-For": "192.0.2.1"},
            )
            more = await other.request(
                prefix.method,
                prefix.large,
                content=prefix.large_body,
                headers={"X-Forwarded-For": "192.0.2.1"},
            )

    assert statuses.count(200) == LARGE // 2
    assert (large.status_code, len(large.content)) == (200, LARGE_MEBIBYTES << 20)
    assert {answer.status_code for answer in [*small, theirs]} == {200}
    assert more.status_code == 429
    if "dashboard" not in prefix.large or prefix.method == "POST":
        assert more.headers["retry-after"] == "5"
        assert more.json()["type"].endswith("too-many-requests")


@pytest.mark.long
async def test_small_answers_when_very_many_networks_read_slowly_then_in_time_and_large_ones_once_those_are_cut_off(
    site_settings: Settings,
) -> None:
    upstream, prefix = Upstream(), PREFIXES["data"]
    networks = [f"192.0.2.{number}" for number in range(MANY)]
    async with (
        serving_site(site_settings, upstream, stall_seconds=8) as other,
        slow_readers(str(other.base_url), prefix.large, MANY, headers=_from(*networks)) as readers,
    ):
        small = await other.get(prefix.small)
        assert [reader.status for reader in readers].count(200) == LARGE

        async def large() -> httpx.Response | None:
            answer = await other.get(prefix.large)
            return answer if answer.status_code == 200 else None

        found = await eventually(large)
        assert await eventually(lambda: _none_of(upstream))
        taken = [await reader.read_to_the_end() for reader in readers]

    assert small.status_code == 200
    assert len(found.content) == LARGE_MEBIBYTES << 20
    assert max(taken) < LARGE_MEBIBYTES << 19


async def _none_of(upstream: Upstream) -> bool | None:
    return True if upstream.sending == 0 else None


@pytest.mark.parametrize(
    "form",
    [
        *(
            pytest.param(form, marks=pytest.mark.long)
            for form in ("2001:db8:1:2::{:x}", "2001:db8:1:1{:02x}::1")
        ),
        "2001:db8:1:{:x}00::1",
    ],
)
async def test_addresses_when_one_client_has_them_all_then_one_share(
    site_settings: Settings, form: str
) -> None:
    addresses = [form.format(number) for number in range(1, MANY)]
    path = PREFIXES["data"].large
    async with (
        serving_site(site_settings, Upstream(), stall_seconds=PATIENCE_SECONDS) as other,
        slow_readers(str(other.base_url), path, MANY, headers=_from(*addresses)) as readers,
    ):
        statuses = [reader.status for reader in readers]

    assert (statuses.count(200), statuses.count(429)) == (LARGE // 2, MANY - LARGE // 2)


async def test_search_when_many_read_large_answers_slowly_then_others_are_answered(
    site_settings: Settings,
) -> None:
    def question(size: int) -> str:
        return json.dumps({"from": 0, "size": size, "query": {"match_all": {}}})

    many = LARGE_ANSWERS // 2 + 2
    async with (
        serving_site(site_settings, Upstream(), stall_seconds=PATIENCE_SECONDS) as other,
        slow_readers(
            str(other.base_url),
            "/es/data/data/_search",
            many,
            method="POST",
            body=question(2),
            headers=_from("192.0.2.1"),
        ) as readers,
    ):
        statuses = [reader.status for reader in readers]
        answers = [await other.post("/es/data/data/_search", content=question(size)) for size in (1, 2)]

    assert (statuses.count(200), statuses.count(429)) == (LARGE_ANSWERS // 2, 2)
    assert [answer.json()["hits"]["total"] for answer in answers] == [1, 1]


async def test_counts_when_one_asks_for_very_many_slow_ones_then_others_are_answered(
    site_settings: Settings,
) -> None:
    def count(text: str) -> str:
        return json.dumps({"size": 0, "query": {"match": {"name": text}}})

    async with serving_site(site_settings, Upstream(), stall_seconds=PATIENCE_SECONDS) as other:
        path, theirs = "/es/data/data/_search", {"X-Forwarded-For": "192.0.2.1"}
        slow = [
            asyncio.ensure_future(other.post(path, content=count(f"slow {number}"), headers=theirs))
            for number in range(ASKING * 2)
        ]
        await asyncio.sleep(1)
        # The one that asks too much may be the first to ask for what everybody does.
        first = asyncio.ensure_future(other.post(path, content=count("rivers"), headers=theirs))
        await asyncio.sleep(0.2)
        answer = await other.post(path, content=count("rivers"))
        for future in [*slow, first]:
            future.cancel()

    assert (answer.json()["hits"]["total"], "problem" in answer.json()) == (1, False)


async def test_build_when_its_files_are_read_slowly_then_readers_are_cut_off(
    site_settings: Settings, tmp_path: Path
) -> None:
    build = tmp_path / "build"
    shutil.copytree(BUILD, build)
    (build / "static" / "large.wasm").write_bytes(MEBIBYTE * LARGE_MEBIBYTES)
    async with (
        serving_site(site_settings, Upstream(), stall_seconds=1, spa_dir=str(build)) as other,
        slow_readers(str(other.base_url), "/static/large.wasm", 3) as readers,
    ):
        whole = await other.get("/static/large.wasm")
        await asyncio.sleep(3)
        taken = [await reader.read_to_the_end() for reader in readers]

    assert (whole.status_code, whole.content) == (200, MEBIBYTE * LARGE_MEBIBYTES)
    assert max(taken) < LARGE_MEBIBYTES << 19
