"""Every sequence of bytes has the answers that it should have, and never one more."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service import Site
from tests.wire.stream import chunked, exchange, request

BODY = b'{"email": 5, "password": "x"}'
"""Refused for its e-mail address alone, so whoever names that field, and no other, has read it whole."""
LENGTH = f"Content-Length: {len(BODY)}"
CHUNKED = "Transfer-Encoding: chunked"
HIDDEN = b"GET /nowhere HTTP/1.1\r\nHost: service\r\n\r\n"
"""What an attacker would like to be read as a request."""
LAST = b"GET /health/live HTTP/1.1\r\nHost: service\r\nConnection: close\r\n\r\n"
READ, GONE, OK, BAD = 422, 404, 200, 400

OFFERS = ("websocket", "h2c", "TLS/1.0, h2c", "HTTP/2.0")


def _offer(protocol: str) -> tuple[str, ...]:
    return (
        "Connection: keep-alive, Upgrade, HTTP2-Settings",
        f"Upgrade: {protocol}",
        "HTTP2-Settings: AAMAAABk",
    )


def _upgrades() -> dict[str, list[bytes]]:
    cases: dict[str, list[bytes]] = {}
    for protocol in OFFERS:
        sized, in_chunks = request(LENGTH, *_offer(protocol)), request(CHUNKED, *_offer(protocol))
        pieces = chunked(BODY[:3], BODY[3:])
        cases[f"{protocol}: body in a second segment"] = [sized, BODY, LAST]
        cases[f"{protocol}: body in the same segment"] = [sized + BODY + LAST]
        cases[f"{protocol}: head and body in pieces"] = [sized[:70], sized[70:] + BODY[:9], BODY[9:] + LAST]
        cases[f"{protocol}: chunks in a second segment"] = [in_chunks, pieces, LAST]
        cases[f"{protocol}: chunks in the same segment"] = [in_chunks + pieces + LAST]
        cases[f"{protocol}: chunks in pieces"] = [in_chunks + pieces[:1], pieces[1:8], pieces[8:] + LAST]
        cases[f"{protocol}: with 100 Continue"] = [
            request(LENGTH, "Expect: 100-continue", *_offer(protocol)) + BODY + LAST
        ]
    return cases


@pytest.mark.parametrize("segments", _upgrades().values(), ids=_upgrades().keys())
def test_body_when_the_request_offers_an_upgrade_then_it_is_read_as_if_it_did_not(
    site: Site, segments: list[bytes]
) -> None:
    answers = [answer for answer in exchange(site.port, segments) if answer.status != 100]

    assert [answer.status for answer in answers] == [READ, OK]
    assert answers[0].wrong_fields == ["email"]
    assert "upgrade" not in answers[0].headers


@pytest.mark.parametrize("protocol", OFFERS)
@pytest.mark.parametrize("segments", [1, 2])
def test_request_when_hidden_in_the_body_of_one_with_an_upgrade_then_never_executed(
    site: Site, sandbox_port: int, foreign_port: int, protocol: str, segments: int
) -> None:
    """Also where uvicorn was started without our protocol."""
    head = request(f"Content-Length: {len(HIDDEN)}", *_offer(protocol))
    stream = [head + HIDDEN] if segments == 1 else [head, HIDDEN]

    for port in (site.port, sandbox_port, foreign_port):
        answers = exchange(port, [*stream, LAST])
        expected = 1 if port == foreign_port else 2
        assert len(answers) == expected, f"port {port}: {answers}"
    assert [answer.status for answer in exchange(site.port, [*stream, LAST])] == [BAD, OK], (
        "JSON, then health"
    )


def _requests_that_are_read() -> dict[str, tuple[list[bytes], list[int]]]:
    sized, in_chunks = request(LENGTH), request(CHUNKED)
    body = b"%x\r\n%s\r\n0\r\n" % (len(BODY), BODY)
    get = {"method": "GET", "target": "/health/live"}
    return {
        "three offers in one segment": (
            [(request(LENGTH, *_offer("h2c")) + BODY) * 3 + LAST],
            [READ] * 3 + [OK],
        ),
        "an offer without a body": ([request(*_offer("h2c"), **get) + LAST], [OK, OK]),
        "five requests in one segment": ([HIDDEN * 5 + LAST], [GONE] * 5 + [OK]),
        "byte by byte": ([bytes([byte]) for byte in sized[:12]] + [sized[12:] + BODY + LAST], [READ, OK]),
        "empty lines before": ([b"\r\n\r\n" + sized + BODY + LAST], [READ, OK]),
        "coding in capitals": ([request("Transfer-Encoding: Chunked") + chunked(BODY) + LAST], [READ, OK]),
        "extension of a chunk": (
            [in_chunks + b'%x;a="b"\r\n%s\r\n0;c\r\n\r\n' % (len(BODY), BODY) + LAST],
            [READ, OK],
        ),
        "trailers": (
            [in_chunks + body + b"X-API-Key: k\r\nContent-Type: text/plain\r\n\r\n" + LAST],
            [READ, OK],
        ),
        "100 Continue": ([request(LENGTH, "Expect: 100-continue"), BODY, LAST], [100, READ, OK]),
        "an expectation that nobody knows": ([request(LENGTH, "Expect: 200-ok") + BODY + LAST], [READ, OK]),
        "body with GET": ([request(f"Content-Length: {len(HIDDEN)}", **get) + HIDDEN + LAST], [OK, OK]),
        "chunks with GET": ([request(CHUNKED, **get) + chunked(HIDDEN) + LAST], [OK, OK]),
        "absolute form": ([request(LENGTH, target="http://elsewhere/login") + BODY + LAST], [READ, OK]),
        "asterisk form": ([request(method="OPTIONS", target="*") + LAST], [GONE, OK]),
        "HTTP/1.0": ([request(LENGTH, version="HTTP/1.0", host=None) + BODY + LAST], [READ]),
        "HTTP/1.0 that would stay": (
            [request(LENGTH, "Connection: keep-alive", version="HTTP/1.0") + BODY + LAST],
            [READ],
        ),
        "after the close that was asked for": ([LAST + HIDDEN], [OK]),
        "after that close, later": ([LAST, HIDDEN], [OK]),
        "a name that only looks like a coding": (
            [request(LENGTH, "Transfer_Encoding: chunked") + BODY + LAST],
            [READ, OK],
        ),
    }


@pytest.mark.parametrize(
    ("segments", "expected"), _requests_that_are_read().values(), ids=_requests_that_are_read().keys()
)
def test_stream_when_its_requests_are_sound_then_each_has_its_answer(
    site: Site, segments: list[bytes], expected: list[int]
) -> None:
    answers = exchange(site.port, segments)

    assert [answer.status for answer in answers] == expected
    assert all(answer.wrong_fields == ["email"] for answer in answers if answer.status == READ)


def _ambiguous() -> dict[str, bytes]:
    """Return streams that two readers could read differently: their first request is refused, and nothing follows."""
    sized, size = request(LENGTH), len(BODY)
    pieces = chunked(BODY)
    cases = {
        "length and coding": request(LENGTH, CHUNKED) + pieces,
        "coding and length": request(CHUNKED, LENGTH) + pieces,
        "length, coding and an upgrade": request(LENGTH, CHUNKED, *_offer("h2c")) + pieces,
        "two lengths that differ": request(LENGTH, "Content-Length: 3") + BODY,
        "two lengths that differ, and an upgrade": request(LENGTH, "Content-Length: 3", *_offer("h2c"))
        + BODY,
        "the same length twice": request(LENGTH, LENGTH) + BODY,
        "a list of lengths": request(f"Content-Length: {size}, {size}") + BODY,
        "two codings": request(CHUNKED, "Transfer-Encoding: identity") + pieces,
        "the same coding twice": request(CHUNKED, CHUNKED) + pieces,
        "folded coding": request(LENGTH, "Transfer-Encoding:\r\n chunked") + pieces,
        "folded length": request(f"Content-Length:\r\n {size}") + BODY,
        "folded header": request(LENGTH, "X-Any: a\r\n b") + BODY,
        "blank before the colon of a coding": request(LENGTH, "Transfer-Encoding : chunked") + pieces,
        "blank before the colon of a length": request(f"Content-Length : {size}") + BODY,
        "blank before a name": request(LENGTH, "\tTransfer-Encoding: chunked") + pieces,
        "no colon": request(LENGTH, "X-Any") + BODY,
        "no name": request(LENGTH, ": a") + BODY,
        "LF at the ends of all lines": sized.replace(b"\r\n", b"\n") + BODY,
        "LF at the end of a line": request(LENGTH, "X-Any: a\nTransfer-Encoding: chunked") + BODY,
        "CR within a value": request(LENGTH, "X-Any: a\rTransfer-Encoding: chunked") + BODY,
        "CR at the end of a value": request(LENGTH, "X-Any: a\r") + BODY,
        "NUL within a value": request(LENGTH, "X-Any: a\0b") + BODY,
        "LF at the end of the head": sized[:-2] + b"\n" + BODY,
        "blank before the method": b" " + sized + BODY,
        "HTTP/1.0 with a coding": request(CHUNKED, version="HTTP/1.0") + pieces,
        "HTTP/1.0 with a coding, that would stay": request(
            CHUNKED, "Connection: keep-alive", version="HTTP/1.0"
        )
        + pieces,
        "no host": request(LENGTH, host=None) + BODY,
        "two hosts": request(LENGTH, "Host: elsewhere") + BODY,
        "no path": request(target="http://service", method="GET"),
        "blank in the path": request(LENGTH, target="/login x") + BODY,
        "more than ASCII in the path": request(LENGTH, target=b"/l\xc3\xb6gin") + BODY,
        "body without a length": request() + BODY,
        "unknown method": request(LENGTH, method="FETCH") + BODY,
        "method in small letters": request(LENGTH, method="post") + BODY,
        "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200,
    }
    for value in ("+{}", "-{}", "0x{:x}", "{};", "{}\v", "", "{}.0", "1 {}", "²{}", "1844674407370955161{}"):
        cases[f"length {value!r}"] = request("Content-Length: " + value.format(size)) + BODY
    for value in (
        "chunked, identity",
        "identity, chunked",
        "gzip, chunked",
        "identity",
        "xchunked",
        "chunked\v",
        "\0chunked",
        "chunked, chunked",
        "chunked;q=1",
        '"chunked"',
        ",chunked",
        "chunked,",
    ):
        cases[f"coding {value!r}"] = request(f"Transfer-Encoding: {value}") + pieces
        cases[f"coding {value!r} and a length"] = request(LENGTH, f"Transfer-Encoding: {value}") + pieces
    for version in ("HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/1.10", "HTTP/11", "http/1.1", "HTTQ/1.1", ""):
        cases[f"version {version!r}"] = request(LENGTH, version=version) + BODY
    for line in (
        "{:x} ",
        " {:x}",
        "{:x} ;a=b",
        "0x{:x}",
        "+{:x}",
        "-{:x}",
        "{:x}\t",
        "{:x},",
        "{:x}\r",
        "{:x};\n",
    ):
        start = request(CHUNKED) + line.format(size).encode()
        cases[f"size {line!r} of a chunk"] = start + b"\r\n" + BODY + b"\r\n0\r\n\r\n"
    for end in (b"\n0\r\n\r\n", b"0\r\n\r\n", b"XX\r\n0\r\n\r\n", b"\r\n0\n\n"):
        cases[f"end {end!r} of a chunk"] = request(CHUNKED) + b"%x\r\n" % size + BODY + end
    cases["size of a chunk over 64 bits"] = request(CHUNKED) + b"1%016x\r\n" % size + BODY + b"\r\n0\r\n\r\n"
    cases["LF behind the size of a chunk"] = request(CHUNKED) + b"%x\n" % size + BODY + b"\r\n0\r\n\r\n"
    for name in ("Content-Length: 50", "Transfer-Encoding: chunked"):
        trailer = f"0\r\n{name}\r\n\r\n".encode()
        cases[f"trailer {name!r}"] = request(CHUNKED) + b"%x\r\n%s\r\n" % (size, BODY) + trailer
    return cases


WITH_AN_ANSWER = {"body without a length"}
"""Here the first request is sound, and what follows is not."""


@pytest.mark.parametrize("name", _ambiguous())
def test_stream_when_two_readers_could_differ_then_refused_and_nothing_of_it_executed(
    site: Site, sandbox_port: int, name: str
) -> None:
    stream = _ambiguous()[name] + HIDDEN + LAST
    (answer,) = exchange(site.port, [stream])
    (of_the_sandbox,) = exchange(sandbox_port, [stream])

    if name in WITH_AN_ANSWER:
        return
    assert answer.headers["connection"] == of_the_sandbox.headers["connection"] == "close"
    assert answer.status == of_the_sandbox.status == BAD
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("target", ["service:80", "/login"])
@pytest.mark.parametrize("body", [b"", BODY])
def test_connect_when_asked_for_then_refused_and_no_tunnel(site: Site, target: str, body: bytes) -> None:
    head = request(f"Content-Length: {len(body)}", method="CONNECT", target=target)

    assert [answer.status for answer in exchange(site.port, [head + body + HIDDEN, LAST])] in ([405], [BAD])


SOUND: dict[str, tuple[bytes, int]] = {
    "length": (request(LENGTH) + BODY, READ),
    "chunks": (request(CHUNKED) + chunked(BODY[:7], BODY[7:]), READ),
    "length and an upgrade": (request(LENGTH, *_offer("websocket")) + BODY, READ),
    "chunks and an upgrade": (request(CHUNKED, *_offer("h2c")) + chunked(BODY), READ),
    "no body": (HIDDEN, GONE),
    "an upgrade and no body": (request(*_offer("h2c"), method="GET", target="/nowhere"), GONE),
    "a request as body": (request(f"Content-Length: {len(HIDDEN)}") + HIDDEN, BAD),
    "a request as chunk, with an upgrade": (request(CHUNKED, *_offer("h2c")) + chunked(HIDDEN), BAD),
}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.sampled_from(sorted(SOUND)), min_size=1, max_size=6),
    cuts=st.lists(st.integers(1, 1500), max_size=6),
)
def test_stream_when_cut_anywhere_then_the_answers_are_the_same(
    site: Site, names: list[str], cuts: list[int]
) -> None:
    stream = b"".join(SOUND[name][0] for name in names) + LAST
    places = [0, *sorted(cut for cut in set(cuts) if cut < len(stream)), len(stream)]
    segments = [stream[start:end] for start, end in itertools.pairwise(places)]

    answers = exchange(site.port, segments, pause_seconds=0.002)

    assert [answer.status for answer in answers] == [*(SOUND[name][1] for name in names), OK]
    assert all(answer.wrong_fields == ["email"] for answer in answers if answer.status == READ)
