"""What one connection may take, and how it ends: heads, trailers, queues, answers before the end of a body."""

import json
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import PATIENCE_SECONDS
from tests.service import Site, wait_for
from tests.wire.stream import connect, exchange, read_answers, request

LAST = b"GET /health/live HTTP/1.1\r\nHost: service\r\nConnection: close\r\n\r\n"
HIDDEN = b"GET /nowhere HTTP/1.1\r\nHost: service\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked"
ENDLESS = 64 << 20
"""Bytes that nobody would send who means a request."""
KEPT_BYTES = 24 << 20
"""More memory than a connection may ever take; less than what is sent."""


def _resident_bytes(site: Site) -> int:
    listening = f":{site.port:04X} 00000000:0000 0A "
    lines = [line for line in Path("/proc/net/tcp").read_text().splitlines() if listening in line]
    inode = f"socket:[{lines[0].split()[9]}]"
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()) == inode for link in (process / "fd").iterdir()):
                return int((process / "statm").read_text().split()[1]) * 4096
        except OSError:
            continue
    raise AssertionError("nobody listens")


@pytest.mark.parametrize(
    ("start", "piece", "status"),
    [
        (b"GET /", b"a" * 65536, 431),
        (b"GET / HTTP/1.1\r\nHost: service\r\nX-Any: ", b"a" * 65536, 431),
        (b"GET / HTTP/1.1\r\nHost: service\r\n", b"X-Any: a\r\n" * 6500, 431),
        (b"", b"\r\n" * 32768, 431),
        (request(CHUNKED), b"0" * 65536, 431),
        (request(CHUNKED) + b"1;", b"a" * 65536, 431),
        (request(CHUNKED) + b"1\r\n{\r\n0\r\n", b"X-Any: a\r\n" * 6500, 431),
        (request(CHUNKED) + b"1\r\n{\r\n0\r\nX-Any: ", b"a" * 65536, 431),
    ],
    ids=[
        "path",
        "one header",
        "headers",
        "empty lines",
        "size of a chunk",
        "extension",
        "trailers",
        "one trailer",
    ],
)
def test_head_when_it_has_no_end_then_refused_within_a_bound_and_memory_is_flat(
    site: Site, start: bytes, piece: bytes, status: int
) -> None:
    exchange(site.port, [LAST])
    before = _resident_bytes(site)
    sent = 0
    with connect(site.port) as connection:
        connection.sendall(start)
        try:
            while sent < ENDLESS:
                connection.sendall(piece)
                sent += len(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass

    assert sent < ENDLESS
    assert _resident_bytes(site) - before < KEPT_BYTES
    # In pieces that are read before more is sent, so that the answer is not lost with what is on its way.
    with connect(site.port) as connection:
        connection.sendall(start)
        received = b""
        connection.settimeout(0.02)
        while not received:
            try:
                connection.sendall(piece[: len(piece) // 8])
                received = connection.recv(65536)
            except TimeoutError:
                continue
    assert [answer.status for answer in read_answers(received)] == [status]


def test_head_when_it_has_thousands_of_headers_in_one_segment_then_refused(site: Site) -> None:
    (answer,) = exchange(site.port, [request(*["a:b"] * 5000, method="GET", target="/health/live") + LAST])

    assert (answer.status, answer.headers["connection"]) == (431, "close")


def test_head_when_as_large_as_any_client_sends_then_answered(site: Site) -> None:
    large = request("Cookie: " + "a" * 32_000, method="GET", target="/nowhere")

    assert [answer.status for answer in exchange(site.port, [large, LAST])] == [404, 200]


def test_trailers_when_they_name_a_key_then_nobody_is_signed_in_by_them(site: Site) -> None:
    body = b'{"username": "mallory"}'
    stream = request(CHUNKED, target="/profile") + b"%x\r\n%s\r\n0\r\n" % (len(body), body)
    for trailer in (
        f"X-API-Key: {site.api_key}\r\n",
        "Authorization: Bearer x\r\n",
        "Expect: 100-continue\r\n",
    ):
        answers = exchange(site.port, [stream + trailer.encode() + b"\r\n", LAST])

        assert [answer.status for answer in answers] == [401, 200]
        assert json.loads(answers[0].body)["detail"] == "Missing Authorization Header"


def test_requests_when_hundreds_wait_on_one_connection_then_not_all_are_taken(site: Site) -> None:
    answers = exchange(site.port, [HIDDEN * 500])

    assert 1 <= len(answers) <= 65
    assert {answer.status for answer in answers} == {404}


def test_answer_when_something_unreadable_follows_its_request_then_whole_and_then_the_end(site: Site) -> None:
    """Not cut in two by the refusal."""
    login = json.dumps({"email": "ada@example.org", "password": "not hers"}).encode()
    head = request(f"Content-Length: {len(login)}")

    answers = exchange(site.port, [head + login, b"nonsense\r\n\r\n" + HIDDEN])

    first, *others = [(answer.status, json.loads(answer.body)) for answer in answers]
    assert first == (200, {"msg": "Wrong username or password"})
    # What cannot be read is refused as well where it came only after that answer; what is hidden in it has none.
    assert [status for status, _ in others] in ([], [400])


@pytest.mark.parametrize("size", [2_000_000, 300_000_000])
def test_body_when_answered_before_its_end_then_the_rest_is_no_request(site: Site, size: int) -> None:
    head = request(f"Content-Length: {size}")
    if size < 10_000_000:
        rest = (HIDDEN * (size // len(HIDDEN) + 1))[:size]
        assert [answer.status for answer in exchange(site.port, [head, rest + LAST])] == [413, 200]
    with connect(site.port) as connection:
        connection.sendall(head + HIDDEN * 3)
        received = connection.recv(65536)
        connection.sendall(HIDDEN * 3)
        connection.settimeout(1)
        with suppress(TimeoutError):
            while piece := connection.recv(65536):
                received += piece
            pytest.fail("the connection ended")
    assert [answer.status for answer in read_answers(received)] == [413]


def test_body_when_refused_in_place_of_100_continue_then_the_connection_ends(site: Site) -> None:
    """The client may send the body or not, so whatever comes next cannot be read as one or the other."""
    head = request("Content-Length: 2000000", "Expect: 100-continue")

    for following in (b"", HIDDEN, HIDDEN * 2):
        (answer,) = exchange(site.port, [head, following] if following else [head])
        assert (answer.status, answer.headers["connection"]) == (413, "close")


def test_body_when_it_turns_unreadable_then_refused_and_not_half_executed(site: Site) -> None:
    body = b'{"email": 5, '
    head = request(CHUNKED)

    answers = exchange(site.port, [head + b"%x\r\n%s\r\n" % (len(body), body), b"zz\r\n" + HIDDEN + LAST])

    assert [answer.status for answer in answers] == [400]
    assert b"This is not HTTP/1.1" in answers[0].body


@pytest.mark.long
@pytest.mark.parametrize(
    "start", [b"", b"\r\n", b"GET /", LAST[:-2], request("Content-Length: 2000000")], ids=repr
)
def test_connection_when_nothing_comes_of_it_then_closed_in_time(site: Site, start: bytes) -> None:
    began = time.monotonic()
    with connect(site.port) as connection:
        connection.sendall(start)
        while connection.recv(65536):
            pass

    assert time.monotonic() - began < 45


@pytest.mark.long
def test_connection_when_a_head_trickles_then_closed_in_time(site: Site) -> None:
    def ended(connection: socket.socket) -> bool:
        try:
            connection.sendall(b"a")
        except (BrokenPipeError, ConnectionResetError):
            return True
        return False

    with connect(site.port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: service\r\nX-Any: ")
        wait_for(lambda: ended(connection), seconds=PATIENCE_SECONDS, pause=0.5)
