"""Telling those who wait in this process that there is something new, sooner than they would look."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

OUTBOX = "outbox"
UPLOADS = "uploads"
TASKS = "tasks"


def upload_topic(upload_id: str) -> str:
    """Return the topic of one upload's outcome."""
    return f"upload/{upload_id}"


class Listener:
    """Waits for one topic; what is notified between two waits ends the second at once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        """End the wait, or the next one."""
        self._event.set()

    async def wait(self, *, seconds: float) -> None:
        """Return when the topic was notified, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return
        self._event.clear()


class Wakeups:
    """Topics to listen to. A hint only: whoever waits looks at the database, at the latest after a while."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, set[Listener]] = defaultdict(set)

    def notify(self, topic: str) -> None:
        """Wake everybody who listens to `topic`."""
        for listener in self._listeners.get(topic, ()):
            listener.wake()

    @contextmanager
    def listen(self, topic: str) -> Iterator[Listener]:
        """Yield a listener that misses nothing from here on."""
        listener = Listener()
        self._listeners[topic].add(listener)
        try:
            yield listener
        finally:
            self._listeners[topic].discard(listener)
            if not self._listeners[topic]:
                del self._listeners[topic]
