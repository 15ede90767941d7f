"""RabbitMQ, as taskiq speaks to it; imported where it is used, for it needs the extra `rabbitmq`."""

import asyncio
from typing import Any

from aio_pika.robust_connection import RobustConnection
from taskiq_aio_pika import AioPikaBroker


class RabbitMQBroker(AioPikaBroker):
    """Closes every connection that it began to make.

    aio-pika goes on trying in the background, also where whoever wanted the connection was cancelled or gave up
    waiting, and taskiq knows only those that were made.
    """

    def __init__(self, url: str, **options: Any) -> None:  # noqa: ANN401 - passed on
        self._begun: list[RobustConnection] = []
        super().__init__(url, connection_class=self._begin, **options)

    async def shutdown(self) -> None:
        """Close what is open, and give up what is not yet."""
        try:
            await super().shutdown()
        finally:
            await asyncio.gather(*(connection.close() for connection in self._begun), return_exceptions=True)

    def _begin(self, *arguments: Any, **options: Any) -> RobustConnection:  # noqa: ANN401 - passed on
        connection = RobustConnection(*arguments, **options)
        self._begun.append(connection)
        return connection
