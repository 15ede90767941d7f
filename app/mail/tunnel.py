"""A way through a proxy to a mail server (CONNECT: RFC 9110, 9.3.6)."""

import asyncio
import base64
import re
import socket
from urllib.parse import unquote, urlsplit

from app.core.way_out import Proxy

LONGEST_ANSWER = 1 << 14
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}[^\r\n]*)")


async def open_tunnel(proxy: Proxy, host: str, port: int, *, seconds: float) -> socket.socket:
    """Return a socket at whose other end is the server, having said nothing to it.

    Raises:
        OSError: the proxy cannot be reached, or refuses; the text has no password in it.
    """
    async with asyncio.timeout(seconds):
        parts = urlsplit(proxy.url)
        line = await asyncio.to_thread(
            socket.create_connection, (str(parts.hostname), parts.port or 80), timeout=seconds
        )
        try:
            line.settimeout(0)  # for the event loop
            await _connect(line, proxy, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        except BaseException:
            line.close()
            raise
    return line


async def _connect(line: socket.socket, proxy: Proxy, place: str) -> None:
    loop = asyncio.get_running_loop()
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}", *_login(proxy)]
    await loop.sock_sendall(line, "\r\n".join([*lines, "", ""]).encode())
    answer = b""
    # A byte at a time: what follows the answer is the mail server's, who speaks first.
    while not answer.endswith(b"\r\n\r\n") and len(answer) < LONGEST_ANSWER:
        byte = await loop.sock_recv(line, 1)
        if not byte:
            break
        answer += byte
    status = _STATUS.match(answer)
    if status is None:
        raise ConnectionError("the proxy does not answer as one")
    if not status[1].startswith(b"2"):
        raise ConnectionError(proxy.explain(status[1].decode("latin-1")))


def _login(proxy: Proxy) -> list[str]:
    parts = urlsplit(proxy.url)
    if not proxy.has_password:
        return []
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return [f"Proxy-Authorization: Basic {base64.b64encode(login.encode()).decode()}"]
