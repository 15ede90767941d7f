"""HTTP/1.1 by hand, for checks that look at what clients hide: reason phrases, and answers before a body was sent."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import SplitResult

ANSWER_SECONDS = 8.0
HEAD_BYTES, BODY_BYTES = 1 << 16, 1 << 16
CONTINUE = 100
"""The status with which a server asks for a body that was announced (`Expect: 100-continue`)."""


@dataclass(frozen=True, slots=True)
class PlainAnswer:
    """An HTTP response as received.

    Attributes:
        status: its number.
        reason: the phrase behind it.
        body: its beginning.
    """

    status: int
    reason: str
    body: bytes


async def ask(
    site: SplitResult, certificates: ssl.SSLContext | None, what: str, *headers: str, body: bytes = b""
) -> PlainAnswer:
    """Send a request, perhaps with the beginning of its body, and read the beginning of the answer.

    Raises:
        TimeoutError: none comes within `ANSWER_SECONDS`.
        OSError: the line broke, there is none, or it ends before the answer does.
        ValueError: what comes is no answer.
    """
    async with (
        asyncio.timeout(ANSWER_SECONDS),
        asked(site, certificates, what, *headers, body=body) as reader,
    ):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        version, _, rest = head.partition("\r\n")[0].partition(" ")
        status, _, reason = rest.partition(" ")
        if not version.startswith("HTTP/1"):
            raise ValueError("it speaks no HTTP/1.1")
        if int(status) == CONTINUE:
            return PlainAnswer(CONTINUE, reason, b"")
        return PlainAnswer(int(status), reason, _unframed(head, await reader.read(BODY_BYTES)))


def _unframed(head: str, body: bytes) -> bytes:
    """Return a small body, of which one chunk holds all, without what stands around it."""
    if "transfer-encoding: chunked" not in head.lower():
        return body
    return body.partition(b"\r\n")[2].partition(b"\r\n")[0]


@asynccontextmanager
async def asked(
    site: SplitResult, certificates: ssl.SSLContext | None, what: str, *headers: str, body: bytes = b""
) -> AsyncIterator[asyncio.StreamReader]:
    """Send a request, and hand out what its answer is read from.

    Raises:
        OSError: as `ask`; also where the answer ends while the body reads it.
    """
    host = f"[{site.hostname}]" if ":" in str(site.hostname) else str(site.hostname)
    lines = [
        f"{what} HTTP/1.1",
        f"Host: {host}{f':{site.port}' if site.port else ''}",
        "Connection: close",
        *headers,
    ]
    async with connected(site, certificates) as (reader, writer):
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        try:
            yield reader
        except asyncio.IncompleteReadError:
            raise ConnectionError("it ends the connection before its answer") from None


@asynccontextmanager
async def connected(
    site: SplitResult, certificates: ssl.SSLContext | None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect, with TLS if there are certificates to believe; nothing is left of the connection afterwards."""
    port = site.port or (443 if certificates else 80)
    async with asyncio.timeout(ANSWER_SECONDS):
        reader, writer = await asyncio.open_connection(
            site.hostname, port, ssl=certificates, limit=HEAD_BYTES
        )
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
