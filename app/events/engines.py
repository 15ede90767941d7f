"""The brokers that `BROKER_URL` can name: Redis streams and RabbitMQ, both as taskiq speaks to them."""

from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from taskiq import AsyncBroker

from app.core.settings import SettingsError, missing_extra

if TYPE_CHECKING:
    from redis import DriverInfo

LENGTH = 10_000
"""Messages that a queue holds at most; the oldest go, and the database still has their rows."""
DROPPED = 100
"""Messages kept for an operator to see that some were dropped."""
READ_MILLISECONDS = 2_000
SILENCE_SECONDS = 10
"""Longest wait for an answer; longer than a read blocks."""


def queue_name(prefix: str, topic: str) -> str:
    """Return what the topic's queue is called at the broker."""
    return f"{prefix}.{topic}"


def require_engine(url: str) -> None:
    """See to it that `open_engine` will find what it needs.

    Raises:
        SettingsError: the address is none of a broker that we know, or its extra is not installed.
    """
    scheme = urlsplit(url).scheme
    try:
        if scheme in {"redis", "rediss"}:
            import taskiq_redis  # noqa: F401, PLC0415 - an extra

            _driver_info()
        elif scheme in {"amqp", "amqps"}:
            import taskiq_aio_pika  # noqa: F401, PLC0415 - an extra
        else:
            raise SettingsError(
                "BROKER_URL is no broker's address. Write redis://host:6379/1 or amqp://user:password@host/"
            )
    except ImportError:
        extra = "redis-queue" if scheme.startswith("redis") else "rabbitmq"
        raise missing_extra("BROKER_URL", extra) from None


def open_engine(url: str, prefix: str, topics: tuple[str, ...]) -> AsyncBroker:
    """Return a broker for the topics, not connected yet; it listens to the first of them."""
    if urlsplit(url).scheme.startswith("redis"):
        return _redis_streams(url, prefix, topics)
    return _rabbitmq(url, prefix, topics)


def _redis_streams(url: str, prefix: str, topics: tuple[str, ...]) -> AsyncBroker:
    from taskiq_redis import RedisStreamBroker  # noqa: PLC0415 - an extra

    first, *others = (queue_name(prefix, topic) for topic in topics)
    return RedisStreamBroker(
        url,
        queue_name=first,
        additional_streams=dict.fromkeys(others, ">"),
        consumer_group_name=prefix,
        # Redis keeps every name for ever; it needs none to give each message to one reader only.
        consumer_name="worker",
        # What was sent before the first worker ever started is work as well.
        consumer_id="0",
        maxlen=LENGTH,
        xread_count=1,
        xread_block=READ_MILLISECONDS,
        socket_timeout=SILENCE_SECONDS,
        socket_connect_timeout=SILENCE_SECONDS,
        driver_info=_driver_info(),
    )


@cache
def _driver_info() -> "DriverInfo":
    """Look on the disk for the client's version: at the start, not for each connection, on the event loop."""
    from redis import DriverInfo  # noqa: PLC0415 - an extra

    return DriverInfo()


def _rabbitmq(url: str, prefix: str, topics: tuple[str, ...]) -> AsyncBroker:
    from aio_pika import ExchangeType  # noqa: PLC0415 - an extra
    from taskiq_aio_pika import Exchange, Queue, QueueType  # noqa: PLC0415 - an extra

    from app.events.rabbitmq import RabbitMQBroker  # noqa: PLC0415 - an extra

    queues = [
        Queue(name=queue_name(prefix, topic), type=QueueType.CLASSIC, arguments={"x-max-length": LENGTH})
        for topic in topics
    ]
    dropped = Queue(
        name=queue_name(prefix, "dropped"), type=QueueType.CLASSIC, arguments={"x-max-length": DROPPED}
    )
    return RabbitMQBroker(
        url,
        # One at a time: what one worker has not begun is another's.
        qos=1,
        exchange=Exchange(name=prefix, type=ExchangeType.DIRECT),
        task_queues=queues,
        dead_letter_queue=dropped,
        timeout=SILENCE_SECONDS,
    )
