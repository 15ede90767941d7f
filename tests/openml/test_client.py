"""The client against a server that says, byte for byte, what OpenML's was seen to say, over a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.openml.client import OpenMLClient, open_client
from app.openml.errors import LostAnswerError, NotSentError, OpenMLError, RefusedError
from app.openml.fields import is_api_key

KEY = "0123456789abcdef0123456789abcdef"
NS = 'xmlns:oml="http://openml.org/openml"'
UPLOADED = f"<oml:upload_data_set {NS}>\n\t<oml:id>4328</oml:id>\n</oml:upload_data_set>\n"
ARFF = b"@RELATION r\n@ATTRIBUTE a REAL\n@DATA\n" + b"1.5\n" * 500_000
INDEX_JUNK = (
    '{"error":{"root_cause":[{"type":"cluster_block_exception","reason":"blocked"}]},"status":503}' * 2
)


def error(code: int, message: str, details: str = "") -> str:
    extra = f"<oml:additional_information>{details}</oml:additional_information>" if details else ""
    return (
        f"<oml:error {NS}><oml:code>{code}</oml:code><oml:message>{message}</oml:message>{extra}</oml:error>"
    )


@dataclass
class Upstream:
    """A server that keeps what it was sent and answers with `status` and `body`; None closes without a word."""

    status: int = 200
    body: str | None = UPLOADED
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    served: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await self.answer(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        self.served.release()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(_header(head, "content-length") or 0)
        self.requests.append(head + await reader.readexactly(length))
        if self.body is not None:
            content = self.body.encode()
            answer = (
                f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
            )
            writer.write(answer.encode() + content)
            await writer.drain()


def _header(head: bytes, name: str) -> str | None:
    lines = (line.partition(":") for line in head.decode().split("\r\n"))
    return next((value.strip() for key, _, value in lines if key.lower() == name), None)


@asynccontextmanager
async def client_of(upstream: Upstream, *, timeout_seconds: float = 5) -> AsyncIterator[OpenMLClient]:
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_client(f"http://127.0.0.1:{port}/", timeout_seconds=timeout_seconds) as client:
        yield client
    for _ in range(upstream.connections):
        await upstream.served.acquire()


@pytest.fixture
def arff(tmp_path: Path) -> Path:
    path = tmp_path / "arff"
    path.write_bytes(ARFF)
    return path


async def upload(client: OpenMLClient, arff: Path) -> int:
    return await client.upload_dataset(
        on_progress=lambda _: None,
        api_key=KEY,
        description=b"<xml/>",
        arff=arff,
        arff_bytes=len(ARFF),
        file_name="r-1.arff",
    )


async def test_upload_when_accepted_then_every_byte_arrived_and_the_key_not_in_the_address(
    arff: Path,
) -> None:
    upstream = Upstream()
    async with client_of(upstream) as client:
        assert await upload(client, arff) == 4328

    (request,) = upstream.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/v1/xml/data HTTP/1.1\r\n")
    assert KEY.encode() not in head
    assert b"transfer-encoding" not in head.lower()
    assert f'name="api_key"\r\n\r\n{KEY}\r\n'.encode() in body
    assert b'name="dataset"; filename="r-1.arff"\r\nContent-Type: text/plain\r\n\r\n' + ARFF in body


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, UPLOADED),
        (200, INDEX_JUNK + UPLOADED),
        (200, "\n<br />\n<b>Warning</b>: something in PHP\n" + UPLOADED),
        (450, error(473, "Entity already tagged by this tag.") + UPLOADED),
    ],
    ids=["plain", "index junk in front", "PHP warning in front", "an error about tags in front"],
)
async def test_upload_when_an_id_is_in_the_answer_then_it_is_done(arff: Path, status: int, body: str) -> None:
    async with client_of(Upstream(status, body)) as client:
        assert await upload(client, arff) == 4328


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (412, error(145, "Error parsing dataset ARFF file", "line &amp;quot;3&amp;quot;"), 145),
        (200, error(1034, "can only link entities"), 1034),
        (500, error(473, "Entity already tagged"), 473),
        (412, error(1061, "Please provide") + error(1060, "Problem validating"), 1061),
        (412, f"<oml:error {NS}>\n\t<oml:code>107</oml:code>\n\t<oml:message>Database conn", 107),
        (413, "<html>Request Entity Too Large</html>" + error(135, "Please provide description xml"), 135),
        (413, "<html>413 Request Entity Too Large</html>", 413),
    ],
)
async def test_upload_when_refused_then_the_code_whatever_the_status(
    arff: Path, status: int, body: str, code: int
) -> None:
    async with client_of(Upstream(status, body)) as client:
        with pytest.raises(RefusedError) as refused:
            await upload(client, arff)
    assert refused.value.code == code
    assert "&" not in str(refused.value)


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, ""), (200, ""), (502, "<html>Bad Gateway</html>"), (200, UPLOADED[:40]), (200, None)],
    ids=["empty 500", "empty 200", "a proxy's page", "cut off", "reset after the last byte"],
)
async def test_upload_when_the_answer_says_nothing_then_it_is_lost(
    arff: Path, status: int, body: str | None
) -> None:
    async with client_of(Upstream(status, body)) as client:
        with pytest.raises(LostAnswerError):
            await upload(client, arff)


async def test_call_when_nobody_listens_then_nothing_was_sent(free_port: int, arff: Path) -> None:
    async with open_client(f"http://127.0.0.1:{free_port}/", timeout_seconds=5) as client:
        with pytest.raises(NotSentError):
            await upload(client, arff)


class SlowUpstream(Upstream):
    """Takes everything and never answers."""

    async def answer(self, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.read())


async def test_upload_when_the_server_is_slow_then_lost_after_the_time_out(arff: Path) -> None:
    async with client_of(SlowUpstream(), timeout_seconds=0.3) as client:
        with pytest.raises(LostAnswerError):
            await upload(client, arff)


async def test_key_when_it_may_write_then_accepted_and_else_refused() -> None:
    async with client_of(Upstream(412, error(135, "Please provide description xml"))) as client:
        await client.check_key(KEY)
    async with client_of(Upstream(412, error(103, "Authentication failed"))) as client:
        with pytest.raises(RefusedError, match="103"):
            await client.check_key(KEY)


async def test_list_when_there_is_nothing_then_empty() -> None:
    async with client_of(Upstream(412, error(372, "No results"))) as client:
        assert await client.list_datasets("iris") == []


async def test_dataset_when_processing_failed_then_its_error_is_told() -> None:
    body = (
        f"<oml:data_set_description {NS}><oml:id>42</oml:id><oml:name>iris</oml:name><oml:status>in_preparation"
        "</oml:status><oml:error>Class is not set!</oml:error><oml:md5_checksum>0f</oml:md5_checksum>"
        "</oml:data_set_description>"
    )
    async with client_of(Upstream(200, INDEX_JUNK + body)) as client:
        info = await client.get_dataset(42)
    assert (info.name, info.status, info.error, info.md5) == (
        "iris",
        "in_preparation",
        "Class is not set!",
        "0f",
    )


@pytest.mark.parametrize(
    "body",
    [
        "<oml:data_set_description>",
        f'<!DOCTYPE x [<!ENTITY a "b">]><oml:data_set_description {NS}>&a;</oml:data_set_description>',
        "not xml at all",
    ],
)
async def test_dataset_when_the_description_cannot_be_read_then_lost(body: str) -> None:
    async with client_of(Upstream(200, body)) as client:
        with pytest.raises(OpenMLError):
            await client.get_dataset(42)


@pytest.mark.parametrize(
    "text", ["", None, "abc", KEY + "0", '" OR 1=1 -- 0123456789abcdef01234', "g" * 32, f"{KEY}\n"]
)
def test_api_key_when_malformed_then_never_sent(text: str | None) -> None:
    assert not is_api_key(text)
    assert is_api_key(KEY)
