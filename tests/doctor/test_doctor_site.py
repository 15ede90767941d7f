"""What `openml-web doctor --through` says of web servers that no real one is as wrong as: see tests/web/pages."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from app.doctor import plain_http
from app.doctor.diagnosis import Level
from app.health.routes import STREAM_PAUSE_SECONDS
from tests.doctor.conftest import Diagnose, told

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"
WELL = {
    b"GET /health/client": b'HTTP/1.1 200 OK\r\n\r\n{"address": "192.0.2.7", "forwarded": "believed"}',
    b"POST /data-upload": b"HTTP/1.1 401 Unauthorized\r\n\r\n",
    b"GET /health/stream": STREAM,
}
"""The beginning of each request, and its answer; of one that ends with an event the rest comes late."""


@asynccontextmanager
async def front(
    answers: Mapping[bytes, bytes], certificates: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """A web server that answers as it is told; yield its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whoever looks at the certificate alone hangs up.
        with closing(writer), suppress(ConnectionError):
            line = await reader.readline()
            text = next((text for beginning, text in answers.items() if line.startswith(beginning)), b"")
            writer.write(text)
            await writer.drain()
            if text.endswith(b"data: 1\n\n"):
                await asyncio.sleep(STREAM_PAUSE_SECONDS)
                writer.write(b"data: 2\n\ndata: 3\n\n")

    async with await asyncio.start_server(answer, "127.0.0.1", ssl=certificates) as server:
        yield str(server.sockets[0].getsockname()[1])


@pytest.mark.parametrize(
    ("changes", "level", "says"),
    [
        ({}, Level.OK, "ours is 192.0.2.7"),
        (
            {b"GET /health/client": WELL[b"GET /health/client"].replace(b"200 OK", b"200 Fine")},
            Level.FAULT,
            "changes the reason phrase OK to 'Fine': nobody is logged in then",
        ),
        ({b"POST /data-upload": b"HTTP/1.1 302 Found\r\n\r\n"}, Level.FAULT, "answered with 302, and not with 401"),
        ({b"GET /health/stream": b"HTTP/1.1 429 Too Many Requests\r\n\r\n"}, Level.WARNING, "in five minutes"),
        ({b"GET /health/client": b"SSH-2.0\r\n\r\n"}, Level.FAULT, "cannot be asked: it speaks no HTTP/1.1"),
        ({b"GET /health/client": b""}, Level.FAULT, "cannot be asked: it ends the connection before its answer"),
    ],
)  # fmt: skip
async def test_site_when_its_web_server_answers_otherwise_then_said(
    diagnose: Diagnose, changes: Mapping[bytes, bytes], level: Level, says: str
) -> None:
    async with front({**WELL, **changes}) as port:
        found = await diagnose("site", wishes={"through": f"http://127.0.0.1:{port}"})

    assert says in told(found, level)
    assert level is Level.OK or len([each for each in found if each.level is level]) == 1


async def test_site_when_it_is_none_is_away_or_says_nothing_then_said(
    diagnose: Diagnose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_http, "ANSWER_SECONDS", 0.1)

    async def fault_of(through: str) -> str:
        return told(await diagnose("site", wishes={"through": through}), Level.FAULT)

    assert "--through is no address. Write it as people do" in await fault_of("www.openml.org")
    assert "http://127.0.0.1:9 cannot be asked" in await fault_of("http://127.0.0.1:9")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert "does not answer within" in await fault_of(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("days", "level", "says"), [(3, Level.WARNING, "in 2 days. Renew it."), (90, Level.OK, "in 89 days.")]
)
async def test_certificate_when_it_ends_soon_then_warned(
    diagnose: Diagnose, tmp_path: Path, days: int, level: Level, says: str
) -> None:
    authority, context = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    ends = datetime.now(UTC) + timedelta(days=days)
    authority.issue_cert("127.0.0.1", not_after=ends).configure_cert(context)
    async with front(WELL, context) as port:
        wishes = {"through": f"https://127.0.0.1:{port}"}
        found = await diagnose("site", wishes=wishes, outgoing_ca_file=str(tmp_path / "ca.pem"))

    assert says in told(found, level)
    assert not told(found, Level.FAULT)
