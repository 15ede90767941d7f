"""Bodies that come slowly: whoever sends something is waited for, whoever only keeps a place is not."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.types import Message, Scope

from app.core.bodies import LEAST_BYTES, stream_body
from app.core.errors import BodyStalledError
from app.core.middleware import admit_body


async def slowly(piece: bytes, *, pause: float, count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        await asyncio.sleep(pause)
        yield piece


def body(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async def receive() -> Message:
        piece = await anext(stream, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    scope: Scope = {"type": "http", "method": "POST", "headers": [(b"transfer-encoding", b"chunked")]}
    incoming = admit_body(scope, receive)
    return stream_body(Request(scope, incoming.receive), limit_bytes=1_000_000, stall_seconds=0.5)


async def test_body_when_a_byte_comes_now_and_then_then_given_up() -> None:
    taken = bytearray()

    async def take() -> None:
        async for chunk in body(slowly(b"x", pause=0.02, count=500)):
            taken.extend(chunk)

    with pytest.raises(BodyStalledError, match="Fewer than 4096") as caught:
        await take()
    assert caught.value.headers["Connection"] == "close"
    assert 0 < len(taken) < 100, "what had come was passed on"


async def test_body_when_slow_but_coming_then_taken_however_long_it_lasts() -> None:
    piece = b"x" * LEAST_BYTES
    assert [chunk async for chunk in body(slowly(piece, pause=0.1, count=10))] == [piece] * 10


async def test_body_when_it_is_we_who_are_slow_then_taken() -> None:
    taken = []
    async for chunk in body(slowly(b"x", pause=0, count=4)):
        await asyncio.sleep(0.2)
        taken.append(chunk)
    assert taken == [b"x"] * 4
