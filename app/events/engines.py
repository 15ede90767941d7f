"""The brokers that `BROKER_URL` can name, behind one small protocol: Redis lists and RabbitMQ queues."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Protocol
from urllib.parse import urlsplit

from app.core.settings import SettingsError, missing_extra

LENGTH = 10_000
"""Messages that a queue holds at most; the oldest go, and the database still has their rows."""
SILENCE_SECONDS = 10
"""Longest wait for an answer."""

Acknowledge = Callable[[], Awaitable[None]]


class Engine(Protocol):
    """A connection to a broker. Every method raises what the driver raises when the broker is away."""

    async def offer(self, topic: str) -> None:
        """Put one message into the topic's queue; return when the broker has it."""

    async def take(self, topic: str) -> Acknowledge:
        """Wait for one message of the topic, and return what acknowledges it; nothing more is held until then."""


def queue_name(prefix: str, topic: str) -> str:
    """Return what the topic's queue is called at the broker.

    Versions up to 0.1.0 had streams and queues without `queue` in their names, which are no lists and have other
    arguments.
    """
    return f"{prefix}.queue.{topic}"


def require_engine(url: str) -> None:
    """See to it that `open_engine` will find what it needs.

    Raises:
        SettingsError: the address is none of a broker that we know, or its extra is not installed.
    """
    scheme = urlsplit(url).scheme
    try:
        if scheme in {"redis", "rediss"}:
            from app.events.redis_lists import driver_info  # noqa: PLC0415 - an extra

            driver_info()
        elif scheme in {"amqp", "amqps"}:
            import app.events.rabbitmq  # noqa: F401, PLC0415 - an extra
        else:
            raise SettingsError(
                "BROKER_URL is no broker's address. Write redis://host:6379/1 or amqp://user:password@host/"
            )
    except ImportError:
        raise missing_extra("BROKER_URL", "redis" if scheme.startswith("redis") else "rabbitmq") from None


@asynccontextmanager
async def open_engine(url: str, prefix: str, *topics: str) -> AsyncIterator[Engine]:
    """Connect for the topics while the body runs.

    Raises:
        TimeoutError: nothing was answered for `SILENCE_SECONDS`; or what the driver raises.
    """
    names = {topic: queue_name(prefix, topic) for topic in topics}
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(SILENCE_SECONDS):
            engine = await stack.enter_async_context(_connection(url, prefix, names))
        yield engine


def _connection(url: str, prefix: str, names: dict[str, str]) -> AbstractAsyncContextManager[Engine]:
    if urlsplit(url).scheme.startswith("redis"):
        from app.events.redis_lists import connect_redis  # noqa: PLC0415 - an extra

        return connect_redis(url, names, length=LENGTH, silence_seconds=SILENCE_SECONDS)
    from app.events.rabbitmq import connect_rabbitmq  # noqa: PLC0415 - an extra

    return connect_rabbitmq(url, f"{prefix}.queue", names, length=LENGTH, silence_seconds=SILENCE_SECONDS)
