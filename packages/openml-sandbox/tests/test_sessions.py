"""PHP's session, which is locked for a whole request: seen by clients that bring its cookie, and by no others."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from sandbox_server import ARFF, PATIENCE_SECONDS, WRITER, Server

LARGE = ARFF + b"1,2,a\n" * 5_000_000
"""More than the buffers of a connection take."""
SOON_SECONDS = 3.0


def _session(server: Server) -> str:
    with server.client() as client:
        return client.get("/api/v1/json/data/1").cookies["ci_session"]


def _file_path(server: Server, dataset_id: int) -> str:
    url: str = server.get(f"data/{dataset_id}").json()["data_set_description"]["url"]
    return url.removeprefix(server.url)


@pytest.fixture(scope="module")
def large_path(server: Server) -> str:
    """The address of a file that takes a while."""
    server.switch_on("never-active", "POST /data")
    return _file_path(server, server.publish(arff=LARGE))


@contextmanager
def _slow_download(server: Server, path: str, session: str) -> Iterator[None]:
    """Ask for a file, and read nothing of it but the beginning."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(("127.0.0.1", server.port))
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nCookie: other=1; ci_session={session}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        yield


def _ask(server: Server, session: str = "", *, seconds: float = SOON_SECONDS) -> httpx.Response:
    headers = {"Cookie": f"ci_session={session}"} if session else {}
    return httpx.get(f"{server.url}/api/v1/json/evaluationmeasure/list", headers=headers, timeout=seconds)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/json/data/list"),
        ("GET", "/api/v1/json/data/987654"),
        ("GET", "/api/v1/nothing"),
        ("POST", "/api/v1/data"),
        ("GET", "/data/v1/download/987654/x"),
        ("GET", "/"),
        ("GET", "/d/987654"),
        ("GET", "/else"),
    ],
)
def test_answer_when_any_then_it_sets_a_session_of_its_own(server: Server, method: str, path: str) -> None:
    with server.client() as client:
        first, second = (client.request(method, path, headers={"Cookie": ""}) for _ in range(2))

    assert first.headers["set-cookie"].startswith("ci_session=")
    assert first.headers["set-cookie"] != second.headers["set-cookie"]


def test_answer_when_the_cookie_comes_back_then_the_session_stays(server: Server) -> None:
    session = _session(server)

    assert _ask(server, session).cookies["ci_session"] == session
    assert _ask(server, "no/session").cookies["ci_session"] != "no/session"


def test_requests_when_one_session_then_each_waits_for_the_whole_of_the_one_before(
    server: Server, large_path: str
) -> None:
    session = _session(server)
    with _slow_download(server, large_path, session):
        with pytest.raises(httpx.ReadTimeout):
            _ask(server, session, seconds=1)
        assert _ask(server).status_code == 200
        assert _ask(server, _session(server)).status_code == 200

    assert _ask(server, session, seconds=PATIENCE_SECONDS).status_code == 200


def test_write_when_one_session_then_waits_for_the_slow_one_before(server: Server) -> None:
    session, dataset_id = _session(server), server.publish()
    server.switch_on("slow", "POST /data/tag", delay_seconds=1.0)

    def tag(name: str) -> None:
        answer = httpx.post(
            f"{server.url}/api/v1/json/data/tag",
            data={"api_key": WRITER, "data_id": str(dataset_id), "tag": name},
            headers={"Cookie": f"ci_session={session}"},
            timeout=PATIENCE_SECONDS,
        )
        assert answer.status_code == 200

    started = time.monotonic()
    with ThreadPoolExecutor() as threads:
        slow = threads.submit(tag, "first")
        time.sleep(0.3)
        tag("second")
        slow.result()

    assert time.monotonic() - started >= 1
    assert server.get(f"data/{dataset_id}").json()["data_set_description"]["tag"] == ["first", "second"]
