"""What the server does at its end with those who still wait."""

import asyncio

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from app.core.middleware import RequestMiddleware
from app.core.serving import configure, listening


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
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
                assert "Send the same again" in answer.json()["detail"]
                assert "x-request-id" in answer.headers

    assert "Traceback" not in caplog.text
