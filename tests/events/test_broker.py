"""Notifications and work between two processes' worth of resources, over the real servers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from urllib.parse import urlsplit

import aio_pika
import aio_pika.exceptions
import pytest
import redis.asyncio
from blockbuster import blockbuster_ctx

from app.core.denylist import Denylist
from app.core.settings import Settings, SettingsError
from app.events import engines, rabbitmq, redis_lists
from app.events.channel import open_channel
from app.events.denylist import open_denylist
from app.events.engines import Engine, require_engine
from app.events.notifications import OUTBOX, UPLOADS, Listener, Notifications
from app.events.queue import WorkBroker, open_work_broker
from app.resources import open_resources
from tests.broker_servers import BrokerServer, OwnRedis, shared_broker
from tests.conftest import eventually
from tests.forwarder import Forwarder

on_rabbitmq = pytest.mark.parametrize("broker_server", ["rabbitmq"], indirect=True)


@pytest.fixture(params=["redis", "rabbitmq"])
def broker_server(request: pytest.FixtureRequest) -> Iterator[BrokerServer]:
    with shared_broker(request.param) as server:
        yield server


@asynccontextmanager
async def on_channel(url: str) -> AsyncIterator[Notifications]:
    """The notifications of one process, joined to those of others."""
    notifications = Notifications()
    pool = redis.asyncio.BlockingConnectionPool.from_url(url, socket_timeout=5)
    async with open_channel(pool, notifications, prefix="test"):
        yield notifications
    await pool.disconnect()


async def heard(sender: Notifications, hearer: Notifications) -> None:
    """Notify until it is heard; what is sent while nobody listens yet may be lost."""
    with hearer.listen("upload/1") as listener:

        async def look() -> bool | None:
            sender.notify("upload/1")
            await asyncio.sleep(0)
            return await is_woken(listener) or None

        await eventually(look)


async def is_woken(listener: Listener) -> bool:
    waiting = asyncio.create_task(listener.wait(seconds=30))
    done, _ = await asyncio.wait({waiting}, timeout=0.1)
    if not done:
        waiting.cancel()
    return bool(done)


async def test_notifications_when_redis_goes_and_returns_then_heard_elsewhere_again(
    own_redis: OwnRedis,
) -> None:
    async with on_channel(own_redis.url) as one, on_channel(own_redis.url) as other:
        await heard(one, other)
        await asyncio.to_thread(own_redis.kill)
        with one.listen("upload/1") as listener:
            one.notify("upload/1")
            assert await is_woken(listener), "its own process needs no Redis"
        await asyncio.to_thread(own_redis.start)
        await heard(other, one)


class Worker:
    """Two slots that take note of what woke them, as workers' loops wait."""

    def __init__(self, notifications: Notifications, broker: WorkBroker) -> None:
        self.notifications, self.broker, self.taken = notifications, broker, 0
        self.free = asyncio.Event()

    async def slot(self) -> None:
        with self.notifications.listen(UPLOADS) as listener:
            while True:
                await listener.wait(seconds=3600)
                self.taken += 1
                await self.free.wait()


@asynccontextmanager
async def working(server: BrokerServer, *, slots: int) -> AsyncIterator[Worker]:
    async with AsyncExitStack() as stack:
        notifications = Notifications()
        broker = await stack.enter_async_context(
            open_work_broker(server.url, notifications, prefix=server.prefix)
        )
        worker = Worker(notifications, broker)
        tasks = [asyncio.create_task(worker.slot()) for _ in range(slots)]
        tasks.append(asyncio.create_task(broker.hand_out(UPLOADS)))
        await until(lambda: broker.is_handing_out(UPLOADS))
        try:
            yield worker
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async def look() -> bool | None:
        return condition() or None

    await eventually(look)


async def test_work_when_one_machine_is_busy_then_another_takes_each_message_once(
    broker_server: BrokerServer,
) -> None:
    async with working(broker_server, slots=1) as one, working(broker_server, slots=2) as other:
        await until(lambda: one.broker.offer(UPLOADS))
        await until(lambda: one.taken + other.taken == 1)
        for _ in range(3):
            assert one.broker.offer(UPLOADS)
        await until(lambda: (one.taken, other.taken) == (1, 2))
        one.free.set()
        await until(lambda: one.taken + other.taken == 4)


async def test_work_when_nobody_was_there_then_it_waits_at_the_broker(broker_server: BrokerServer) -> None:
    async with open_work_broker(broker_server.url, Notifications(), prefix=broker_server.prefix) as sender:
        await until(lambda: sender.offer(UPLOADS))
        assert not sender.offer("upload/1"), "nobody's work"
        await until(sender._outgoing.empty)
    async with working(broker_server, slots=1) as worker:
        await until(lambda: worker.taken == 1)


async def test_broker_when_it_is_connected_to_then_nothing_blocks(broker_server: BrokerServer) -> None:
    require_engine(broker_server.url)  # As at the start, when nobody is served yet.
    with blockbuster_ctx(scanned_modules=["app"]):
        async with working(broker_server, slots=1) as worker:
            await until(lambda: worker.broker.offer(UPLOADS))
            await until(lambda: worker.taken == 1)


async def test_connections_when_ended_while_they_are_made_then_they_end(broker_server: BrokerServer) -> None:
    """On Python 3.11 drivers forget a cancellation that comes in the moment in which a step of theirs is done."""
    url, prefix = broker_server.url, broker_server.prefix
    for steps in range(80):
        async with asyncio.timeout(20), AsyncExitStack() as stack:
            await stack.enter_async_context(open_work_broker(url, Notifications(), prefix=prefix))
            if url.startswith("redis"):
                pool = redis.asyncio.BlockingConnectionPool.from_url(url, socket_timeout=5)
                stack.push_async_callback(pool.disconnect)
                await stack.enter_async_context(open_channel(pool, Notifications(), prefix=prefix))
                await stack.enter_async_context(open_denylist(pool, Denylist(), prefix=prefix))
            for _ in range(steps):
                await asyncio.sleep(0)
        await until(lambda: len(asyncio.all_tasks()) == 1)


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
async def test_broker_when_it_takes_connections_and_says_nothing_then_given_up_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setattr(engines, "SILENCE_SECONDS", 0.3)
    came = asyncio.Semaphore(0)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.release()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with open_work_broker(
            f"{scheme}://guest:guest@127.0.0.1:{port}/", Notifications(), prefix="test"
        ):
            for _ in range(3):
                await asyncio.wait_for(came.acquire(), 20)
        await until(lambda: len(asyncio.all_tasks()) == 1)


async def test_work_when_the_broker_goes_then_notified_here_until_it_is_back(own_redis: OwnRedis) -> None:
    async with working(BrokerServer(own_redis.url), slots=1) as worker:
        worker.free.set()
        await until(lambda: worker.broker.offer(UPLOADS))
        await until(lambda: worker.taken == 1)
        await asyncio.to_thread(own_redis.kill)
        worker.notifications.notify(UPLOADS)
        await until(lambda: worker.taken == 2)
        await until(lambda: not worker.broker.is_handing_out(UPLOADS))
        assert not worker.broker.offer(OUTBOX)
        await asyncio.to_thread(own_redis.start)
        await until(lambda: worker.broker.is_handing_out(UPLOADS) and worker.broker.offer(UPLOADS))
        await until(lambda: worker.taken == 3)


@on_rabbitmq
async def test_work_when_the_line_breaks_then_handed_out_again_once_it_is_mended(
    broker_server: BrokerServer,
) -> None:
    address = urlsplit(broker_server.url)
    async with Forwarder(address.hostname or "", address.port or 5672) as line:
        far = broker_server.url.replace(address.netloc.rpartition("@")[2], f"127.0.0.1:{line.port}")
        async with working(BrokerServer(far, broker_server.prefix), slots=1) as worker:
            worker.free.set()
            await line.cut()
            worker.notifications.notify(UPLOADS)
            await until(lambda: worker.taken == 1)
            await line.mend()
            await until(lambda: worker.broker.is_handing_out(UPLOADS) and worker.broker.offer(UPLOADS))
            await until(lambda: worker.taken >= 2)


async def test_work_when_the_broker_freezes_then_given_up_and_taken_up_again(
    own_redis: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a lost machine leaves behind: a connection on which nothing comes any more."""
    monkeypatch.setattr(engines, "SILENCE_SECONDS", 1)
    monkeypatch.setattr(redis_lists, "READ_SECONDS", 0.5)
    async with working(BrokerServer(own_redis.url), slots=1) as worker:
        worker.free.set()
        own_redis.pause()
        await until(lambda: not worker.broker.is_handing_out(UPLOADS))
        own_redis.resume()
        await until(lambda: worker.broker.is_handing_out(UPLOADS) and worker.broker.offer(UPLOADS))
        await until(lambda: worker.taken >= 1)


async def test_queue_when_nobody_takes_its_messages_then_it_does_not_grow_for_ever(
    broker_server: BrokerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "LENGTH", 3)
    async with engines.open_engine(broker_server.url, broker_server.prefix, UPLOADS) as engine:
        for _ in range(5):
            await engine.offer(UPLOADS)
        for _ in range(3):
            await (await asyncio.wait_for(engine.take(UPLOADS), 20))()
        fourth = asyncio.create_task(engine.take(UPLOADS))
        await engine.offer(UPLOADS)
        await (await asyncio.wait_for(fourth, 20))()
        assert not await any_left(engine)


async def any_left(engine: Engine) -> bool:
    """Whether the queue gives another message; an answer to what is sent after it would come before."""
    taking = asyncio.create_task(engine.take(UPLOADS))
    done, _ = await asyncio.wait({taking}, timeout=0.3)
    if not done:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
    return bool(done)


@on_rabbitmq
async def test_message_when_its_taker_dies_before_it_is_acknowledged_then_another_has_it(
    broker_server: BrokerServer,
) -> None:
    """Redis forgets it, and the sweep of the database finds the row."""
    url, prefix = broker_server.url, broker_server.prefix
    async with engines.open_engine(url, prefix, UPLOADS) as other:
        async with engines.open_engine(url, prefix, UPLOADS) as one:
            await one.offer(UPLOADS)
            await asyncio.wait_for(one.take(UPLOADS), 20)
            assert not await any_left(other)
        await (await asyncio.wait_for(other.take(UPLOADS), 20))()


@on_rabbitmq
async def test_queue_when_an_operator_deletes_it_then_it_is_made_again_and_listened_to(
    broker_server: BrokerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq, "LISTEN_SECONDS", 0.3)
    name = engines.queue_name(broker_server.prefix, UPLOADS)
    async with working(broker_server, slots=1) as worker, await aio_pika.connect(broker_server.url) as other:
        await (await other.channel()).queue_delete(name)

        async def look() -> bool | None:
            async with other.channel() as channel:
                with suppress(aio_pika.exceptions.ChannelNotFoundEntity):
                    queue = await channel.declare_queue(name, passive=True)
                    return queue.declaration_result.consumer_count == 1 or None
            return None

        await eventually(look)
        await until(lambda: worker.broker.offer(UPLOADS))
        await until(lambda: worker.taken == 1)


async def takes_one(server: BrokerServer) -> None:
    async with working(server, slots=1) as worker:
        await until(lambda: worker.broker.offer(UPLOADS))
        await until(lambda: worker.taken == 1)


async def test_redis_when_an_older_version_has_its_streams_there_then_neither_disturbs_the_other(
    own_redis: OwnRedis,
) -> None:
    server = BrokerServer(own_redis.url)
    async with redis.asyncio.Redis.from_url(own_redis.url) as client:
        stream = f"{server.prefix}.{UPLOADS}"
        await client.xadd(stream, {"data": "an upload"})
        await takes_one(server)
        assert await client.xlen(stream) == 1


@on_rabbitmq
async def test_rabbitmq_when_an_older_version_has_its_queues_there_then_neither_disturbs_the_other(
    broker_server: BrokerServer,
) -> None:
    prefix = broker_server.prefix
    async with await aio_pika.connect(broker_server.url) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(prefix, "direct", auto_delete=True)
        queue = await channel.declare_queue(
            f"{prefix}.{UPLOADS}", durable=True, arguments={"x-max-length": 10, "x-dead-letter-exchange": ""}
        )
        await queue.bind(exchange, UPLOADS)
        await takes_one(broker_server)
        await queue.delete()


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
@pytest.mark.parametrize("url", ["kafka://127.0.0.1:1", "127.0.0.1:6379"])
async def test_start_when_the_broker_is_none_then_it_says_what_to_write(settings: Settings, url: str) -> None:
    wrong = Settings(_env_file=None, **{**settings.model_dump(), "broker_url": url})

    with pytest.raises(SettingsError, match="Write redis://"):
        async with open_resources(wrong):
            pass
