"""The look-aside of the denylist in Redis (`REDIS_URL`): a token that one process logs out, all refuse unasked.

A sorted set holds the ids by the end of their tokens, for processes that start later; a channel tells those that run.
Each keeps a copy in memory (app/core/denylist.py), so that a request with a good token asks Redis nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, NoReturn

import redis.asyncio as redis

from app.core.denylist import CACHED_AT_MOST, Denylist
from app.core.tasks import heed_cancellation, in_background, side_by_side
from app.events.channel import next_message
from app.events.reconnect import stay_connected

OUTGOING = 1000
"""Most tokens that may wait to be announced; those beyond are refused by the database alone."""


class RedisDenylist:
    """Keeps one process's denylist and that of all others alike, as long as Redis is there."""

    def __init__(self, client: "redis.Redis", denylist: Denylist, *, name: str) -> None:
        self._client = client
        self._denylist = denylist
        self._name = name
        self._outgoing: asyncio.Queue[tuple[str, datetime]] = asyncio.Queue(OUTGOING)

    def announce(self, jti: str, ends_at: datetime) -> None:
        """Queue a message to the other processes; it is sent in the background."""
        with suppress(asyncio.QueueFull):
            self._outgoing.put_nowait((jti, ends_at))

    async def run(self) -> NoReturn:
        """Tell and learn until cancelled, whether or not Redis is there."""
        await stay_connected("Redis", self._session)

    async def _session(self, connected: Callable[[], None]) -> None:
        async with self._client.pubsub() as subscription:
            # Before the set is read: what comes in between is heard.
            await subscription.subscribe(self._name)
            await self._exchange()
            connected()
            await side_by_side(self._tell(), self._hear(subscription))

    async def _exchange(self) -> None:
        """Put into the set what was logged out while Redis was away, and learn what others put there."""
        if mine := self._denylist.living():
            await self._client.zadd(self._name, {jti: ends_at.timestamp() for jti, ends_at in mine})
        options: dict[str, Any] = {"byscore": True, "desc": True, "offset": 0, "num": CACHED_AT_MOST}
        now = self._denylist.now().timestamp()
        found: Any = await self._client.zrange(self._name, "+inf", now, withscores=True, **options)
        for jti, ends_at in reversed(found):
            self._learn(bytes(jti).decode(errors="replace"), ends_at)

    async def _tell(self) -> None:
        while True:
            heed_cancellation()
            jti, ends_at = await self._outgoing.get()
            try:
                async with self._client.pipeline() as pipeline:
                    pipeline.zadd(self._name, {jti: ends_at.timestamp()})
                    pipeline.zremrangebyscore(self._name, "-inf", self._denylist.now().timestamp())
                    pipeline.publish(self._name, f"{jti} {ends_at.timestamp()}")
                    await pipeline.execute()
            except BaseException:
                self.announce(jti, ends_at)  # Once more, on the next connection.
                raise

    async def _hear(self, subscription: "redis.client.PubSub") -> None:
        while True:
            heed_cancellation()
            message = await next_message(subscription)
            if message is not None:
                jti, _, ends_at = message.partition(" ")
                self._learn(jti, ends_at)

    def _learn(self, jti: str, ends_at: str | float) -> None:
        # Whoever may write there can write anything.
        with suppress(ValueError, OverflowError, OSError):
            self._denylist.learn(jti, datetime.fromtimestamp(float(ends_at), UTC))


@asynccontextmanager
async def open_denylist(
    pool: "redis.ConnectionPool", denylist: Denylist, *, prefix: str
) -> AsyncIterator[None]:
    """Let tokens that are logged out be known to the other processes while the body runs."""
    shared = RedisDenylist(redis.Redis(connection_pool=pool), denylist, name=f"{prefix}.logged-out")
    denylist.announce = shared.announce
    async with in_background(shared.run()):
        yield
