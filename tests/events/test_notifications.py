import asyncio
import time

from app.events.notifications import Notifications


async def test_wait_when_notified_then_it_ends_at_once() -> None:
    notifications = Notifications()
    with notifications.listen("topic") as listener:
        waiting = asyncio.create_task(listener.wait(seconds=10))
        await asyncio.sleep(0)
        notifications.notify("other topic")
        await asyncio.sleep(0)
        assert not waiting.done()
        notifications.notify("topic")
        async with asyncio.timeout(1):
            await waiting


async def test_wait_when_notified_before_then_nothing_is_missed() -> None:
    notifications = Notifications()
    with notifications.listen("topic") as listener:
        notifications.notify("topic")
        async with asyncio.timeout(1):
            await listener.wait(seconds=10)
        started = time.monotonic()
        await listener.wait(seconds=0.05)
        assert time.monotonic() - started >= 0.05, "one hint ends one wait"


async def test_listener_when_gone_then_its_topic_is_forgotten() -> None:
    notifications = Notifications()
    with notifications.listen("topic"):
        pass
    notifications.notify("topic")
    assert not notifications._listeners
