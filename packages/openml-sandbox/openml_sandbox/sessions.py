"""The session of PHP: every answer sets its cookie, and requests that bring the same one are served one by one.

PHP holds the file of a session locked from the beginning of a request to its end, downloads included. So one client
that serves many users, and keeps cookies, makes them all wait for each other. Clients without a cookie do not wait.
"""

import asyncio
import re
import secrets
from http.cookies import CookieError, SimpleCookie
from weakref import WeakValueDictionary

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "ci_session"
_LIFETIME_SECONDS = 7200
_SESSION = re.compile(r"[0-9a-zA-Z,-]{22,256}")
_NOT_PHP = "/sandbox/"
"""What the sandbox has for tests is not the server's."""


class PhpSessions:
    """Gives a session to everybody, and serves each session's requests one after the other."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"].startswith(_NOT_PHP):
            await self._app(scope, receive, send)
            return
        brought = _brought(Headers(scope=scope))
        session = brought or secrets.token_hex(16)

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("Set-Cookie", _cookie(session))
            await send(message)

        # Nobody else knows a new session: its lock is free.
        async with self._locks.setdefault(session, asyncio.Lock()):
            await self._app(scope, receive, send_with_cookie)


def _cookie(session: str) -> str:
    return f"{COOKIE}={session}; Max-Age={_LIFETIME_SECONDS}; path=/; HttpOnly"


def _brought(headers: Headers) -> str | None:
    """Return the session that the request belongs to; one that has no shape of ours is none."""
    try:
        cookie = SimpleCookie("; ".join(headers.getlist("cookie"))).get(COOKIE)
    except CookieError:
        return None
    return cookie.value if cookie is not None and _SESSION.fullmatch(cookie.value) else None
