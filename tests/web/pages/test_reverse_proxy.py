import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from app.core.settings import Settings
from tests.conftest import NO_CERTIFICATES, PATIENCE_SECONDS, MakePerson, Person, Running, running
from tests.servers import serving

XML = "application/xml; charset=utf-8"
SWITCHED_ON = {"pass_on": ("croissant", "reads", "files")}


@dataclass
class Upstream:
    """Whatever stands behind, saying what it was asked."""

    requests: list[Request] = field(default_factory=list)
    answer: Callable[[Request], Response] = lambda _request: Response("<data/>", media_type=XML)

    @property
    def app(self) -> Starlette:
        methods = ["GET", "HEAD", "POST", "PUT", "DELETE"]
        return Starlette(routes=[Route("/{path:path}", self._serve, methods=methods)])

    async def _serve(self, request: Request) -> Response:
        await request.body()
        self.requests.append(request)
        return self.answer(request)

    @property
    def last(self) -> Request:
        return self.requests[-1]


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
async def app(upstream: Upstream, site_settings: Settings) -> AsyncIterator[Running]:
    async with serving(upstream.app) as url:
        changes = {"openml_server": url, "dashboard_server": url, **SWITCHED_ON}
        async with running(site_settings.model_copy(update=changes)) as found:
            yield found


async def test_read_when_passed_on_then_answered_as_openml_does(app: Running, upstream: Upstream) -> None:
    answer = await app.client.get("/api/v1/json/data/61?x=a%20b&y=")

    assert (answer.status_code, answer.text) == (200, "<data/>")
    assert answer.headers["content-type"] == XML
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; sandbox")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"
    assert str(upstream.last.url).endswith("/api/v1/json/data/61?x=a+b&y=")


async def test_read_when_openml_refuses_then_its_status_and_text(app: Running, upstream: Upstream) -> None:
    upstream.answer = lambda _request: JSONResponse({"error": {"code": "111"}}, 412)

    answer = await app.client.get("/api/v1/json/data/999999")

    assert (answer.status_code, answer.json()["error"]["code"]) == (412, "111")


async def test_secrets_when_they_come_along_then_not_passed_on(
    app: Running, upstream: Upstream, person: Person
) -> None:
    key = person.api_key
    names = [
        "api_key",
        "API_KEY",
        "api.key",
        "api[key",
        " api_key",
        "api_key[]",
        "apikey",
        "api+key",
        "%61pi_key",
    ]
    for name in names:
        for path in ("/api/v1/data/1", "/data/v1/download/1/a.arff", "/croissant/dataset/1"):
            await app.client.get(
                f"{path}?{name}={key}&a=1",
                headers={
                    **person.headers,
                    "Cookie": f"session={key}",
                    "X-API-Key": key,
                    "Referer": f"http://x/?{key}",
                    "X-Forwarded-For": "10.0.0.1",
                },
            )
            sent = str(upstream.last.url) + str(upstream.last.headers)
            assert key not in sent, name
            assert person.token not in sent
            assert "10.0.0.1" not in sent
    assert len(upstream.requests) == 3 * len(names)


@pytest.fixture
async def person(make_person: MakePerson) -> Person:
    return await make_person()


OTHER_PATHS = [
    "/api",
    "/api/",
    "/api/v2/data/1",
    "/api/session",
    "/api/v1/",
    "/api/v1/data/1%2f..%2f..%2fx",
    "/api/v1/../secret",
    "/api/v1/data/a%00b",
    "/api/v1/data/%0d%0aX:y",
    "/api/v1/data/<x>",
    "/api/v1/data/a\\b",
    "/api/v1/" + "a/" * 2000,
    "/data/61",
    "/data/v1/download/x",
    "/data/v1/download/1/a/b",
    "/data/v1/download/1/..",
    "/data/v1/download/1/%2e%2e%2fx",
    "/data/download",
    "/croissant/dataset/x",
    "/croissant/dataset/1x",
    "/croissant/dataset/%31%2f2",
    "/croissant/dataset/" + "9" * 30,
]


async def test_path_when_of_no_known_shape_then_not_passed_on(app: Running, upstream: Upstream) -> None:
    for path in OTHER_PATHS:
        request = httpx.Request("GET", "http://testserver/")
        request.url = request.url.copy_with(raw_path=quote(path, safe="/%.").encode())
        answer = await app.client.send(request)

        assert upstream.requests == []
        assert answer.status_code in {200, 404}
        if answer.status_code == 200:
            assert '<div id="root">' in answer.text


async def test_methods_when_they_write_then_405_and_not_passed_on(app: Running, upstream: Upstream) -> None:
    for path in (
        "/api/v1/data",
        "/api/v1/data/1",
        "/data/v1/download/1",
        "/croissant/dataset/1",
        "/dashboard/data/1",
    ):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert (await app.client.request(method, path)).status_code == 405
    assert upstream.requests == []


def _page(headers: dict[str, str], _request: Request) -> Response:
    return Response("<script>alert(1)</script>", headers=headers)


ACTIVE_TYPES = [
    "text/html",
    "image/svg+xml",
    "application/xhtml+xml",
    "text/javascript",
    "multipart/x",
    "",
]


async def test_answer_when_it_could_be_a_page_then_plain_text(app: Running, upstream: Upstream) -> None:
    for media_type in ACTIVE_TYPES:
        headers = {"Content-Type": media_type, "Set-Cookie": "a=b", "X-Powered-By": "PHP"}
        upstream.answer = partial(_page, headers)
        for path in ("/api/v1/data/1", "/data/v1/download/1"):
            answer = await app.client.get(path)
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            assert "sandbox" in answer.headers["content-security-policy"]
            assert not {"set-cookie", "x-powered-by"} & set(answer.headers)


async def test_download_when_ranged_or_known_then_so_upstream(app: Running, upstream: Upstream) -> None:
    upstream.answer = lambda _request: Response(
        "RELA", 206, headers={"Content-Range": "bytes 1-4/10", "ETag": '"x"', "Content-Type": "text/plain"}
    )
    part = await app.client.get("/data/v1/download/4711/a%20b.arff", headers={"Range": "bytes=1-4"})
    upstream.answer = lambda _request: Response(
        status_code=304, headers={"ETag": '"x"', "Content-Length": "10"}
    )
    known = await app.client.get("/data/download/4711", headers={"If-None-Match": '"x"'})

    assert (part.status_code, part.text, part.headers["content-range"]) == (206, "RELA", "bytes 1-4/10")
    assert upstream.requests[0].headers["range"] == "bytes=1-4"
    assert upstream.requests[0].url.path == "/data/v1/download/4711/a b.arff"
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", '"x"')
    assert upstream.last.headers["if-none-match"] == '"x"'


async def test_download_when_packed_then_passed_on_packed(app: Running, upstream: Upstream) -> None:
    packed = gzip.compress(b"@RELATION x" * 1000)
    upstream.answer = lambda _request: Response(
        packed, headers={"Content-Encoding": "gzip"}, media_type="text/plain"
    )
    async with app.client.stream("GET", "/data/v1/download/1", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join([chunk async for chunk in answer.aiter_raw()])

    assert (raw, answer.headers["content-encoding"]) == (packed, "gzip")
    assert "Accept-Encoding" in answer.headers["vary"]
    await app.client.get("/data/v1/download/1", headers={"Accept-Encoding": ""})
    assert upstream.last.headers["accept-encoding"] == "identity"


async def test_head_when_passed_on_then_head_upstream(app: Running, upstream: Upstream) -> None:
    answer = await app.client.head("/data/v1/download/1")

    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "7")
    assert upstream.last.method == "HEAD"


async def test_redirect_when_off_the_server_then_404_and_on_it_followed(
    app: Running, upstream: Upstream
) -> None:
    upstream.answer = lambda _request: RedirectResponse("https://evil.example/x")
    elsewhere = await app.client.get("/data/v1/download/1")
    upstream.answer = lambda request: (
        Response("there", media_type="text/plain")
        if "/v1/" in request.url.path
        else RedirectResponse("/data/v1/download/1/a")
    )
    here = await app.client.get("/data/download/1")
    upstream.answer = lambda request: RedirectResponse(str(request.url))
    for_ever = await app.client.get("/data/download/1")

    assert elsewhere.status_code == 404
    assert "location" not in elsewhere.headers
    assert (here.status_code, here.text) == (200, "there")
    assert for_ever.status_code == 404


async def test_loop_when_request_comes_round_then_ended(app: Running, upstream: Upstream) -> None:
    await app.client.get("/api/v1/data/1")
    via = upstream.last.headers["via"]
    answer = await app.client.get("/api/v1/data/1", headers={"Via": f"1.0 other, {via}"})

    assert (answer.status_code, len(upstream.requests)) == (404, 1)


async def test_croissant_when_there_then_json_and_else_404_as_json(app: Running, upstream: Upstream) -> None:
    upstream.answer = lambda _request: JSONResponse({"@type": "sc:Dataset"}, media_type="application/ld+json")
    good = await app.client.get("/croissant/dataset/61")
    assert (good.json(), good.headers["content-type"]) == ({"@type": "sc:Dataset"}, "application/ld+json")
    answers: list[Callable[[Request], Response]] = [
        lambda _request: Response("<!doctype html>", media_type="text/html"),
        lambda _request: Response("no", 404),
        lambda _request: JSONResponse({}, 412),
    ]
    for bad in answers:
        upstream.answer = bad
        answer = await app.client.get("/croissant/dataset/61")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_upstream_when_it_fails_then_503(app: Running, upstream: Upstream) -> None:
    upstream.answer = lambda _request: Response("Traceback: secret", 500)
    for path in ("/api/v1/data/1", "/data/v1/download/1", "/croissant/dataset/1"):
        answer = await app.client.get(path)
        assert (answer.status_code, answer.json()["title"]) == (503, "OpenML cannot be reached at the moment")
        assert "secret" not in answer.text


async def test_upstream_when_away_then_503_and_the_page_in_the_frame(site_settings: Settings) -> None:
    async with serving(Upstream().app) as gone:
        pass
    changes = {"openml_server": gone, "dashboard_server": gone, **SWITCHED_ON}
    async with running(site_settings.model_copy(update=changes)) as site:
        assert (await site.client.get("/api/v1/data/1")).status_code == 503
        framed = await site.client.get("/dashboard/data/1")
        assert (framed.status_code, "cannot be shown" in framed.text) == (503, True)


async def test_answer_when_it_breaks_off_then_the_connection_breaks_too(
    app: Running, upstream: Upstream
) -> None:
    async def half() -> AsyncIterator[bytes]:
        yield b"@RELATION"
        raise ConnectionError

    upstream.answer = lambda _request: StreamingResponse(half(), media_type="text/plain")
    async with (
        serving(app_over_sockets(app)) as url,
        httpx.AsyncClient(timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES) as client,
    ):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"{url}data/v1/download/1")


def app_over_sockets(app: Running) -> Any:
    return app.client._transport.app  # type: ignore[attr-defined]  # the application with its state


async def test_download_when_reader_goes_away_then_upstream_is_left(app: Running, upstream: Upstream) -> None:
    left = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
                await asyncio.sleep(0)
        finally:
            left.set()

    upstream.answer = lambda _request: StreamingResponse(endless(), media_type="text/plain")
    async with (
        serving(app_over_sockets(app)) as url,
        httpx.AsyncClient(timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES) as client,
    ):
        async with client.stream("GET", f"{url}data/v1/download/1") as answer:
            await anext(answer.aiter_raw())
        await asyncio.wait_for(left.wait(), timeout=5)


async def test_dashboard_when_set_then_pages_and_their_one_post_go_through(
    app: Running, upstream: Upstream
) -> None:
    upstream.answer = lambda request: Response(
        f"<html>{request.url}</html>",
        headers={
            "X-Frame-Options": "DENY",
            "Cache-Control": "max-age=5",
            "Content-Type": "text/html",
            "Set-Cookie": "a=b",
        },
    )
    page = await app.client.get("/dashboard/data/61?a=%22b%22&c")
    await app.client.get("/dashboard/_dash-component-suites/dash/deps/polyfill@7.v2_14_2m1.min.js")
    component = upstream.last.url.path
    update = await app.client.post(
        "/dashboard/_dash-update-component",
        json={"output": "x"},
        headers={"Authorization": "Bearer x", "Cookie": "a=b"},
    )

    assert page.headers["content-type"] == "text/html"
    assert page.headers["cache-control"] == "max-age=5"
    assert page.headers["content-security-policy"] == "frame-ancestors 'self'"
    assert not {"x-frame-options", "set-cookie"} & set(page.headers)
    assert "/dashboard/data/61?a=%22b%22&amp;c" in page.text or "/dashboard/data/61?a=%22b%22&c" in page.text
    assert component.endswith("polyfill@7.v2_14_2m1.min.js")
    assert update.status_code == 200
    assert upstream.last.method == "POST"
    assert await upstream.last.json() == {"output": "x"}
    assert not {"authorization", "cookie"} & set(upstream.last.headers)
    assert (await app.client.post("/dashboard/other")).status_code == 405


async def test_dashboard_when_not_set_then_an_honest_page_that_may_be_framed(site: Running) -> None:
    for path in (
        "/dashboard",
        "/dashboard/",
        "/dashboard/data",
        "/dashboard/data/x",
        "/dashboard/task",
        "/dashboard/task/0",
        "/dashboard/task_type/1",
        "/dashboard/_dash-layout",
    ):
        answer = await site.client.get(path)
        assert (answer.status_code, "no charts" in answer.text) == (404, True)
        assert answer.headers["content-type"].startswith("text/html")
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
        assert "x-frame-options" not in answer.headers
    results = await site.client.get("/dashboard/task/1")
    assert (results.status_code, "cannot be reached" in results.text) == (503, True)
    charts = await site.client.get("/dashboard/data/61")
    assert (charts.status_code, 'data-id="61"' in charts.text) == (200, True)
    assert "frame-ancestors 'self'" in charts.headers["content-security-policy"]
    assert (await site.client.post("/dashboard/_dash-update-component", json={})).status_code == 404


async def test_bindings_when_switched_off_then_404(site: Running) -> None:
    for path in ("/api/v1/data/1", "/data/v1/download/1", "/croissant/dataset/1"):
        answer = await site.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_sandbox_when_it_is_the_server_then_its_reads_come_through(
    site_settings: Settings, sandbox_url: str
) -> None:
    changes = {"openml_server": sandbox_url, **SWITCHED_ON}
    async with running(site_settings.model_copy(update=changes)) as site:
        answer = await site.client.get("/api/v1/xml/data/999999")
        assert answer.status_code == 412
        assert "<oml:code>111</oml:code>" in answer.text
        assert (await site.client.get("/croissant/dataset/1")).status_code == 404
