"""Client of one upstream server: it gets only the request data that it needs, and its answers are not trusted.

No cookie, no token and no address of the browser's goes there, and no redirect is followed off the server.

Requests to a server share two kinds of places, fairly between the networks that ask: one while the server is being
asked, one while a large answer goes through. An answer that is small is read to its end before anybody reads it here.
So whoever reads slowly holds neither a connection nor the place of a small answer, and of large ones only a share.
"""

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

import httpx

from app.core.outgoing import OUR_NAME
from app.core.shares import Place, Shares, ShareUsedUpError, Subject

CONNECT_SECONDS = 3
BUSY_SECONDS = 3
"""How long a request waits until the server may be asked."""
SMALL_BYTES = 1 << 18
"""An answer up to here lies in memory before it is passed on; nearly all of OpenML's documents do."""
VIA = f"1.1 {OUR_NAME}"
HOPS = 3


class UpstreamError(Exception):
    """The server did not answer as it should; the text is for the log and may be shown."""


class UnreachableError(UpstreamError):
    """The server cannot be reached, or its answer broke off."""


class AwayError(UnreachableError):
    """No connection to the server could be opened."""


class BusyError(UpstreamError):
    """As many requests as may are at the server; `is_own_share` says that they are the asker's."""

    def __init__(self, *, is_own_share: bool) -> None:
        super().__init__("too many requests are waiting for it")
        self.is_own_share = is_own_share


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
        self._body = response.aiter_raw()
        self._beginning = bytearray()
        self._failure: UnreachableError | None = None
        self._place: Place | None = None
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def read_ahead(self) -> bool:
        """Read as much as a small answer has, and return whether that was all; the connection then is free again."""
        try:
            async for chunk in self._body:
                self._beginning += chunk
                if len(self._beginning) > SMALL_BYTES:
                    return False
        except httpx.HTTPError as error:
            self._failure = _broken(error)
        await self._response.aclose()
        return True

    def hold(self, place: Place) -> None:
        """Keep a place of the concurrency limit for large answers until `close` releases it."""
        self._place = place

    @property
    def location(self) -> str | None:
        """The target of a redirect, None if the answer is not one."""
        return self.headers.get("location", "") if 300 <= self.status < 400 and self.status != 304 else None  # noqa: PLR2004 - HTTP's

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body, once.

        Raises:
            UnreachableError: the body broke off.
        """
        if self._beginning:
            yield bytes(self._beginning)
            self._beginning.clear()
        if self._failure is not None:
            raise self._failure
        try:
            async for chunk in self._body:
                yield chunk
        except httpx.HTTPError as error:
            raise _broken(error) from error

    async def close(self) -> None:
        """Release the connection to the pool, or close it if the body was not read to its end."""
        try:
            await self._response.aclose()
        finally:
            if self._place is not None:
                self._place.give_back()


def _broken(error: httpx.HTTPError) -> UnreachableError:
    return UnreachableError(f"the answer broke off ({type(error).__name__})")


class UpstreamClient:
    """Calls one server. `path` begins with a slash, is percent-encoded, and may carry a query string.

    Args:
        http: the client; it needs as many connections as there are places of both kinds.
        base_url: the server's root.
        asking: how many requests may be at the server at once.
        large: how many large answers may be on their way to readers here.
    """

    def __init__(self, http: httpx.AsyncClient, *, base_url: str, asking: int, large: int) -> None:
        self._http = http
        self._base = httpx.URL(base_url)
        self._asking = Shares(asking)
        self._large = Shares(large)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        asker: Subject,
        body: bytes | None = None,
        limit_bytes: int,
        media_type: str = "",
    ) -> Answer:
        """Return the whole answer, unpacked. `asker` is whose share of the places counts.

        Raises:
            UpstreamError: there is none.
        """
        headers = {"Content-Type": media_type} if media_type else {}
        with await self._place(asker):
            response = await self._send(method, path, headers, body)
            content = bytearray()
            try:
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > limit_bytes:
                        raise TooLargeError(f"the answer is larger than {limit_bytes} bytes")
            except httpx.HTTPError as error:
                raise _broken(error) from error
            finally:
                await response.aclose()
        return Answer(response.status_code, bytes(content))

    async def open(
        self, method: str, path: str, *, asker: Subject, headers: Mapping[str, str], body: bytes | None = None
    ) -> StreamedAnswer:
        """Return the answer once its beginning is there; the caller closes it. Redirects on the server are followed.

        Raises:
            UpstreamError: there is none.
        """
        with await self._place(asker):
            answer = StreamedAnswer(await self._follow(method, path, headers, body))
            try:
                if not await answer.read_ahead():
                    answer.hold(self._large.take_now(asker))
            except ShareUsedUpError as error:
                await answer.close()
                raise BusyError(is_own_share=error.is_own_share) from None
            except BaseException:
                await answer.close()
                raise
            return answer

    async def _place(self, asker: Subject) -> Place:
        try:
            return await self._asking.take(asker, seconds=BUSY_SECONDS)
        except ShareUsedUpError as error:
            raise BusyError(is_own_share=error.is_own_share) from None

    async def _follow(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> httpx.Response:
        response = await self._send(method, path, headers, body)
        for _ in range(HOPS):
            target = self._next_on_this_server(response)
            if target is None or method not in {"GET", "HEAD"}:
                break
            await response.aclose()
            response = await self._send(method, target.raw_path.decode("ascii"), headers, None)
        return response

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
            raise BusyError(is_own_share=False) from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise AwayError(f"no connection ({type(error).__name__})") from error
        except httpx.HTTPError as error:
            raise UnreachableError(f"no answer ({type(error).__name__})") from error
