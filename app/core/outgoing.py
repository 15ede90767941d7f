"""The service's outgoing HTTP clients, and the certificates that they trust.

Clients are made here, so that none of them keeps a cookie, and all take the way out that is set.

One client serves all users. A cookie that it kept would make one session of them all, and servers like OpenML's (PHP)
serve the requests of a session one after the other: a slow download would hold up everybody.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import httpx
import structlog

from app.core import tracing
from app.core.way_out import STRAIGHT, Proxy, WayOut

if TYPE_CHECKING:
    import requests

log = structlog.get_logger(__name__)

OUR_NAME = "openml-web"
NO_LIMITS = httpx.Limits()
SAY_AGAIN_SECONDS = 60.0
"""The same reason is logged as rarely: whoever waits for a server asks again and again."""


def open_http(
    server_url: str,
    *,
    timeout: httpx.Timeout,
    way_out: WayOut = STRAIGHT,
    base_url: str = "",
    headers: Mapping[str, str] | None = None,
    limits: httpx.Limits = NO_LIMITS,
) -> httpx.AsyncClient:
    """Return a client for calls to one server. The environment's proxies and passwords are not for it, but by settings.

    Raises:
        SettingsError: the certificates that are to be believed cannot be read.
    """
    if way_out.ca_file:
        trusted_certificates(way_out.ca_file)
    proxy = way_out.proxy_to(server_url)
    return httpx.AsyncClient(
        transport=_Explained(
            partial(_open_transport, proxy, way_out.ca_file, limits),
            server=httpx.URL(server_url).host,
            proxy=proxy,
        ),
        base_url=base_url,
        timeout=timeout,
        headers={"User-Agent": OUR_NAME, **(headers or {})},
        cookies=_no_cookies(),
        trust_env=False,
    )


def _open_transport(proxy: Proxy | None, ca_file: str, limits: httpx.Limits) -> httpx.AsyncHTTPTransport:
    certificates = trusted_certificates(ca_file)
    return httpx.AsyncHTTPTransport(
        verify=certificates,
        trust_env=False,
        limits=limits,
        proxy=_known_to_httpx(proxy, certificates) if proxy else None,
    )


def _known_to_httpx(proxy: Proxy, certificates: ssl.SSLContext) -> httpx.Proxy:
    is_secure = proxy.url.startswith("https://")
    return httpx.Proxy(proxy.url, ssl_context=certificates if is_secure else None)


class _Explained(httpx.AsyncBaseTransport):
    """A transport that logs why a server cannot be reached and what to set, at a limited rate.

    The system's certificates are read for the first request, and not at the start, of which they would be a part that
    is felt.
    """

    def __init__(
        self, open_transport: Callable[[], httpx.AsyncHTTPTransport], *, server: str, proxy: Proxy | None
    ) -> None:
        self._open_transport = open_transport
        self._transport: httpx.AsyncHTTPTransport | None = None
        self._opening = asyncio.Lock()
        self._server = server
        self._proxy = proxy
        self._said: tuple[str, float] = ("", 0.0)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request.

        Raises:
            httpx.ConnectError: also where the proxy refuses, for then nothing has reached the server.
        """
        transport = self._transport or await self._opened()
        if traceparent := tracing.traceparent():
            request.headers[tracing.TRACEPARENT] = traceparent
        try:
            response = await transport.handle_async_request(request)
        except httpx.ProxyError as error:
            raise self._refused(str(error), request) from None
        except httpx.ConnectError as error:
            self._say(with_advice(str(error)))
            raise
        if self._proxy is not None and response.status_code == httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
            await response.aclose()
            raise self._refused(f"{response.status_code} {response.reason_phrase}", request)
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        if self._transport is not None:
            await self._transport.aclose()

    async def _opened(self) -> httpx.AsyncHTTPTransport:
        async with self._opening:
            if self._transport is None:
                self._transport = await asyncio.to_thread(self._open_transport)
            return self._transport

    def _refused(self, answer: str, request: httpx.Request) -> httpx.ConnectError:
        assert self._proxy is not None  # noqa: S101 - nobody else refuses as a proxy
        reason = self._proxy.explain(answer)
        self._say(reason)
        return httpx.ConnectError(reason, request=request)

    def _say(self, reason: str) -> None:
        said, at = self._said
        if reason == said and time.monotonic() - at < SAY_AGAIN_SECONDS:
            return
        self._said = (reason, time.monotonic())
        place = self._proxy.place if self._proxy else None
        log.warning("a server cannot be reached", server=self._server, proxy=place, reason=reason)


def open_session(server_url: str, way_out: WayOut) -> "requests.Session":
    """Return a client for a library that calls one server by `requests`, in a thread of its own."""
    import requests  # noqa: PLC0415 - of an extra
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 - as above

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *sizes: Any, **choices: Any) -> None:  # noqa: ANN401 - as there
            super().init_poolmanager(*sizes, ssl_context=read_certificates(way_out.ca_file), **choices)

        def proxy_manager_for(self, proxy: str, **choices: Any) -> Any:  # noqa: ANN401 - as there
            # Which has connections of its own, and would take the library's certificates for them.
            return super().proxy_manager_for(proxy, ssl_context=read_certificates(way_out.ca_file), **choices)

    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.mount("https://", Adapter())
    if proxy := way_out.proxy_to(server_url):
        session.proxies = {"http": proxy.url, "https": proxy.url}
    return session


def open_http_for_command(
    *, timeout: httpx.Timeout, headers: Mapping[str, str], through_proxy: bool
) -> httpx.Client:
    """Return a client for somebody's command line; `through_proxy` lets the environment name one. No redirects."""
    return httpx.Client(
        timeout=timeout,
        headers=headers,
        cookies=_no_cookies(),
        follow_redirects=False,
        trust_env=through_proxy,
    )


def _no_cookies() -> CookieJar:
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))


@cache
def trusted_certificates(ca_file: str = "") -> ssl.SSLContext:
    """Return the system's, read once a process, which takes longer than to import a library.

    Raises:
        SettingsError: see `read_certificates`.
    """
    return read_certificates(ca_file)


def read_certificates(ca_file: str = "") -> ssl.SSLContext:
    """Return the system's certificates (or those of `SSL_CERT_FILE`, in their place), and beside them those of a file.

    Raises:
        SettingsError: the file cannot be read, or holds no certificate.
    """
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(cafile=ca_file)
        except ssl.SSLError:
            from app.core.settings import SettingsError  # noqa: PLC0415 - clients of the service have no settings

            raise SettingsError(
                "OUTGOING_CA_FILE holds no certificates. Name a file in PEM format."
            ) from None
        except OSError as error:
            from app.core.settings import SettingsError  # noqa: PLC0415 - clients of the service have no settings

            raise SettingsError(f"OUTGOING_CA_FILE cannot be read: {error.strerror}") from None
    return context


def with_advice(reason: str) -> str:
    """Return why a connection failed, and what to set where it is for a certificate."""
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return f"{reason}; if its authority is your own, name the authority's file in OUTGOING_CA_FILE"
    return reason
