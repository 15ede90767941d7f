"""Work handed out by a broker (`BROKER_URL`): each message wakes one idle worker of all machines.

A message names a queue, not a row. Who is next is one question, asked of the database by whoever claims: so the order
is the same with a broker and without, and a message that is lost, late or doubled cannot put it wrong. It is
acknowledged when an idle worker takes it. From there on the row's lease is what brings the work back, for no broker
knows how long a conversion may last (RabbitMQ closes a channel whose message is not acknowledged for half an hour).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import NoReturn

from app.core.tasks import heed_cancellation, in_background
from app.events.engines import open_engine, require_engine
from app.events.notifications import OUTBOX, UPLOADS, Notifications
from app.events.reconnect import stay_connected

OUTGOING = 1000
"""Most messages that may wait to be sent; beyond, all listeners in reach are notified instead."""
SEND_SECONDS = 5


class WorkBroker:
    """Hands out topics: `offer` and `send` where there is work, `hand_out` where it is done."""

    topics = (OUTBOX, UPLOADS)
    """What somebody waits for. The other queues hold what is asked again at set times: nobody need be told."""

    def __init__(self, url: str, notifications: Notifications, *, prefix: str) -> None:
        """Take what is needed to connect; nothing is sent yet.

        Raises:
            SettingsError: the address is none of a broker that we know, or its extra is not installed.
        """
        require_engine(url)
        self._url = url
        self._notifications = notifications
        self._prefix = prefix
        self._outgoing: asyncio.Queue[str] = asyncio.Queue(OUTGOING)
        self._is_up = False
        self._handing_out: set[str] = set()

    def is_handing_out(self, topic: str) -> bool:
        """Return whether the broker notifies the topic's workers in this process."""
        return topic in self._handing_out

    def offer(self, topic: str) -> bool:
        """Let one idle worker look at the topic's queue; False where the broker is away or not for this topic."""
        if topic not in self.topics or not self._is_up:
            return False
        try:
            self._outgoing.put_nowait(topic)
        except asyncio.QueueFull:
            return False
        return True

    async def send(self) -> NoReturn:
        """Send what was offered until cancelled, whether or not the broker is there."""
        await stay_connected("the broker", self._send)

    async def hand_out(self, topic: str) -> NoReturn:
        """Wake an idle worker of this process for each message until cancelled, whether or not the broker is there."""
        await stay_connected("the broker", partial(self._hand_out, topic))

    async def _send(self, connected: Callable[[], None]) -> None:
        async with open_engine(self._url, self._prefix, *self.topics) as engine:
            connected()
            self._is_up = True
            unsent = set[str]()
            try:
                while True:
                    heed_cancellation()
                    unsent = {await self._outgoing.get()}
                    async with asyncio.timeout(SEND_SECONDS):
                        await engine.offer(*unsent)
            finally:
                self._is_up = False
                while not self._outgoing.empty():
                    unsent.add(self._outgoing.get_nowait())
                for topic in unsent:
                    self._notifications.tell_all(topic)

    async def _hand_out(self, topic: str, connected: Callable[[], None]) -> None:
        async with open_engine(self._url, self._prefix, topic) as engine:
            connected()
            with self._noted(topic):
                while True:
                    heed_cancellation()
                    # A busy worker takes nothing that an idle one elsewhere could begin with.
                    await self._notifications.until_idle(topic)
                    acknowledge = await engine.take(topic)
                    if not self._notifications.wake_one(topic):
                        # Busy since, by a look of its own.
                        self.offer(topic)
                    await acknowledge()

    @contextmanager
    def _noted(self, topic: str) -> Iterator[None]:
        self._handing_out.add(topic)
        try:
            yield
        finally:
            self._handing_out.discard(topic)


@asynccontextmanager
async def open_work_broker(
    url: str, notifications: Notifications, *, prefix: str
) -> AsyncIterator[WorkBroker]:
    """Let the broker hand out work while the body runs.

    Raises:
        SettingsError: as `WorkBroker`.
    """
    broker = WorkBroker(url, notifications, prefix=prefix)
    notifications.hand_out = broker.offer
    async with in_background(broker.send()):
        yield broker
