"""Requests as bytes on a connection, and the answers that come back."""

import re
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from tests.conftest import PATIENCE_SECONDS

SEGMENT_SECONDS = 0.05
"""Between two segments, so that the server reads each by itself."""


@dataclass(frozen=True)
class Answer:
    """One answer: its status, its headers by lower-case name, and its body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def wrong_fields(self) -> list[str]:
        """What a 422 says is wrong: proof of what was read as the body."""
        if self.status != 422:
            return []
        errors = httpx.Response(self.status, content=self.body).json()["errors"]
        return [error["field"] for error in errors]


def request(
    *headers: str | bytes,
    method: str = "POST",
    target: str | bytes = "/login",
    version: str = "HTTP/1.1",
    host: str | None = "service",
) -> bytes:
    """Return the head of a request whose lines are what is given, however wrong."""
    lines: list[str | bytes] = [f"{method} ".encode() + _bytes(target) + f" {version}".encode()]
    lines += [f"Host: {host}"] if host is not None else []
    return b"\r\n".join(map(_bytes, [*lines, "Content-Type: application/json", *headers, "", ""]))


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


def chunked(*pieces: bytes) -> bytes:
    """Return a body in chunks."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def connect(port: int) -> socket.socket:
    """Connect, with every segment sent as it is."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def exchange(port: int, segments: Sequence[bytes], *, pause_seconds: float = SEGMENT_SECONDS) -> list[Answer]:
    """Send the segments one after another and return every answer, up to the end of the connection.

    The server has to end it: after a refusal, or because the last request says `Connection: close`.
    """
    with connect(port) as connection:
        received = b""
        try:
            for number, segment in enumerate(segments):
                if number:
                    time.sleep(pause_seconds)
                connection.sendall(segment)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server had read enough
        try:
            while piece := connection.recv(65536):
                received += piece
        except ConnectionResetError:
            pass  # it ended with bytes unread
    return read_answers(received)


def read_answers(stream: bytes) -> list[Answer]:
    """Return the answers in a stream of bytes, of which there must be nothing else."""
    answers: list[Answer] = []
    while stream:
        head, separator, stream = stream.partition(b"\r\n\r\n")
        assert separator, f"no whole answer: {head[:80]!r}"
        first, *lines = head.decode("latin-1").split("\r\n")
        found = re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", first)
        assert found, f"no answer begins with {first!r}"
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", "0"))
        answers.append(Answer(int(found[1]), headers, stream[:length]))
        stream = stream[length:]
    return answers
