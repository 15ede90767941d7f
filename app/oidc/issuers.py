"""Issuers whose tokens are believed: their metadata and keys, kept for a while, and their tokens verified."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from app.core.way_out import WayOut, is_this_machine
from app.oidc import id_token
from app.oidc.discovery import Metadata, metadata_address, read_metadata
from app.oidc.errors import OidcError, ProviderBrokenError, TokenRefusedError
from app.oidc.fetching import Fetcher, is_secure
from app.oidc.id_token import Claims, Expected
from app.oidc.keys import find_key, is_usable, read_keys

T = TypeVar("T")

FRESH_SECONDS = 3600.0
"""How long metadata and keys are used without another look."""
STALE_SECONDS = 24 * 3600.0
"""How long they are used when the issuer does not answer."""
AGAIN_SECONDS = 60.0
"""How rarely an issuer is asked again: a token with an unknown key is made in a moment, by anybody."""
AWAY_SECONDS = 5.0
"""How long nobody asks again after it gave nothing."""
MOST_ISSUERS = 64


class _Kept(Generic[T]):
    """A document, asked for by one caller at a time, and no more often than `AGAIN_SECONDS`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._asking = asyncio.Lock()
        self._found: tuple[float, T] | None = None
        self._rests_until = 0.0
        self._failure: OidcError = ProviderBrokenError("it was never asked")

    async def get(
        self, ask: Callable[[], Awaitable[T]], *, newer_than: float | None = None
    ) -> tuple[float, T]:
        """Return when it came, and what it is; asked for again when it is old, or not newer than a time.

        Raises:
            OidcError: there is none, and the issuer gives none.
        """
        async with self._asking:
            if self._is_good(newer_than):
                return self._required()
            try:
                self._found = (self._clock(), await ask())
                self._rests_until = self._clock() + AGAIN_SECONDS
            except OidcError as error:
                self._failure = error
                self._rests_until = self._clock() + AWAY_SECONDS
                if self._found is not None and self._clock() - self._found[0] > STALE_SECONDS:
                    self._found = None
            return self._required()

    def _is_good(self, newer_than: float | None) -> bool:
        now = self._clock()
        if now < self._rests_until or self._found is None:
            return now < self._rests_until
        came = self._found[0]
        return now - came < FRESH_SECONDS and (newer_than is None or came > newer_than)

    def _required(self) -> tuple[float, T]:
        if self._found is None:
            raise self._failure
        return self._found


class Issuer:
    """One issuer. Its calls may wait for two answers of its server, each bounded."""

    def __init__(
        self,
        url: str,
        fetcher: Fetcher,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        self.url = url
        self._fetcher = fetcher
        self._now = now
        self._metadata: _Kept[Metadata] = _Kept(clock)
        self._keys: _Kept[Sequence[Mapping[str, Any]]] = _Kept(clock)

    async def metadata(self) -> Metadata:
        """Return what it says of itself.

        Raises:
            OidcError: it says nothing, or nothing to rely on.
        """
        _, found = await self._metadata.get(self._ask_metadata)
        return found

    async def count_keys(self) -> int:
        """Return how many keys it has that some algorithm can use.

        Raises:
            OidcError: it does not say.
        """
        _, keys = await self._keys.get(self._ask_keys)
        return sum(map(is_usable, keys))

    async def verify(self, token: str, expected: Expected) -> Claims:
        """Return what a token of this issuer says.

        Raises:
            TokenRefusedError: it is not to be believed; the text says why.
            ProviderAwayError, ProviderBrokenError: the issuer's keys cannot be had.
        """
        header = id_token.read_header(token)
        came, keys = await self._keys.get(self._ask_keys)
        key = find_key(keys, header.kid, header.algorithm)
        if key is None:
            _, keys = await self._keys.get(self._ask_keys, newer_than=came)
            key = find_key(keys, header.kid, header.algorithm)
        if key is None:
            raise TokenRefusedError("the ID token is signed with a key that its issuer does not have")
        return id_token.verify(token, key, issuer=self.url, expected=expected, now=self._now())

    async def _ask_metadata(self) -> Metadata:
        return read_metadata(self.url, await self._fetcher.get(metadata_address(self.url)))

    async def _ask_keys(self) -> Sequence[Mapping[str, Any]]:
        return read_keys(await self._fetcher.get((await self.metadata()).jwks_uri))


class Issuers:
    """The issuers of a process; the one that was not asked for longest goes when there are too many.

    Which of them may be believed for what is their caller's to say: none comes from a token.
    """

    def __init__(
        self,
        way_out: WayOut,
        *,
        now: Callable[[], datetime],
        allow_this_machine: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the way to their servers, the clock of all processes, and whether one may be on this machine."""
        self.fetcher = Fetcher(way_out)
        self._now = now
        self._clock = clock
        self._allow_this_machine = allow_this_machine
        self._known: OrderedDict[str, Issuer] = OrderedDict()

    def of(self, url: str) -> Issuer:
        """Return the issuer of that name, exactly as its tokens have it.

        Raises:
            ProviderBrokenError: the name is no `https` address.
        """
        if not is_issuer(url, allow_this_machine=self._allow_this_machine):
            raise ProviderBrokenError("the issuer is no https address")
        issuer = self._known.get(url)
        if issuer is None:
            issuer = self._known[url] = Issuer(url, self.fetcher, now=self._now, clock=self._clock)
        self._known.move_to_end(url)
        while len(self._known) > MOST_ISSUERS:
            self._known.popitem(last=False)
        return issuer


def is_issuer(url: str, *, allow_this_machine: bool) -> bool:
    """Return whether a text can name an issuer: an `https` address without query; of this machine in development."""
    if not is_secure(url) or "?" in url:
        return False
    return allow_this_machine or not is_this_machine(urlsplit(url).hostname or "")
