"""Bodies on their way to readers, through real sockets and uvicorn, on each of its parsers and loops."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, Router

from app.core.outflow import LARGE_ANSWERS, LARGE_BYTES, LeastRateMiddleware, WholeAnswersMiddleware
from app.core.settings import Settings
from tests.conftest import NO_CERTIFICATES, PATIENCE_SECONDS
from tests.servers import serving
from tests.slow_readers import SlowReader, slow_readers

WINDOW_SECONDS = 1.0
LEAST_RATE = 1 << 20
MEBIBYTE = b"x" * (1 << 20)
LARGE_MEBIBYTES = 8
BUFFER_BYTES = 1 << 16


class Site:
    """Answers of every kind, and how many are under way."""

    def __init__(self) -> None:
        self.open = 0

    async def whole(self, _request: Request) -> Response:
        return Response(MEBIBYTE * LARGE_MEBIBYTES)

    async def small(self, _request: Request) -> Response:
        return JSONResponse({"small": True})

    async def stream(self, _request: Request) -> Response:
        return StreamingResponse(self._count(self._mebibytes()))

    async def events(self, _request: Request) -> Response:
        return StreamingResponse(self._count(self._events()), media_type="text/event-stream")

    async def _mebibytes(self) -> AsyncIterator[bytes]:
        for _ in range(LARGE_MEBIBYTES):
            yield MEBIBYTE

    async def _events(self) -> AsyncIterator[bytes]:
        while True:
            yield b"data: " + b"x" * 30_000 + b"\n\n"
            await asyncio.sleep(0)

    async def seldom(self, _request: Request) -> Response:
        async def three() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"data: x\n\n"
                await asyncio.sleep(WINDOW_SECONDS)

        return StreamingResponse(three())

    async def _count(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self.open += 1
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            self.open -= 1

    @property
    def app(self) -> WholeAnswersMiddleware:
        handlers: list[Callable[[Request], object]] = [
            self.whole,
            self.small,
            self.stream,
            self.events,
            self.seldom,
        ]
        routes = Router([Route(f"/{handler.__name__}", handler) for handler in handlers])
        trusted = Settings(_env_file=None, trusted_proxies=["127.0.0.1"]).trusted_proxies
        return WholeAnswersMiddleware(routes, trusted_proxies=trusted)


@pytest.fixture
def site() -> Site:
    return Site()


def serving_site(site: Site, *, window_seconds: float = WINDOW_SECONDS) -> AbstractAsyncContextManager[str]:
    app = LeastRateMiddleware(site.app, least_rate=LEAST_RATE, window_seconds=window_seconds)
    return serving(app, buffer_bytes=BUFFER_BYTES)


@pytest.fixture
async def url(site: Site) -> AsyncIterator[str]:
    async with serving_site(site) as found:
        yield found


async def _ends(reader: SlowReader) -> int:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await reader.read_to_the_end()


@pytest.mark.parametrize("path", ["/whole", "/stream", "/events"])
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
async def test_reader_when_nothing_is_taken_then_cut_off(
    url: str, site: Site, path: str, connection: str
) -> None:
    async with slow_readers(
        url, path, 3, headers=dict.fromkeys(range(3), f"Connection: {connection}")
    ) as readers:
        await asyncio.sleep(2 * WINDOW_SECONDS + 1)

        assert site.open == 0
        assert max([await _ends(reader) for reader in readers]) < LARGE_MEBIBYTES << 19


async def test_reader_when_slower_than_the_least_rate_then_cut_off(url: str, site: Site) -> None:
    async with slow_readers(url, "/events", 1, buffer_bytes=1 << 18) as (reader,):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while site.open:
                assert await reader.read(LEAST_RATE // 40)
                await asyncio.sleep(0.1)


async def test_reader_when_with_pauses_but_faster_than_the_least_rate_then_served_to_the_end(
    url: str,
) -> None:
    async with slow_readers(url, "/stream", 1, buffer_bytes=1 << 20) as (reader,):
        total = pauses = 0
        while count := await reader.read(1 << 20):
            total += count
            if total >> 21 > pauses:
                pauses += 1
                await asyncio.sleep(WINDOW_SECONDS / 4)

        assert total > LARGE_MEBIBYTES * len(MEBIBYTE) - 1024


async def test_answer_when_it_comes_slowly_itself_then_nobody_is_cut_off(url: str) -> None:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES) as client:
        answer = await client.get(f"{url}seldom")

    assert answer.text == "data: x\n\n" * 3


async def test_body_when_large_then_every_byte_as_it_was(url: str) -> None:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, verify=NO_CERTIFICATES) as client:
        for path in ("whole", "stream"):
            answer = await client.get(url + path)
            assert answer.content == MEBIBYTE * LARGE_MEBIBYTES
        head = await client.head(f"{url}whole")

    assert (head.content, head.headers["content-length"]) == (b"", str(LARGE_MEBIBYTES << 20))


async def test_end_when_it_is_not_taken_then_it_does_not_lie_here_for_ever() -> None:
    """The last pieces wait for nobody: whoever sent them has gone on."""
    buffered: list[asyncio.WriteTransport] = []

    async def app(scope: dict[str, object], receive: object, send: Callable[..., object]) -> None:
        buffered.append(receive.__self__.transport)  # type: ignore[attr-defined]  # uvicorn's
        await Response(b"x" * 60_000, headers={"Connection": "close"})(scope, receive, send)  # type: ignore[arg-type]  # plain ASGI callables

    limited = LeastRateMiddleware(app, least_rate=LEAST_RATE, window_seconds=WINDOW_SECONDS)  # type: ignore[arg-type]  # plain ASGI callables
    async with serving(limited, buffer_bytes=4096) as url, slow_readers(url, "/", 1):
        await asyncio.sleep(0.2)
        assert buffered[0].get_write_buffer_size() > 0
        await asyncio.sleep(2 * WINDOW_SECONDS + 1)
        assert buffered[0].get_write_buffer_size() == 0


async def test_large_answers_when_one_network_holds_its_share_then_others_and_small_ones_are_answered(
    site: Site,
) -> None:
    async with (
        serving_site(site, window_seconds=PATIENCE_SECONDS) as url,
        slow_readers(url, "/whole", LARGE_ANSWERS + 6) as readers,
        httpx.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS / 2, verify=NO_CERTIFICATES) as client,
    ):
        statuses = [reader.status for reader in readers]
        small = await client.get("small")
        mine = await client.get("whole")
        other = await client.get("whole", headers={"X-Forwarded-For": "2001:db8::1"})

    assert (statuses.count(200), statuses.count(429)) == (LARGE_ANSWERS // 2, LARGE_ANSWERS // 2 + 6)
    assert (small.status_code, other.status_code) == (200, 200)
    assert (mine.status_code, mine.headers["retry-after"]) == (429, "5")
    assert len(other.content) > LARGE_BYTES
