"""HTTP clients of ours: made here, so that none of them keeps a cookie.

One client serves all users. A cookie that it kept would make one session of them all, and servers like OpenML's (PHP)
serve the requests of a session one after the other: a slow download would hold up everybody.
"""

from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from app.core.certificates import trusted_certificates

OUR_NAME = "openml-web"
NO_LIMITS = httpx.Limits()


def open_http(
    *,
    timeout: httpx.Timeout,
    base_url: str = "",
    headers: Mapping[str, str] | None = None,
    limits: httpx.Limits = NO_LIMITS,
) -> httpx.AsyncClient:
    """Return a client for calls to other servers. The environment's proxies and passwords are not for it."""
    return httpx.AsyncClient(
        base_url=base_url,
        timeout=timeout,
        limits=limits,
        headers={"User-Agent": OUR_NAME, **(headers or {})},
        cookies=_no_cookies(),
        verify=trusted_certificates(),
        trust_env=False,
    )


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
