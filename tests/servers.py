"""ASGI applications on ports of their own, for tests of what passes between servers."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from app.core.serving import configure


@asynccontextmanager
async def serving(app: Any, *, buffer_bytes: int = 0) -> AsyncIterator[str]:
    """Serve `app` on a free port of this machine, in this process; yield its root.

    `buffer_bytes` is how much of an answer the system takes before it is read, instead of its own megabytes.
    """
    # asyncio switches Nagle's delay of 40 ms off for sockets that say they are TCP, and accepted ones inherit it.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        if buffer_bytes:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = uvicorn.Server(configure(app, lifespan="off"))
        task = asyncio.ensure_future(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            server.force_exit = True
            await task
