"""Twice what it takes, to every route of the API page: refused, whatever the headers say, and never held in memory."""

import asyncio
import select
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from app.accounts.routes_picture import PICTURE_BYTES
from app.core import middleware
from app.core.middleware import BODY_BYTES
from app.uploads.routes_form import FORM_BYTES
from tests.conftest import PATIENCE_SECONDS, Person, Running
from tests.service import Service
from tests.uploads.test_resources import begin

pytestmark = pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
FILE_BYTES = 100_000
TWICE = 64 << 20
"""Far more than twice what any route takes here: a body that is read to its end shows."""
MOST_SENT = TWICE // 2
"""What may have left the client when it is answered: a route's limit, and what the sockets hold."""
PIECE = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
GROWTH_BYTES = 48 << 20
"""What the process may grow by: the pieces on their way, and what everything else costs."""
JSON = "Content-Type: application/json\r\n"
TUS = "Tus-Resumable: 1.0.0\r\n"
SPECIAL = {
    "none": JSON,
    "a form": "Content-Type: multipart/form-data; boundary=x\r\n",
    "tus": TUS + JSON,
    "tus, bytes": f"{TUS}Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\n",
    "tus, begun": f"{TUS}Upload-Length: 10\r\nUpload-Metadata: filename YS5jc3Y=\r\n",
    "the draft": "Upload-Draft-Interop-Version: 8\r\nUpload-Complete: ?0\r\n" + JSON,
    "the draft, bytes": "Upload-Draft-Interop-Version: 8\r\nUpload-Offset: 0\r\nUpload-Complete: ?0\r\n"
    "Content-Type: application/partial-upload\r\n",
    "another method": f"X-HTTP-Method-Override: PATCH\r\n{TUS}Upload-Offset: 0\r\n"
    "Content-Type: application/offset+octet-stream\r\n",
    "a deletion": "X-HTTP-Method-Override: DELETE\r\n" + TUS,
    "packed": "Content-Encoding: gzip\r\n" + JSON,
    "expecting": "Expect: 100-continue\r\n" + JSON,
    "concatenated": f"{TUS}Upload-Concat: partial\r\n" + JSON,
}


def operations(openapi: Mapping[str, Any], upload: str) -> Iterator[tuple[str, str]]:
    for path, methods in openapi["paths"].items():
        address = path.replace("{upload_id}", upload).replace("{", "").replace("}", "")
        for method in methods:
            yield method.upper(), address
    # Left out of the page, and a way to write to uploads all the same.
    yield "POST", f"/uploads/{upload}"
    yield "POST", "/es/_all/_search"
    yield "POST", "/dashboard/_dash-update-component"


def head(method: str, path: str, authorization: str, headers: str, framing: str) -> bytes:
    return (
        f"{method} {path}?url=%3Fid%3D1 HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n"
        f"{headers}{framing}\r\n\r\n"
    ).encode()


def answer_to(service: Service, begin: bytes, *, chunked: bool, most: int = TWICE) -> tuple[bytes, int]:
    """Send a body until there is an answer, or for `most` bytes; return the answer, and how many bytes went."""
    sent = 0
    with socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(begin)
        with suppress(ConnectionError):
            while sent < most and not select.select([connection], [], [], 0 if chunked else 0.5)[0]:
                connection.sendall(PIECE if chunked else PIECE[7:-2])
                sent += 0x10000
            if chunked and sent >= most:
                connection.sendall(b"0\r\n\r\n")
        with suppress(ConnectionError):
            return connection.recv(65_536), sent
    return b"", sent


def peak_bytes(service: Service) -> int:
    lines = Path(f"/proc/{service.started[0].pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.timeout(600)
@pytest.mark.long
def test_routes_when_sent_twice_what_they_take_then_refused_and_memory_is_flat(service: Service) -> None:
    service.start(
        UPLOAD_MAX_BYTES=str(FILE_BYTES),
        RATE_LIMITS="change-account=100000/1 hour,feedback-address=100000/1 hour",
    )
    person = service.sign_up_and_log_in()
    begun = service.ask("POST", "/uploads", json={"file_name": "a.csv", "size": 90_000}, headers=person)
    upload = begun.json()["id"]
    openapi = service.ask("GET", "/openapi.json").json()
    assert 2 * (FORM_BYTES + max(FILE_BYTES, PICTURE_BYTES) + BODY_BYTES) < TWICE
    before, wrong = peak_bytes(service), []
    for method, path in operations(openapi, upload):
        for kind, headers in SPECIAL.items():
            for framing in (f"Content-Length: {TWICE}", "Transfer-Encoding: chunked"):
                chunked = framing.startswith("Transfer")
                if chunked and kind == "expecting":
                    continue
                answer, sent = answer_to(
                    service, head(method, path, person["Authorization"], headers, framing), chunked=chunked
                )
                status = answer[9:12].decode()
                if not status.startswith("4") or sent > (MOST_SENT if chunked else 0):
                    wrong.append((method, path, kind, framing, status, sent))
    grown = peak_bytes(service) - before

    assert not wrong, wrong[:10]
    assert grown < GROWTH_BYTES
    assert service.ask("GET", "/profile", headers=person).status_code == 200, "nothing was done meanwhile"
    story = service.ask("GET", f"/uploads/{upload}", headers=person).json()
    # More bytes than were announced end an upload (the IETF's draft), and that is all they do.
    assert story["state"] in {"receiving", "failed"}, story["events"]


@pytest.mark.parametrize(
    "kind",
    ["tus", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("none", "the draft", "a deletion"))],
)
@pytest.mark.long
async def test_routes_when_a_body_drips_then_each_gives_it_up_whatever_the_headers_say(
    app: Running, person: Person, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(middleware, "BODY_SECONDS", 0.2)
    upload = (await begin(app, person)).rpartition("/")[2]
    openapi = (await app.client.get("/openapi.json")).json()
    special = dict(line.split(": ", 1) for line in SPECIAL[kind].split("\r\n") if line)
    wrong = []

    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.02)

    for method, path in operations(openapi, upload):
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await app.client.request(
                method, path, content=drip(), headers={**person.headers, **special}, params={"url": "?id=1"}
            )
        if not answer.is_client_error:
            wrong.append((method, path, answer.status_code))
        elif answer.status_code == HTTPStatus.REQUEST_TIMEOUT:
            assert answer.headers["connection"] == "close"

    assert not wrong


def metadata_first(size: int, metadata: bytes, token: str, headers: str = "") -> bytes:
    form = b'--x\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n' + metadata + b"\r\n"
    form += b'--x\r\nContent-Disposition: form-data; name="dataset"; filename="a.csv"\r\n\r\na,b\n'
    lines = (
        f"POST /data-upload HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n{headers}"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {size}\r\n\r\n"
    )
    return lines.encode() + form


def test_form_when_bad_metadata_comes_first_then_answered_before_the_file(service: Service) -> None:
    service.start()
    person = service.sign_up_and_log_in()
    for metadata in (b"{", b'{"dataset_name": "a b"}', b"[]", b'{"description": 1}', b"{}"):
        begin = metadata_first(50_000_000, metadata, person["Authorization"])
        answer, _ = answer_to(service, begin, chunked=False, most=0)

        assert answer.startswith((b"HTTP/1.1 422", b"HTTP/1.1 400")), (metadata, answer[:200])
    found = service.ask("GET", "/uploads", headers=person).json()["uploads"]
    assert not found, "no place and no room was taken"


def test_form_when_refused_before_its_first_byte_then_nobody_is_told_to_go_on(service: Service) -> None:
    service.start()
    token = service.sign_up_and_log_in()["Authorization"]
    form = "multipart/form-data; boundary=x"
    for authorization, size, kind, status in (
        ("Bearer x", 1000, form, b"401"),
        (token, 1 << 50, form, b"413"),
        (token, 1000, "text/plain", b"400"),
    ):
        begin = (
            f"POST /data-upload HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nContent-Type: {kind}\r\n"
            f"Expect: 100-continue\r\nContent-Length: {size}\r\n\r\n"
        )
        answer, _ = answer_to(service, begin.encode(), chunked=False, most=0)

        assert answer.startswith(b"HTTP/1.1 " + status), "no 100 Continue in front"
        assert b"connection: close" in answer.lower(), "what comes next could be the body, or a request"


@pytest.mark.long
def test_uploads_when_asked_too_often_then_429_by_every_route(service: Service) -> None:
    service.start(RATE_LIMITS="uploads-account=3/1 hour")
    person = service.sign_up_and_log_in()
    begun = service.ask("POST", "/uploads", json={"file_name": "a.csv"}, headers=person).json()["id"]
    for _ in range(2):
        service.ask("GET", f"/uploads/{begun}", headers=person)
    openapi = service.ask("GET", "/openapi.json").json()
    statuses = {
        (method, path): service.ask(method, path, headers=person).status_code
        for method, path in operations(openapi, begun)
        if path.startswith("/uploads")
        and (method, path) not in {("OPTIONS", "/uploads"), ("POST", f"/uploads/{begun}")}
    }

    assert len(statuses) >= 9
    assert set(statuses.values()) == {429}, statuses
