"""Requests to providers: bounded in size and time, without redirects, cookies or compression."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus, urlsplit

import httpx

from app.core.outgoing import open_http
from app.core.way_out import WayOut, is_this_machine
from app.oidc.errors import GrantRefusedError, ProviderAwayError, ProviderBrokenError

ANSWER_BYTES = 256 << 10
"""Of any answer; the largest documents in use have 30 kB."""
CHUNK_BYTES = 16 << 10
SECONDS = 10.0
"""Of a whole exchange: somebody waits for it before a page."""
TRIES = 2
"""Of what can be asked twice."""
LONGEST_CODE: Final = 64
"""Characters of an error code that are kept."""


class Fetcher:
    """Asks providers for JSON. Each call has a connection of its own: log-ins are rare, and servers many."""

    def __init__(self, way_out: WayOut, *, seconds: float = SECONDS) -> None:
        self._way_out = way_out
        self._seconds = seconds

    async def get(self, url: str, *, access_token: str = "") -> Any:  # noqa: ANN401 - JSON
        """Return the document at an address.

        Raises:
            ProviderAwayError: nothing came, twice.
            ProviderBrokenError: what came is no answer to read.
        """
        headers = {"Authorization": f"Bearer {access_token}"} if access_token else {}
        for _ in range(TRIES - 1):
            try:
                return _good(*await self._exchange("GET", url, headers))
            except ProviderAwayError:
                continue
        return _good(*await self._exchange("GET", url, headers))

    async def redeem(self, url: str, form: Mapping[str, str], *, basic: tuple[str, str] | None) -> Any:  # noqa: ANN401 - JSON
        """Send a form to a token endpoint, once, and return its document.

        Args:
            url: the endpoint's.
            form: the parameters of the grant.
            basic: client id and secret, where they are to go into the header (RFC 6749, 2.3.1).

        Raises:
            GrantRefusedError: the provider refuses it.
            ProviderAwayError: it may or may not have been redeemed.
            ProviderBrokenError: what came is no answer to read.
        """
        headers = {"Authorization": _basic(*basic)} if basic else {}
        status, document = await self._exchange("POST", url, headers, form)
        # GitHub answers 200 with an error.
        if isinstance(document, dict) and isinstance(document.get("error"), str):
            raise GrantRefusedError(_printable(document["error"]))
        return _good(status, document)

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        host = urlsplit(url).hostname
        try:
            async with (
                asyncio.timeout(self._seconds),
                open_http(
                    url,
                    timeout=httpx.Timeout(self._seconds),
                    way_out=self._way_out,
                    headers={"Accept": "application/json", "Accept-Encoding": "identity", **headers},
                ) as http,
                http.stream(method, url, data=dict(form) if form else None) as response,
            ):
                return response.status_code, await _document(response)
        except TimeoutError:
            raise ProviderAwayError(f"{host} takes longer than {self._seconds:g} seconds") from None
        except httpx.InvalidURL:
            raise ProviderBrokenError(f"an address at {host} cannot be asked") from None
        except httpx.HTTPError as error:
            raise ProviderAwayError(f"{host} cannot be reached ({type(error).__name__})") from None


async def _document(response: httpx.Response) -> Any:  # noqa: ANN401 - JSON
    """Return the answer's JSON; None where it is a failure with something else."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise ProviderBrokenError("the answer is compressed, which was not asked for")
    content = bytearray()
    async for chunk in response.aiter_raw(CHUNK_BYTES):
        content += chunk
        if len(content) > ANSWER_BYTES:
            raise ProviderBrokenError(f"the answer has more than {ANSWER_BYTES} bytes")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        if response.is_success:
            raise ProviderBrokenError("the answer is no JSON") from None
        return None


def _good(status: int, document: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the document of an answer that is one."""
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.TOO_MANY_REQUESTS:
        raise ProviderAwayError(f"the provider answers {status}")
    if status != httpx.codes.OK:
        raise ProviderBrokenError(f"the provider answers {status}")
    return document


def _basic(client_id: str, secret: str) -> str:
    return f"Basic {b64encode(f'{quote_plus(client_id)}:{quote_plus(secret)}'.encode()).decode()}"


def _printable(text: str) -> str:
    return "".join(each for each in text[:LONGEST_CODE] if each.isascii() and each.isprintable())


def is_secure(url: str, *, beside: str = "") -> bool:
    """Return whether an address may be asked: `https`, and of this machine only where the issuer's own is, too.

    Args:
        url: the address.
        beside: the issuer whose metadata name it; empty for the issuer itself, which may be this machine.
    """
    try:
        parts, issuer = urlsplit(url), urlsplit(beside or url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and " " not in url and not parts.fragment
    if not host or not is_plain or parts.username is not None:
        return False
    if is_this_machine(host):
        return is_this_machine(issuer.hostname or "") and parts.scheme in {"http", "https"}
    return parts.scheme == "https"
