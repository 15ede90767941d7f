"""What the server does at its end with those who still wait."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from app.core.leaving import Leaving
from app.core.middleware import RequestMiddleware
from app.core.serving import GentleServer, configure, listening


@pytest.mark.parametrize("begins", [False, True])
async def test_answer_when_the_server_stops_before_its_end_then_503_or_cut_and_no_traceback(
    caplog: pytest.LogCaptureFixture, *, begins: bool
) -> None:
    """As for `POST /data-upload` and streams of events, which wait for longer than a stop may last."""
    asked = asyncio.Event()

    async def wait_for_ever(_scope: Scope, _receive: Receive, send: Send) -> None:
        if begins:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"1", "more_body": True})
        asked.set()
        await asyncio.Event().wait()

    config = configure(RequestMiddleware(wait_for_ever, https=False), lifespan="off")
    config.timeout_graceful_shutdown = 0
    server = uvicorn.Server(config)
    with listening("127.0.0.1", 0, port_setting="PORT") as listener:
        serving = asyncio.create_task(server.serve([listener]))
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            asking = asyncio.create_task(client.get(f"http://127.0.0.1:{listener.getsockname()[1]}/"))
            await asked.wait()
            server.should_exit = True
            await serving
            if begins:
                with pytest.raises(httpx.RemoteProtocolError):
                    await asking
            else:
                answer = await asking
                assert answer.status_code == 503
                assert int(answer.headers["retry-after"]) >= 5
                assert "Send the same again" in answer.json()["detail"]
                assert "x-request-id" in answer.headers

    assert "Traceback" not in caplog.text


async def test_server_when_told_to_stop_then_first_not_ready_then_deaf_and_resting_connections_are_answered() -> (
    None
):
    told: list[str] = []
    leaving = Leaving(
        0.5, wake_streams=lambda: told.append("streams"), stop_writers=lambda: told.append("writers")
    )

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["leaving"] = leaving
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = f"leaving: {leaving.is_on}".encode()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    server = GentleServer(configure(application, lifespan="on"))
    with listening("127.0.0.1", 0, port_setting="PORT") as listener:
        address = listener.getsockname()[:2]
        serving = asyncio.create_task(server.serve([listener]))
        resting, other = [await asyncio.open_connection(*address) for _ in range(2)]
        assert b"connection: close" not in await _ask(*resting)
        assert (await _ask(*other)).endswith(b"leaving: False")

        server.should_exit = True
        await _until(lambda: leaving.is_on)
        late = await asyncio.open_connection(*address)
        assert (await _ask(*late)).endswith(b"leaving: True")
        await _until(lambda: not server.servers[0].is_serving())
        with pytest.raises(OSError, match="onnect"):
            await asyncio.open_connection(*address)
        assert b"connection: close" in await _ask(*resting)
        assert await resting[0].read() == b""
        await serving

    assert told == ["streams"], "nobody wrote for long"
    for _, writer in (resting, other, late):
        writer.close()


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))


async def _until(look: Callable[[], bool]) -> None:
    while not look():  # noqa: ASYNC110 - what changes is the server's
        await asyncio.sleep(0.01)
