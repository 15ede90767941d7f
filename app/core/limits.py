"""Rate limits: the table of them all, and counting against it.

What must hold across workers is counted in Redis if there is one, else in the database; the rest in memory. A limit
counts attempts, whether or not there is such an account, so that nobody learns from it who has one.
"""

import hashlib
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import NoReturn, TypeVar

import structlog
from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError

from app.core import metrics
from app.core.clients import Client
from app.core.errors import DatabaseConflictError, TooManyRequestsError

log = structlog.get_logger(__name__)
T = TypeVar("T")

AWAY_SECONDS = 10.0
"""How long the place where workers count together is left alone after it did not answer."""
LIMITS: Mapping[str, str] = {
    # Attempts to log in: from one address to one account, from one address, from everybody.
    "login-account-address": "20/5 minutes",
    "login-address": "200/5 minutes",
    "login-everybody": "10000/5 minutes",
    # Wrong passwords: for one account from one address, and for one account from all addresses that it never had a
    # good login from. Its owner's addresses have, so that nobody can lock them out.
    "wrong-password-account-address": "10/5 minutes",
    "wrong-password-account": "50/1 hour",
    # Wrong passwords for any account from one network where none of them lives, and those of somebody signed in.
    "wrong-password-address": "200/1 hour",
    "wrong-password-again": "20/1 hour",
    # Wrong second factors, which only whoever has the first can try: for one log-in that is half done, for one account
    # from one address, and from all addresses that it never had a good login from.
    "second-factor-ticket": "5/5 minutes",
    "second-factor-account-address": "30/1 day",
    "second-factor-account": "20/1 day",
    # Log-ins with a provider that begin, and that come back.
    "provider-address": "120/1 hour",
    # What a browser needs to sign in with a passkey: each sign-in page asks for it anew every four minutes.
    "passkey-options-address": "1000/5 minutes",
    "refresh-address": "300/5 minutes",
    "signup-address": "20/1 hour",
    "signup-everybody": "2000/1 hour",
    # Mails that anybody can ask for, and those that were really sent to one account and to all.
    "mail-address": "30/1 hour",
    "mail-account": "5/1 hour",
    "mail-everybody": "2000/1 hour",
    "link-address": "60/1 hour",
    # Streams without a login, each of a second, by which an operator sees what the web server in front does to them.
    "stream-address": "30/5 minutes",
    "feedback-address": "5/1 hour",
    "feedback-everybody": "100/1 hour",
    # What users report to administrators: one of them, and all.
    "report-account": "10/1 hour",
    "report-everybody": "200/1 hour",
    "change-account": "30/1 hour",
    "export-account": "10/1 hour",
    # API keys that open nothing.
    "wrong-key-address": "30/1 hour",
    # API tokens that anybody revokes who has them.
    "revoke-address": "60/1 hour",
    # Tokens of CI jobs that are to be exchanged: jobs of many share addresses.
    "exchange-address": "600/1 hour",
    # What is asked about the contents of published files; each may mean a question to OpenML.
    "contents-address": "20000/1 hour",
    "openml-account": "1200/1 hour",
    "upload-account": "3000/1 hour",
    "upload-address": "6000/1 hour",
    # Requests to /uploads, of which some are the cheap ones of a page that watches; those that bring bytes, for a bad
    # line needs many.
    "uploads-account": "72000/1 hour",
    "chunk-account": "36000/1 hour",
}
LOCAL = frozenset(
    {
        "login-account-address",
        "login-address",
        "login-everybody",
        "passkey-options-address",
        "stream-address",
        "wrong-key-address",
        "exchange-address",
        "refresh-address",
        "contents-address",
        "openml-account",
        "upload-account",
        "uploads-account",
        "upload-address",
        "chunk-account",
    }
)
"""Counted in the memory of each process, and so not exact across processes: an exact count would cost a write each."""
MODEST = 5
"""Attempts of one network that are not counted against the whole site."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One attempt to be counted: against which limit, and whose; `scale` times the limit's amount is allowed."""

    limit: str
    subject: str = ""
    scale: int = 1


def hits_from(limit: str, client: Client, *, about: str = "") -> list[Hit]:
    """Return one attempt as it counts for each network that the client is in.

    Whoever has a /48 of IPv6 has 65 536 networks of the size that a household has.
    """
    return [Hit(limit, f"{about} {name}".lstrip(), scale) for name, scale in client.networks]


class RateLimiter:
    """Counts attempts. `shared` is where workers count together."""

    def __init__(self, shared: Storage, *, overrides: Mapping[str, str]) -> None:
        self._limits: dict[str, RateLimitItem] = {
            name: parse(text) for name, text in {**LIMITS, **overrides}.items()
        }
        self._shared = FixedWindowRateLimiter(shared)
        self._local = FixedWindowRateLimiter(MemoryStorage())
        self._under_way: Counter[str] = Counter()
        self._is_away, self._away_until = False, 0.0

    async def hit(self, *hits: Hit) -> None:
        """Count the attempt everywhere it belongs.

        Raises:
            TooManyRequestsError: some limit is reached; it says when to come back.
        """
        for hit in hits:
            item, key = self._counter(hit)
            if not await self._ask(hit.limit, partial(_hit, item=item, key=key, cost=1)):
                await self._refuse(hit)

    async def hit_site(self, limit: str, network: str) -> None:
        """Count an attempt of a network against the limit of the whole site.

        Half of that limit is reserved for networks with few attempts, so that one network cannot use all of it.

        Raises:
            TooManyRequestsError: it is used up.
        """
        hit, little = Hit(limit), Hit(limit, network)
        (item, key), (_, own_key) = self._counter(hit), self._counter(little)

        async def count(limiter: FixedWindowRateLimiter) -> bool:
            is_modest = await limiter.hit(_with_amount(item, MODEST), own_key)
            left = (await limiter.get_window_stats(item, key)).remaining
            return (is_modest or 2 * left > item.amount) and await limiter.hit(item, key)

        if not await self._ask(limit, count):
            await self._refuse(hit)

    @asynccontextmanager
    async def trying(self, *hits: Hit) -> AsyncIterator[None]:
        """Let the body try something that counts only if it fails (`note`), and no more at once than may still fail.

        Nothing is written for those that succeed. Attempts under way in this process count as failed, so that
        simultaneous ones cannot pass before the first is counted.

        Raises:
            TooManyRequestsError: some limit is reached, or would be if all under way failed.
        """
        keys = [self._counter(hit)[1] for hit in hits]
        self._under_way.update(keys)
        try:
            for hit in hits:
                item, key = self._counter(hit)
                test = partial(_test, item=item, key=key, cost=self._under_way[key])
                if not await self._ask(hit.limit, test):
                    await self._refuse(hit)
            yield
        finally:
            self._under_way.subtract(keys)
            for key in keys:
                if not self._under_way[key]:
                    del self._under_way[key]

    async def note(self, *hits: Hit) -> None:
        """Count failures of what was tried, whether or not a limit is reached by them."""
        await self._add(hits, 1)

    async def give_back(self, *hits: Hit) -> None:
        """Undo `hit`, for attempts that turned out to be none of those that are limited."""
        await self._add(hits, -1)

    async def _add(self, hits: Sequence[Hit], cost: int) -> None:
        for hit in hits:
            item, key = self._counter(hit)
            await self._ask(hit.limit, partial(_hit, item=item, key=key, cost=cost))

    async def _refuse(self, hit: Hit) -> NoReturn:
        item, key = self._counter(hit)
        log.warning("rate limit", limit=hit.limit)
        metrics.LIMITS_HIT.add(hit.limit)

        async def ends_at(limiter: FixedWindowRateLimiter) -> float:
            return (await limiter.get_window_stats(item, key)).reset_time

        seconds = await self._ask(hit.limit, ends_at) - time.time()
        raise TooManyRequestsError.of_attempts(retry_after_seconds=max(1, math.ceil(seconds)))

    async def _ask(self, limit: str, question: Callable[[FixedWindowRateLimiter], Awaitable[T]]) -> T:
        """Ask where workers count together; this process alone while that is away.

        Each worker that counts for itself is weaker, but neither open nor shut. A place that is away is not asked again
        for a while: one that says nothing would hold up every log-in.
        """
        if limit in LOCAL or time.monotonic() < self._away_until:
            return await question(self._local)
        try:
            answer = await question(self._shared)
        except StorageError as error:
            if not isinstance(error.__cause__, DatabaseConflictError):
                self._away_until = time.monotonic() + AWAY_SECONDS
                if not self._is_away:
                    log.warning("rate limits cannot be shared", reason=repr(error.__cause__ or error))
                self._is_away = True
            return await question(self._local)
        if self._is_away:
            log.info("rate limits are shared again")
            self._is_away = False
        return answer

    def _counter(self, hit: Hit) -> tuple[RateLimitItem, str]:
        # A digest: what people typed into a login form is nobody's business, and may be long.
        subject = hashlib.sha256(hit.subject.strip().casefold().encode(errors="surrogatepass")).hexdigest()[
            :32
        ]
        item = self._limits[hit.limit]
        return _with_amount(item, item.amount * hit.scale), f"{hit.limit}/{subject}"


async def _hit(limiter: FixedWindowRateLimiter, *, item: RateLimitItem, key: str, cost: int) -> bool:
    return await limiter.hit(item, key, cost=cost)


async def _test(limiter: FixedWindowRateLimiter, *, item: RateLimitItem, key: str, cost: int) -> bool:
    return await limiter.test(item, key, cost=cost)


def _with_amount(item: RateLimitItem, amount: int) -> RateLimitItem:
    return type(item)(amount, item.multiples)


def parse_overrides(entries: Sequence[str]) -> dict[str, str]:
    """Read `name=limit` entries such as `login-address=200/5 minutes`.

    Raises:
        ValueError: a name is unknown or a limit cannot be read.
    """
    overrides = dict(entry.split("=", 1) for entry in entries if "=" in entry)
    for entry in entries:
        name, _, text = entry.partition("=")
        if name not in LIMITS:
            raise ValueError(f"{name!r} is no limit; there are {', '.join(LIMITS)}")
        parse(text)
    return overrides
