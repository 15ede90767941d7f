"""Tasks that end when they are told to, and only then."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiomysql
import aiosmtplib
import httpx
import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.core.tasks import end, heed_cancellation, in_background, open_file, side_by_side
from tests.conftest import eventually


async def forgetful(told: asyncio.Event) -> None:
    """Do what `asyncio.wait_for` does on Python 3.11, once."""
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        told.set()
    heed_cancellation()
    raise AssertionError("it was cancelled")


async def test_task_when_a_cancellation_was_swallowed_then_it_heeds_it() -> None:
    told = asyncio.Event()
    task = asyncio.create_task(forgetful(told))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait_for(asyncio.wait([task]), 10)
    assert (told.is_set(), task.cancelled()) == (True, True)


async def test_end_when_a_task_forgets_that_it_was_cancelled_then_told_again() -> None:
    heard = 0

    async def deaf() -> None:
        nonlocal heard
        while heard < 2:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                heard += 1

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    await asyncio.wait_for(end(task), 10)
    assert (heard, task.done()) == (2, True)


async def test_works_when_one_fails_then_the_others_end_and_it_is_told() -> None:
    cancelled = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"):
        await side_by_side(wait(), fail())
    assert cancelled.is_set()


async def test_end_when_a_task_fails_as_it_is_told_then_its_words_are_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Drivers put addresses, and with them passwords, into the texts of their errors."""

    async def fall() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            raise ValueError("redis://user:password@host")

    task = asyncio.create_task(fall())
    await asyncio.sleep(0)
    await end(task)
    del task
    gc.collect()
    assert "password" not in caplog.text


async def test_background_when_the_body_ends_then_it_does() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    async with in_background(work()):
        await began.wait()
    assert ended.is_set()


@pytest.fixture
async def silent() -> AsyncIterator[int]:
    """A port that takes connections, and says nothing on them."""

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(wait, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def ask_http(port: int) -> None:
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(timeout=0.1, limits=limits) as client:
        both = (client.get(f"http://127.0.0.1:{port}") for _ in range(2))
        await asyncio.gather(*both, return_exceptions=True)
        await client.get(f"http://127.0.0.1:{port}")


async def ask_smtp(port: int) -> None:
    await aiosmtplib.send(
        b"x", sender="a@b", recipients=["c@d"], hostname="127.0.0.1", port=port, timeout=0.1
    )


async def ask_mysql(port: int) -> None:
    async with asyncio.timeout(0.1):
        await aiomysql.connect(host="127.0.0.1", port=port, user="root")


async def ask_redis(port: int) -> None:
    async with redis.asyncio.Redis(port=port, socket_timeout=0.1, retry=Retry(NoBackoff(), 1)) as client:
        await client.ping()


@pytest.mark.parametrize("ask", [ask_http, ask_smtp, ask_mysql, ask_redis])
async def test_library_when_it_gives_up_then_our_task_does_not_count_as_cancelled(
    silent: int, ask: Callable[[int], Awaitable[None]]
) -> None:
    """They cancel us to be woken in time; if one forgot to take that back, the worker's loops would end."""
    with pytest.raises((TimeoutError, httpx.TimeoutException, redis.TimeoutError)):
        await ask(silent)
    heed_cancellation()


async def test_file_when_its_task_is_cancelled_while_it_is_opened_then_closed(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    task = asyncio.create_task(open_file(fifo))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # To open the other end lets the thread go on; once its file is closed nobody reads.
    writer = await asyncio.to_thread(os.open, fifo, os.O_WRONLY)
    try:

        async def is_closed() -> bool | None:
            try:
                os.write(writer, b"x")
            except BrokenPipeError:
                return True
            return None

        await eventually(is_closed)
    finally:
        os.close(writer)
