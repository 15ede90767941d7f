"""One server behind us: asked with nothing of the browser's that it does not need, and never trusted.

No cookie, no token and no address of the browser's goes there, and no redirect is followed off the server.
"""

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

import httpx

from app.core.outgoing import OUR_NAME

CONNECT_SECONDS = 3
BUSY_SECONDS = 3
"""How long a request waits for one of the connections."""
VIA = f"1.1 {OUR_NAME}"
HOPS = 3


class UpstreamError(Exception):
    """The server did not answer as it should; the text is for the log and may be shown."""


class UnreachableError(UpstreamError):
    """The server cannot be reached, or its answer broke off."""


class AwayError(UnreachableError):
    """Nobody listens at the server's address."""


class BusyError(UpstreamError):
    """As many requests as may are waiting for the server."""


class TooLargeError(UpstreamError):
    """The answer is larger than we read."""


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes


class StreamedAnswer:
    """An answer whose body is still to come; the bytes are those on the wire, packed or not."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    @property
    def location(self) -> str | None:
        """The host that a redirect leads to, None if the answer is no redirect."""
        return self.headers.get("location", "") if 300 <= self.status < 400 and self.status != 304 else None  # noqa: PLR2004 - HTTP's

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body.

        Raises:
            UnreachableError: the body broke off.
        """
        try:
            async for chunk in self._response.aiter_raw():
                yield chunk
        except httpx.HTTPError as error:
            raise UnreachableError(f"the answer broke off ({type(error).__name__})") from error

    async def close(self) -> None:
        """Give the connection back, or up."""
        await self._response.aclose()


class UpstreamClient:
    """Calls one server. `path` begins with a slash, is percent-encoded, and may carry a query string."""

    def __init__(self, http: httpx.AsyncClient, *, base_url: str) -> None:
        self._http = http
        self._base = httpx.URL(base_url)

    async def ask(
        self, method: str, path: str, *, body: bytes | None = None, limit_bytes: int, media_type: str = ""
    ) -> Answer:
        """Return the whole answer, unpacked.

        Raises:
            UpstreamError: there is none.
        """
        headers = {"Content-Type": media_type} if media_type else {}
        response = await self._send(method, path, headers, body)
        content = bytearray()
        try:
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > limit_bytes:
                    raise TooLargeError(f"the answer is larger than {limit_bytes} bytes")
        except httpx.HTTPError as error:
            raise UnreachableError(f"the answer broke off ({type(error).__name__})") from error
        finally:
            await response.aclose()
        return Answer(response.status_code, bytes(content))

    async def open(
        self, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None = None
    ) -> StreamedAnswer:
        """Return the answer once its headers are there; the caller closes it. Redirects on the server are followed.

        Raises:
            UpstreamError: there is none.
        """
        response = await self._send(method, path, headers, body)
        for _ in range(HOPS):
            target = self._next_on_this_server(response)
            if target is None or method not in {"GET", "HEAD"}:
                break
            await response.aclose()
            response = await self._send(method, target.raw_path.decode("ascii"), headers, None)
        return StreamedAnswer(response)

    def _next_on_this_server(self, response: httpx.Response) -> httpx.URL | None:
        if not response.has_redirect_location:
            return None
        try:
            target = response.url.join(response.headers["location"])
        except (httpx.InvalidURL, ValueError):
            return None
        # The scheme may differ: servers send http to https. We stay on the one that we were given.
        return target if target.host == self._base.host else None

    async def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> httpx.Response:
        root = self._base.raw_path.rstrip(b"/")
        url = self._base.copy_with(raw_path=root + path.encode("ascii"))
        request = self._http.build_request(method, url, headers={**headers, "Via": VIA}, content=body)
        try:
            return await self._http.send(request, stream=True, follow_redirects=False)
        except httpx.PoolTimeout:
            raise BusyError("too many requests are waiting for it") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise AwayError(f"no connection ({type(error).__name__})") from error
        except httpx.HTTPError as error:
            raise UnreachableError(f"no answer ({type(error).__name__})") from error
