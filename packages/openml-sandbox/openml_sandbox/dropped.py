"""An answer that never comes, or half of it: the connection is closed, or reset, in its place."""

import asyncio
import os
import socket
import struct

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

# Closing a socket that lingers for no time at all sends a reset instead of a farewell.
_NO_LINGER = struct.pack("ii", 1, 0)


class DroppedConnection(Response):
    """Ends the connection without a byte; needs uvicorn, whose `receive` knows the transport below it."""

    def __init__(self, *, is_reset: bool) -> None:
        super().__init__()
        self._is_reset = is_reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Drop the connection and wait until it is gone."""
        transport = _transport(receive)
        if self._is_reset:
            _let_close_reset(transport)
        await _close(transport, receive)


class BrokenOff(Response):
    """An answer of which the first half comes; needs uvicorn, too."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Announce the whole, send a half, and close the connection."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await _close(_transport(receive), receive)


def _transport(receive: Receive) -> asyncio.BaseTransport:
    # uvloop's transports are no subclass of asyncio's.
    transport: asyncio.BaseTransport | None = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is None:
        raise TypeError("faults that drop the connection need a sandbox that uvicorn runs")
    return transport


async def _close(transport: asyncio.BaseTransport, receive: Receive) -> None:
    """Close the connection and wait until it is gone."""
    transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass


def _let_close_reset(transport: asyncio.BaseTransport) -> None:
    # An option belongs to the connection, whichever descriptor it is set through.
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as twin:
        twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
