"""Queues as lists in Redis; imported where it is used, for it needs the extra `redis`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache

from redis import DriverInfo
from redis.asyncio import Redis

from app.core.tasks import heed_cancellation

READ_SECONDS = 5
"""How long Redis lets one question wait for a message; shorter than the longest wait for an answer."""


class RedisLists:
    """A list for each topic: pushed to its end, and popped from its front.

    No streams: a message is acknowledged when it is taken, so none has to be kept, and with a stream the unacknowledged
    ones of a reader that ended would have to be claimed.
    """

    def __init__(self, client: Redis, names: Mapping[str, str], *, length: int) -> None:
        self._client = client
        self._names = names
        self._length = length

    async def offer(self, topic: str) -> None:
        """Push one message, and drop the oldest of a list that is too long."""
        name = self._names[topic]
        async with self._client.pipeline() as pipeline:
            pipeline.rpush(name, topic)
            pipeline.ltrim(name, -self._length, -1)
            await pipeline.execute()

    async def take(self, topic: str) -> Callable[[], Awaitable[None]]:
        """Wait for a message; Redis serves who has waited for longest."""
        while await self._client.blpop([self._names[topic]], timeout=READ_SECONDS) is None:
            heed_cancellation()
        return _acknowledge


async def _acknowledge() -> None:
    """Do nothing: a popped message needs no acknowledgement."""


@asynccontextmanager
async def connect_redis(
    url: str, names: Mapping[str, str], *, length: int, silence_seconds: float
) -> AsyncIterator[RedisLists]:
    """Connect while the body runs."""
    client = Redis.from_url(
        url,
        socket_timeout=silence_seconds,
        socket_connect_timeout=silence_seconds,
        driver_info=driver_info(),
    )
    try:
        await client.ping()
        yield RedisLists(client, names, length=length)
    finally:
        await client.aclose()


@cache
def driver_info() -> DriverInfo:
    """Look on the disk for the client's version: at the start, not for each connection, on the event loop."""
    return DriverInfo()
