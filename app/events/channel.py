"""Notifications that reach every process on the same Redis (`REDIS_URL`), by publish and subscribe."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import NoReturn

import redis.asyncio as redis

from app.core.tasks import heed_cancellation, in_background, side_by_side
from app.events.notifications import Notifications
from app.events.reconnect import stay_connected

OUTGOING = 1000
"""Notifications that may wait to be sent; those beyond are dropped, and found by polling."""
SILENCE_SECONDS = 15
ANSWER_SECONDS = 5


class RedisChannel:
    """One channel for all topics: a process hears what all others notify."""

    def __init__(self, client: "redis.Redis", notifications: Notifications, *, name: str) -> None:
        self._client = client
        self._notifications = notifications
        self._name = name
        # A process has woken its own already.
        self._sender = secrets.token_hex(4)
        self._outgoing: asyncio.Queue[str] = asyncio.Queue(OUTGOING)
        self._is_up = False

    @property
    def is_up(self) -> bool:
        """Whether Redis answers, as far as is known."""
        return self._is_up

    def announce(self, topic: str) -> None:
        """Queue a message to the other processes; it is sent in the background."""
        if self._is_up:
            with suppress(asyncio.QueueFull):
                self._outgoing.put_nowait(f"{self._sender} {topic}")

    async def run(self) -> NoReturn:
        """Send and hear until cancelled, whether or not Redis is there."""
        await stay_connected("Redis", self._session)

    async def _session(self, connected: Callable[[], None]) -> None:
        async with self._client.pubsub() as subscription:
            await subscription.subscribe(self._name)
            connected()
            self._is_up = True
            try:
                await side_by_side(self._send(), self._hear(subscription))
            finally:
                self._is_up = False

    async def _send(self) -> None:
        while True:
            heed_cancellation()
            await self._client.publish(self._name, await self._outgoing.get())

    async def _hear(self, subscription: "redis.client.PubSub") -> None:
        while True:
            heed_cancellation()
            message = await next_message(subscription)
            if message is not None:
                sender, _, topic = message.partition(" ")
                if sender != self._sender:
                    self._notifications.wake(topic)


async def next_message(subscription: "redis.client.PubSub") -> str | None:
    """Wait for the next message of the channel; None if none came in time, but Redis answers.

    Raises:
        ConnectionError: Redis does not answer: a connection that was lost without an error looks like an idle one.
    """
    message = await subscription.get_message(timeout=SILENCE_SECONDS)
    if message is None:
        await subscription.ping()
        message = await subscription.get_message(timeout=ANSWER_SECONDS)
        if message is None:
            raise ConnectionError("Redis has fallen silent")
    return bytes(message["data"]).decode(errors="replace") if message["type"] == "message" else None


@asynccontextmanager
async def open_channel(
    pool: "redis.ConnectionPool", notifications: Notifications, *, prefix: str
) -> AsyncIterator[None]:
    """Let notifications reach the other processes while the body runs."""
    channel = RedisChannel(redis.Redis(connection_pool=pool), notifications, name=f"{prefix}.wakeups")
    notifications.announce, notifications.hears_others = channel.announce, lambda: channel.is_up
    async with in_background(channel.run()):
        yield
