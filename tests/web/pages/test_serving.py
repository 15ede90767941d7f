import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import brotli
import pytest

from app.core.settings import Settings
from app.web.serving import PAGES, accepted_encodings
from tests.conftest import Running, running
from tests.web.pages.conftest import BUILD

MAIN = "/static/js/main.4f8a21c7.js"
CHUNK = "/static/js/214.9c3e5b70.chunk.js"
PAGE = (BUILD / "index.html").read_bytes()
PLAIN = {"Accept-Encoding": "identity"}


async def test_page_when_address_is_the_frontends_then_index_html(site: Running) -> None:
    for path in sorted(PAGES):
        for address in {path, f"{path.rstrip('/')}/", f"{path}?token=abc&x=/d/5"}:
            answer = await site.client.get(address)
            assert answer.status_code == 200, address
            assert answer.content == PAGE
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert answer.headers["cache-control"] == "no-cache"
            assert answer.headers["x-content-type-options"] == "nosniff"


OTHER_PATHS = [
    "/nowhere",
    "/login",
    "/signup",
    "/logout",
    "/upload-task",
    "/data-upload",
    "/a/b/c.html",
    "/d/",
    "/deep/er/",
    "/%00",
]


async def test_page_when_nothing_else_is_there_then_index_html(site: Running) -> None:
    for path in OTHER_PATHS:
        answer = await site.client.get(path)
        head = await site.client.head(path)

        assert (answer.status_code, answer.content) == (200, PAGE)
        assert (head.status_code, head.content) == (200, b"")
        assert {**head.headers} == {**answer.headers, "x-request-id": head.headers["x-request-id"]}


async def test_routes_when_there_is_a_build_then_still_there(site: Running) -> None:
    assert (await site.client.get("/verifytoken")).status_code == 401
    assert (await site.client.get("/health/live")).json() == {"status": "ok"}
    assert (await site.client.get("/docs")).headers["content-type"].startswith("text/html")
    assert (await site.client.post("/login", json={"email": "a", "password": "b"})).json() == {
        "msg": "Wrong username or password"
    }
    assert (await site.client.put("/login")).status_code == 405
    assert (await site.client.post("/nowhere")).status_code == 405


async def test_head_when_route_knows_get_only_then_answered_as_that(site: Running) -> None:
    head = await site.client.head("/health/live")
    refused = await site.client.head("/verifytoken")

    assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", "application/json")
    assert refused.status_code == 401


STATIC_FILE_PATHS = [
    "/static/js/gone.12345678.js",
    "/static/",
    "/static/js",
    f"{MAIN}.map",
    "/static/%2e%2e/index.html",
]


async def test_static_file_when_missing_then_404_and_no_page(site: Running) -> None:
    for path in STATIC_FILE_PATHS:
        for method in ("GET", "HEAD"):
            answer = await site.client.request(method, path)
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["cache-control"] == "no-store"


async def test_files_when_asked_for_then_types_do_not_depend_on_the_machine(site: Running) -> None:
    expected = {
        MAIN: "text/javascript; charset=utf-8",
        "/static/css/main.6e02d4f1.css": "text/css; charset=utf-8",
        "/static/media/stand-in.0d9a1c2b3e4f5a6b7c8d.woff2": "font/woff2",
        "/static/media/logo.77aa10ff3c2d4e5f6071.png": "image/png",
        "/cover-1.webp": "image/webp",
        "/favicon.ico": "image/x-icon",
        "/manifest.json": "application/json",
        "/openml-api.json": "application/json",
        "/logo-openml.svg": "image/svg+xml",
        "/robots.txt": "text/plain; charset=utf-8",
    }
    for path, media_type in expected.items():
        answer = await site.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type), path


async def test_encoding_when_accepted_then_packed_and_the_same_bytes(site: Running) -> None:
    plain = await site.client.get(MAIN, headers=PLAIN)
    unpack = {"br": brotli.decompress, "gzip": gzip.decompress}
    tags = {plain.headers["etag"]}
    for asked, given in [
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("br;q=0, *", "gzip"),
        ("zstd", ""),
        ("gzip;q=0.0", ""),
    ]:
        async with site.client.stream("GET", MAIN, headers={"Accept-Encoding": asked}) as answer:
            raw = b"".join([chunk async for chunk in answer.aiter_raw()])
        assert answer.headers.get("content-encoding", "") == given, asked
        assert int(answer.headers["content-length"]) == len(raw)
        assert unpack.get(given, bytes)(raw) == plain.content
        assert answer.headers["vary"] == "accept-encoding"
        tags.add(answer.headers["etag"])
    assert len(tags) == 3
    assert "vary" not in (await site.client.get("/favicon.ico")).headers


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", ""), ("*", "br gzip"), ("*;q=0", ""), ("GZIP", "gzip"), ("gzip ; q=0", ""), ("gzip;q=0.001", "gzip"),
        ("identity, *;q=0", ""), ("br;q=x", "br"), ("gzip,br;q=0", "gzip"), (";;;,,,=", ""),
    ],
)  # fmt: skip
def test_accept_encoding_when_odd_then_read_as_the_rfc_says(header: str, accepted: str) -> None:
    assert accepted_encodings(header) == frozenset(accepted.split())


async def test_conditional_when_tag_is_known_then_304(site: Running) -> None:
    for path in ("/", "/search", MAIN, "/favicon.ico"):
        first = await site.client.get(path)
        tag = first.headers["etag"]
        for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            again = await site.client.get(path, headers={"If-None-Match": known})
            assert (again.status_code, again.content) == (304, b""), known
            assert again.headers["etag"] == tag
            assert again.headers["cache-control"] == first.headers["cache-control"]
        assert (await site.client.get(path, headers={"If-None-Match": '"other"'})).status_code == 200
    packed = (await site.client.get(MAIN, headers={"Accept-Encoding": "br"})).headers["etag"]
    crossed = await site.client.get(MAIN, headers={**PLAIN, "If-None-Match": packed})
    assert crossed.status_code == 200


async def test_range_when_asked_for_then_part_of_the_plain_file(site: Running) -> None:
    whole = (await site.client.get(MAIN, headers=PLAIN)).content
    total = len(whole)
    parts = {
        "bytes=0-0": whole[:1],
        "bytes=10-19": whole[10:20],
        f"bytes={total - 5}-": whole[-5:],
        "bytes=-7": whole[-7:],
        f"bytes=-{total * 2}": whole,
        f"bytes=5-{total * 2}": whole[5:],
    }
    for header, part in parts.items():
        answer = await site.client.get(MAIN, headers={"Range": header, "Accept-Encoding": "br"})
        assert (answer.status_code, answer.content) == (206, part), header
        begin = whole.index(part)
        assert answer.headers["content-range"] == f"bytes {begin}-{begin + len(part) - 1}/{total}"
        assert "content-encoding" not in answer.headers
    for header in (f"bytes={total}-", "bytes=-0", f"bytes={total + 5}-{total + 9}"):
        refused = await site.client.get(MAIN, headers={"Range": header})
        assert (refused.status_code, refused.content) == (416, b"")
        assert refused.headers["content-range"] == f"bytes */{total}"
    for header in (
        "bytes=5-2",
        "bytes=0-1,3-4",
        "lines=1-2",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=0-" + "9" * 40,
    ):
        assert (await site.client.get(MAIN, headers={**PLAIN, "Range": header})).content == whole, header


async def test_range_when_file_has_changed_then_whole(site: Running) -> None:
    tag = (await site.client.get(MAIN, headers=PLAIN)).headers["etag"]

    same = await site.client.get(MAIN, headers={"Range": "bytes=0-3", "If-Range": tag})
    other = await site.client.get(MAIN, headers={**PLAIN, "Range": "bytes=0-3", "If-Range": '"old"'})
    weak = await site.client.get(MAIN, headers={**PLAIN, "Range": "bytes=0-3", "If-Range": f"W/{tag}"})

    assert [answer.status_code for answer in (same, other, weak)] == [206, 200, 200]


async def test_policy_when_page_is_served_then_only_its_own_scripts_may_run(site_settings: Settings) -> None:
    changes = {"react_app_url_elasticsearch": "http://es.example:9200/"}
    async with running(site_settings.model_copy(update=changes)) as site:
        policy = (await site.client.get("/auth/sign-in")).headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "script-src" not in policy
    assert re.search(r"connect-src 'self' https: [^;]*http://es\.example:9200;", policy)
    for value, expected in {
        "default-src 'self'": "default-src 'self'",
        "off": "frame-ancestors 'self'",
    }.items():
        async with running(site_settings.model_copy(update={"spa_content_policy": value})) as site:
            for path in ("/", "/nowhere"):
                assert (await site.client.get(path)).headers["content-security-policy"] == expected


SHORT_LINKS = {
    "/d/61": "/search?type=data&sort=runs&id=61",
    "/d/61/": "/search?type=data&sort=runs&id=61",
    "/t/59": "/search?type=task&sort=runs&id=59",
    "/f/7": "/search?type=flow&sort=runs&id=7",
    "/r/10": "/search?type=run&sort=date&id=10",
    "/s/99": "/search?type=study&study_type=run&id=99",
    "/u/1": "/search?type=user&sort=date&id=1",
    "/b/271": "/search?type=benchmark&study_type=task&id=271",
}


async def test_short_links_when_followed_then_own_origin_whatever_the_request_says(site: Running) -> None:
    for path, target in SHORT_LINKS.items():
        for headers in ({}, {"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}):
            answer = await site.client.get(path, headers=headers)
            assert (answer.status_code, answer.headers["location"]) == (302, target)
        assert (await site.client.head(f"{path}?x=1")).headers["location"] == target


async def test_short_links_when_redirect_url_is_set_then_there(site_settings: Settings) -> None:
    settings = site_settings.model_copy(update={"redirect_url": "https://www.openml.org"})
    async with running(settings) as site:
        for path, target in SHORT_LINKS.items():
            location = (await site.client.get(path)).headers["location"]
            assert location == f"https://www.openml.org{target}"


SHORT_LINK_PATHS = [
    "/d/x",
    "/d/61x",
    "/d/",
    "/d/61/62",
    "/search?x=/d/5",
    "/x/d/5",
    "/d/٦١",
    "/d/-1",
    "/d/" + "1" * 30,
    "/D/1",
]


async def test_short_link_when_it_is_none_then_page(site: Running) -> None:
    for path in SHORT_LINK_PATHS:
        answer = await site.client.get(path)

        assert (answer.status_code, answer.content) == (200, PAGE)


async def test_site_when_there_is_no_build_then_our_own_pages_and_404(site_settings: Settings) -> None:
    async with running(site_settings.model_copy(update={"spa_dir": ""})) as site:
        start = await site.client.get("/")
        assert (start.status_code, start.content == PAGE) == (200, False)
        assert (await site.client.get("/nowhere")).status_code == 404
        openml = site.resources.settings.openml_url
        assert (await site.client.get("/d/61/")).headers["location"] == f"{openml}d/61"
        assert (await site.client.get("/search?q=a&id=1")).headers["location"] == f"{openml}search?q=a&id=1"


@pytest.mark.long
def test_start_when_build_is_broken_then_one_sentence(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DATA_DIR": str(tmp_path / "var"),
        "SPA_DIR": str(tmp_path),
        "PORT": "0",
        "SANDBOX_PORT": "0",
    }
    started = subprocess.run(
        [sys.executable, "-m", "app.cli", "dev"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert started.returncode != 0
    assert f"SPA_DIR: {tmp_path} holds no index.html" in started.stdout + started.stderr
    assert "Traceback" not in started.stdout + started.stderr


async def test_settings_when_they_are_the_frontends_own_env_then_taken_as_unset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REACT_APP_URL_SITE_BACKEND", "<REACT_APP_URL_SITE_BACKEND>")
    monkeypatch.setenv("REACT_APP_URL_API", "<REACT_APP_URL_API>")
    monkeypatch.setenv("REACT_APP_URL_ELASTICSEARCH", "https://es.example/es")

    values = Settings(_env_file=None).build_values

    assert values["REACT_APP_URL_SITE_BACKEND"] == "/"
    assert values["REACT_APP_URL_API"] == "/"
    assert values["REACT_APP_URL_ELASTICSEARCH"] == "https://es.example/es/"
    assert (
        Settings(_env_file=None, pass_on="croissant,files", openml_server="https://o.example").build_values[
            "REACT_APP_URL_API"
        ]
        == "https://o.example/"
    )
