"""Queues in RabbitMQ; imported where it is used, for it needs the extra `rabbitmq`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractQueue

from app.core.tasks import heed_cancellation

HEARTBEAT_SECONDS = 10
"""A server that says nothing for about three times as long is given up."""
LISTEN_SECONDS = 30
CLOSE_SECONDS = 5


class RabbitMQQueues:
    """A queue for each topic, behind one exchange."""

    def __init__(self, exchange: AbstractExchange, queues: Mapping[str, AbstractQueue]) -> None:
        self._exchange = exchange
        self._queues = queues

    async def offer(self, topic: str) -> None:
        """Publish one message; the server confirms that a queue has it."""
        message = aio_pika.Message(topic.encode(), delivery_mode=aio_pika.DeliveryMode.NOT_PERSISTENT)
        await self._exchange.publish(message, routing_key=topic)

    async def take(self, topic: str) -> Callable[[], Awaitable[None]]:
        """Wait for a message, and consume no more when it is there.

        Raises:
            ConnectionError: the channel was closed, e.g. because the queue is no more; a new connection makes it.
        """
        while True:
            heed_cancellation()
            # Anew every now and then: whoever listens to a queue that is deleted meanwhile is not told by aio-pika.
            with suppress(TimeoutError):
                async with self._queues[topic].iterator(timeout=LISTEN_SECONDS) as messages:
                    async for message in messages:
                        return message.ack
                raise ConnectionError("RabbitMQ sends nothing more")


@asynccontextmanager
async def connect_rabbitmq(
    url: str, exchange: str, names: Mapping[str, str], *, length: int, silence_seconds: float
) -> AsyncIterator[RabbitMQQueues]:
    """Connect, and make what is not there yet, while the body runs.

    Not `connect_robust`: app/events/reconnect.py does for every server what is to be done when it goes.
    """
    connecting = asyncio.create_task(
        aio_pika.connect(url, timeout=silence_seconds, heartbeat=HEARTBEAT_SECONDS)
    )
    try:
        connection = await asyncio.shield(connecting)
        channel = await connection.channel(on_return_raises=True)
        # One at a time: what one worker has not begun is another's.
        await channel.set_qos(prefetch_count=1)
        yield await _declare(channel, exchange, names, length)
    finally:
        await asyncio.shield(asyncio.create_task(_close(connecting)))


async def _close(connecting: "asyncio.Task[AbstractConnection]") -> None:
    # What is gone cannot be closed in order.
    with suppress(Exception):
        # Half a connection cannot be closed at all: one that is being made, is made first.
        connection = await connecting
        async with asyncio.timeout(CLOSE_SECONDS):
            await connection.close()


async def _declare(
    channel: AbstractChannel, exchange_name: str, names: Mapping[str, str], length: int
) -> RabbitMQQueues:
    exchange = await channel.declare_exchange(exchange_name, aio_pika.ExchangeType.DIRECT, durable=True)
    queues = {}
    for topic, name in names.items():
        queues[topic] = await channel.declare_queue(
            name, durable=True, arguments={"x-queue-type": "classic", "x-max-length": length}
        )
        await queues[topic].bind(exchange, routing_key=topic)
    return RabbitMQQueues(exchange, queues)
