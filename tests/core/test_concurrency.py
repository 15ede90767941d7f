"""Threads with a queue that ends, of which no user has more than a share."""

import asyncio
import threading

import pytest

from app.core.concurrency import BoundedExecutor
from app.core.errors import TooBusyError, TooManyRequestsError


async def settled(executor: BoundedExecutor) -> None:
    while executor.calls:  # noqa: ASYNC110 - it is told by a thread
        await asyncio.sleep(0.001)


async def test_threads_when_one_user_fills_their_share_then_others_are_served() -> None:
    executor = BoundedExecutor("test", threads=2, queue=10, per_user=3)
    go_on = threading.Event()
    first = [asyncio.ensure_future(executor.run_for(1, go_on.wait)) for _ in range(3)]
    await asyncio.sleep(0)

    with pytest.raises(TooManyRequestsError):
        await executor.run_for(1, go_on.wait)
    other = asyncio.ensure_future(executor.run_for(2, go_on.wait))
    await asyncio.sleep(0)
    go_on.set()

    assert await asyncio.gather(*first, other) == [True] * 4
    executor.close()


async def test_threads_when_the_queue_is_full_then_told_to_come_back_and_files_go_on() -> None:
    executor = BoundedExecutor("test", threads=1, queue=1)
    go_on = threading.Event()
    waiting = [asyncio.ensure_future(executor.run(go_on.wait)) for _ in range(2)]
    await asyncio.sleep(0)

    with pytest.raises(TooBusyError):
        await executor.run(go_on.wait)
    assert await asyncio.to_thread(int, "7") == 7, "what all share is free"
    go_on.set()
    await asyncio.gather(*waiting)
    await settled(executor)
    assert await executor.run(int, "8") == 8
    executor.close()


async def test_threads_when_callers_have_gone_then_what_runs_counts_until_it_ends() -> None:
    executor = BoundedExecutor("test", threads=1, queue=1)
    go_on = threading.Event()
    gone = asyncio.ensure_future(executor.run(go_on.wait))
    await asyncio.sleep(0.01)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    second = asyncio.ensure_future(executor.run(go_on.wait))
    await asyncio.sleep(0)

    with pytest.raises(TooBusyError):
        await executor.run(int, "7")
    go_on.set()
    assert await second
    executor.close()


async def test_threads_when_a_function_fails_then_so_does_the_call() -> None:
    executor = BoundedExecutor("test", threads=1, queue=1)
    for _ in range(5):
        with pytest.raises(ValueError, match="invalid literal"):
            await executor.run_for(1, int, "x")
        await settled(executor)
    executor.close()
