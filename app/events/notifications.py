"""Notifications: waiting tasks look at the database at once, here and in other processes, not at the next poll."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

OUTBOX = "outbox"
UPLOADS = "uploads"
PUBLISHED = "published"
TASKS = "tasks"
INDEX = "index"
"""Something has changed that the search index of each machine has to look at."""
LOOKOUT = "lookout"
"""The one loop of a worker that looks when rows will be due, for all the others."""


def upload_topic(upload_id: str) -> str:
    """Return the topic of one upload's outcome."""
    return f"upload/{upload_id}"


class Listener:
    """Waits for one topic; what is notified between two waits ends the second at once."""

    def __init__(self, rests: asyncio.Event) -> None:
        self._woken = asyncio.Event()
        self._rests = rests
        self._waits = False

    @property
    def is_idle(self) -> bool:
        """Whether it waits and was not notified yet."""
        return self._waits and not self._woken.is_set()

    def wake(self) -> None:
        """End the wait, or the next one."""
        self._woken.set()

    async def wait(self, *, seconds: float) -> None:
        """Return when the topic was notified, or after `seconds`."""
        self._waits = True
        self._rests.set()
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
        finally:
            self._waits = False
        self._woken.clear()


class Notifications:
    """Topics to listen to. A hint only: whoever waits looks at the database, at the latest after a while.

    `hand_out` and `announce` lead to other processes (app/events); without them a notification stays in this one.
    """

    def __init__(self) -> None:
        self._listeners: defaultdict[str, set[Listener]] = defaultdict(set)
        self._rests: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.hand_out: Callable[[str], bool] = lambda _topic: False
        """Has one listener of all processes notified; False if it cannot."""
        self.announce: Callable[[str], None] = lambda _topic: None
        """Announces a topic to the other processes."""
        self.hears_others: Callable[[], bool] = lambda: False
        """Whether what other processes announce is heard here at the moment."""

    def notify(self, topic: str) -> None:
        """Wake one who listens to `topic` where topics are handed out, else everybody."""
        if not self.hand_out(topic):
            self.tell_all(topic)

    def tell_all(self, topic: str) -> None:
        """Wake everybody who listens to `topic`, in every process."""
        self.announce(topic)
        self.wake(topic)

    def wake(self, topic: str) -> None:
        """Wake everybody in this process who listens to `topic`."""
        for listener in self._listeners.get(topic, ()):
            listener.wake()

    def wake_one(self, topic: str) -> bool:
        """Notify one listener of `topic` in this process; False if there is none."""
        for listener in self._listeners.get(topic, ()):
            if listener.is_idle:
                listener.wake()
                return True
        return False

    async def until_idle(self, topic: str) -> None:
        """Return as soon as somebody in this process waits for `topic`."""
        while not any(listener.is_idle for listener in self._listeners.get(topic, ())):
            self._rests[topic].clear()
            await self._rests[topic].wait()

    @contextmanager
    def listen(self, topic: str) -> Iterator[Listener]:
        """Yield a listener that misses nothing from here on."""
        listener = Listener(self._rests[topic])
        self._listeners[topic].add(listener)
        try:
            yield listener
        finally:
            self._listeners[topic].discard(listener)
            if not self._listeners[topic]:
                del self._listeners[topic]
                del self._rests[topic]
