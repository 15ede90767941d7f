"""Whatever comes, nothing breaks and nothing leaks: seeded, bounded, over ASGI and over real sockets."""

import asyncio
import random
import shutil
import string
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.responses import Response

from app.core.settings import Settings
from tests.conftest import LONG, MakePerson, Person, Running, running
from tests.servers import serving
from tests.web.pages.conftest import BUILD
from tests.web.pages.test_reverse_proxy import SWITCHED_ON, Upstream
from tests.web.search.elastic import SearchServer

SEED = 20261121
REQUESTS = 10_000 if LONG else 4000
ON_SOCKETS = 400
CANARY = b"this-lies-outside-of-the-build"
WORDS = [
    *("static", "js", "main.4f8a21c7.js", "css", "media", "index.html", "favicon.ico", "robots.txt",
      "asset-manifest.json"),
    *("d", "t", "f", "r", "s", "u", "b", "61", "1", "0", "-1", "99999999999999999999",
      "\N{ARABIC-INDIC DIGIT ONE}"),
    *("es", "_all", "_search", "data", "user", "study", "_doc", "_cat", "_cluster", "api", "v1", "json",
      "download"),
    *("croissant", "dataset", "dashboard", "_dash-update-component", "_dash-layout", "auth", "sign-in",
      "search", "feedback"),
    *("login", "profile", "api-key", "verifytoken", "logout", "docs", "openapi.json", "assets", "site.css",
      "health", "live"),
    *("..", ".", "...", "%2e%2e", "%2E.", "..%2f..", "%252e%252e", "..\\..", "..;", "%00",
      "%0d%0aSet-Cookie:a=b", "%ff%fe"),
    *("%c0%ae%c0%ae", "%e2%80%a8", "%u002e", "%", "%2", "%zz", "outside.txt", "etc", "passwd", "proc",
      "self", "environ", ".env"),
    *("evil.example", "http:", "@evil.example", "%2f%2fevil.example", "\\evil.example", "~", "C:", "con",
      "a" * 300, "'", '"><script>'),
]  # fmt: skip
KNOWN = [
    *("/", "/search?type=data&id=61", "/auth/confirm-page/?token=x", "/feedback",
      "/static/js/main.4f8a21c7.js", "/favicon.ico"),
    *("/d/61", "/t/1", "/f/1/", "/r/1", "/s/1", "/u/1", "/b/1?x=/d/5", "/es/data/data/61",
      "/es/data/_doc/1", "/es/data/_search"),
    *("/es/_all/_search", "/api/v1/json/data/61", "/data/v1/download/61/a.arff", "/croissant/dataset/61",
      "/dashboard/data/61"),
    *("/profile", "/api-key", "/verifytoken", "/docs", "/openapi.json", "/assets/site.css",
      "/health/ready", "/linked.txt"),
]  # fmt: skip
HEADERS: dict[str, list[str]] = {
    "host": ["testserver", "", "evil.example", "evil.example:99999", "a b", "[::1", "testserver\t",
          "x" * 300, "@", "127.0.0.1:0"],
    "range": ["bytes=0-", "bytes=-1", "bytes=0-0", "bytes=5-1", "bytes=-0", "bytes=0-1,2-3",
          "bytes=999999999-", "bytes=--1",
              "bytes=" + "9" * 400 + "-", "bytes 0-1", "items=0-1", "bytes=0-\u0661", "bytes=\xb2-", ",",
              "bytes=0x1-2", "bytes=1e3-"],
    "accept-encoding": ["gzip", "br", "*", "identity;q=0", "br;q=1.5", "gzip;q=-1", "gzip;;q=0", ",,,",
          "\xff", "zstd, br;q=0", "x" * 5000],
    "if-none-match": ["*", '"', 'W/"x"', '"x', ",", "W/", "\xff"],
    "if-range": ['"x"', "Sat, 21 Nov 2026 00:00:00 GMT", "*", "\xff"],
    "if-modified-since": ["yesterday", "Sat, 21 Nov 2099 00:00:00 GMT"],
    "content-length": ["0", "-1", "999999999999", "abc", "1e3", "\u0662", "5"],
    "content-type": ["application/json", "multipart/form-data", "multipart/form-data; boundary=",
          "text/plain; charset=x", "\xff"],
    "authorization": ["Bearer", "Bearer null", "Basic x", "Bearer a.b.c", "\xff", "Bearer " + "a" * 5000],
    "origin": ["http://localhost:3000", "null", "http://evil.example", "\xff"],
    "via": ["1.1 openml-web", "1.1 x"],
    "x-forwarded-host": ["evil.example"],
    "x-forwarded-proto": ["javascript"],
    "accept": ["text/html", "*/*", "\xff"],
    "expect": ["100-continue", "200-ok"],
    "cookie": ["a=b", "\xff"],
}  # fmt: skip
BODIES = [b"", b"{}", b"[]", b"null", b"{", b"\xff",
b'{"size": 0}', b'{"query": {"term": {"visibility": "private"}}}', b"[" * 5000,
          b'{"email": 1, "password": []}', b"--x\r\n\r\n",
          b"grant_type=password&username=&password="]  # fmt: skip


@dataclass
class Asked:
    """One request, as the server's parser would hand it over."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def scope(self) -> dict[str, Any]:
        raw_path, _, query = self.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": unquote(raw_path.decode("ascii")),
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": self.headers,
            "client": ("127.0.0.1", 12345),
            "server": ("127.0.0.1", 80),
        }


@dataclass
class Answered:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False


def make_request(dice: random.Random, token: str) -> Asked:
    separators = ["/"] * 12 + ["//", "/./", "\\", "%2f", "%5c", ";", "?", "#"]
    steps = [dice.choice(WORDS) for _ in range(dice.choice([1, 1, 2, 2, 3, 3, 4, 6, 12]))]
    path = dice.choice(["/", "/", "/", "/", "//", "/\\", "", "http://evil.example/"])
    path += "".join(step + dice.choice(separators) for step in steps)
    if dice.random() < 0.5:
        path = path.rstrip("/")
    if dice.random() < 0.4:
        path = dice.choice(KNOWN)
    if dice.random() < 0.3:
        at = dice.randrange(len(path) + 1)
        path = path[:at] + "".join(dice.choices(string.printable, k=3)) + path[at:]
    if dice.random() < 0.3:
        path += "?" + "".join(dice.choices(string.printable + "\xff", k=dice.choice([0, 3, 30])))
    # What the server's parser lets through: visible ASCII, and a path that begins with a slash.
    target = "".join(
        character if " " < character < "\x7f" else f"%{ord(character) & 255:02x}" for character in path
    )
    target = target if target.startswith("/") else f"/{target}"
    chosen = [(name, dice.choice(HEADERS[name])) for name in HEADERS if dice.random() < 0.15]
    if dice.random() < 0.2:
        chosen.append(("authorization", f"Bearer {token}"))
    methods = (
        ["GET"] * 12 + ["HEAD"] * 3 + ["POST"] * 4 + ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO"]
    )
    return Asked(
        dice.choice(methods),
        target.encode("ascii"),
        [(name.encode(), value.encode("latin-1", errors="replace")) for name, value in chosen],
        dice.choice(BODIES),
    )


async def ask(app: Any, asked: Asked) -> Answered:
    answered = Answered()
    pending = [{"type": "http.request", "body": asked.body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if pending:
            return pending.pop()
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            assert not answered.status, "two answers"
            answered.status = message["status"]
            for name, value in message["headers"]:
                assert not set(b"\r\n\0") & set(value), (name, value)
                answered.headers[name.decode()] = value.decode("latin-1")
        else:
            assert answered.status
            assert not answered.ended, "more after the end"
            answered.body += message.get("body", b"")
            answered.ended = not message.get("more_body", False)

    await app(asked.scope, receive, send)
    return answered


@pytest.fixture
def guarded_build(tmp_path: Path) -> Path:
    """A build with something beside it, and links that lead there."""
    build = tmp_path / "served" / "build"
    shutil.copytree(BUILD, build)
    (build.parent / "outside.txt").write_bytes(CANARY)
    (tmp_path / "outside.txt").write_bytes(CANARY)
    (build / "linked.txt").symlink_to(build.parent / "outside.txt")
    (build / "static" / "outside").symlink_to(tmp_path)
    (build / ".env").write_bytes(CANARY)
    return build


@pytest.fixture
async def app(site_settings: Settings, guarded_build: Path) -> AsyncIterator[Running]:
    """The site with everything switched on; what stands behind it answers as badly as it can."""
    hostile = Upstream()
    headers = {"Set-Cookie": "evil=1", "Location": "https://evil.example/", "Content-Type": "text/html"}
    hostile.answer = lambda request: Response(
        "<script>alert(1)</script>", 302 if request.url.path.endswith("1") else 200, headers=headers
    )
    searches = SearchServer(8)
    searches.put("data", "61", name="iris", visibility="public")
    searches.put("data", "1", name=CANARY.decode(), visibility="private")
    async with serving(hostile.app) as url, serving(searches.app) as search_url:
        changes = {
            "openml_server": url,
            "dashboard_server": "",
            "elasticsearch_server": search_url,
            "spa_dir": str(guarded_build),
            **SWITCHED_ON,
        }
        async with running(site_settings.model_copy(update=changes)) as found:
            yield found


@pytest.fixture
async def person(make_person: MakePerson) -> Person:
    return await make_person()


@pytest.mark.timeout(120)
@pytest.mark.long
async def test_site_when_anything_is_asked_then_it_neither_breaks_nor_leaks(
    app: Running, person: Person
) -> None:
    application = app.client._transport.app  # type: ignore[attr-defined]  # the application with its state
    dice = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    files = {
        f"/{path.relative_to(BUILD).as_posix()}": path.read_bytes()
        for path in BUILD.rglob("*")
        if path.is_file()
    }
    statuses: dict[int, int] = {}
    for number in range(REQUESTS):
        asked = make_request(dice, person.token)
        answered = await asyncio.wait_for(ask(application, asked), timeout=20)
        statuses[answered.status] = statuses.get(answered.status, 0) + 1
        require_decent(asked, answered, person, f"request {number}: {asked}")
        path = asked.scope["path"]
        is_whole = answered.status == 200 and "content-encoding" not in answered.headers
        if is_whole and asked.method == "GET" and b"<REACT_APP" not in files.get(path, b"<REACT_APP"):
            assert answered.body == files[path]
    # The run has seen what it is about.
    assert {200, 206, 302, 304, 404, 405, 416} <= set(statuses), statuses


def require_decent(asked: Asked, answered: Answered, person: Person, what: str) -> None:
    assert answered.ended, what
    assert 200 <= answered.status < 500 or answered.status == 503, (what, answered)
    assert CANARY not in answered.body, what
    assert b"root:x:0" not in answered.body, what
    assert "set-cookie" not in answered.headers, what
    target = answered.headers.get("location", "/")
    assert target.startswith("/"), (what, target)
    assert not target.startswith(("//", "/\\")), (what, target)
    private = [person.email.encode(), person.api_key.encode()]
    if any(secret in answered.body for secret in private) or answered.status == 401:
        assert answered.headers.get("cache-control") in {"no-store", "private"}, (what, answered)
    if asked.method == "HEAD":
        return
    if "content-length" in answered.headers:
        assert int(answered.headers["content-length"]) == len(answered.body) or answered.status == 304, what
    if b"<script>alert" in answered.body:
        assert "sandbox" in answered.headers["content-security-policy"], what
        assert answered.headers["content-type"].startswith(("text/plain", "application/problem+json")), what


@pytest.mark.timeout(60)
async def test_site_when_anything_comes_over_a_socket_then_it_neither_breaks_nor_leaks(
    app: Running, person: Person
) -> None:
    dice = random.Random(SEED + 1)  # noqa: S311 - repeatable, not secret
    application = app.client._transport.app  # type: ignore[attr-defined]  # the application with its state
    seen: set[str] = set()
    async with serving(application) as url:
        port = int(url.rstrip("/").rpartition(":")[2])
        for number in range(ON_SOCKETS):
            sent = make_bytes(dice, person.token)
            answer = await exchange(port, sent)
            line = answer.partition(b"\r\n")[0]
            seen.add(line.decode("latin-1"))
            what = (number, sent[:300], answer[:300])
            assert not line or line.startswith(b"HTTP/1.1 "), what
            assert b" 500 " not in line, what
            assert CANARY not in answer, what
            assert b"\r\nset-cookie:" not in answer.lower(), what
            assert b"location: http" not in answer.lower(), what
        alive = await exchange(port, b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert alive.startswith(b"HTTP/1.1 200 OK")
    assert {"HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found", "HTTP/1.1 400 Bad Request"} <= seen


def make_bytes(dice: random.Random, token: str) -> bytes:
    asked = make_request(dice, token)
    target = (
        asked.target
        if dice.random() < 0.7
        else asked.target.decode("ascii").encode() + bytes(dice.choices(range(256), k=4))
    )
    headers = [
        (name, value) for name, value in asked.headers if name not in {b"content-length", b"expect", b"host"}
    ]
    lines = [
        b" ".join(
            [asked.method.encode(), target, dice.choice([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/9.9"])]
        )
    ]
    lines += [b"Host: " + dice.choice(HEADERS["host"]).encode()] if dice.random() < 0.9 else []
    lines += [name + b": " + value for name, value in headers]
    lines += [b"Content-Length: %d" % len(asked.body), b"Connection: close", b"", b""]
    return dice.choice([b"\r\n", b"\r\n", b"\r\n", b"\n"]).join(lines) + asked.body


async def exchange(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        writer.write_eof()
        return await asyncio.wait_for(reader.read(-1), timeout=10)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def test_requests_when_made_again_then_the_same() -> None:
    first, second = (random.Random(SEED) for _ in range(2))  # noqa: S311 - repeatable, not secret
    assert [make_request(first, "t") for _ in range(50)] == [make_request(second, "t") for _ in range(50)]
