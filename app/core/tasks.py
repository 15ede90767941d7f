"""Reliable cancellation of asyncio tasks.

`asyncio.wait_for` forgets that it was cancelled when what it waits for is done in the same moment (Python 3.11, mended
in 3.12). Drivers use it for connecting and for each command, so a task that goes on for ever must look by itself
whether it was told to end, and whoever ends one must not wait for ever.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

T = TypeVar("T")
AGAIN_SECONDS = 1.0


def heed_cancellation() -> None:
    """Raise if the current task was cancelled and a library has swallowed the cancellation.

    Not for a task that has run an `asyncio.TaskGroup` which failed: Python 3.11 leaves it marked as cancelled.

    Raises:
        CancelledError: it was.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def end(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel the tasks until they have ended. For those whose tidying up takes no time: it is cancelled as well."""
    unfinished = set(tasks)
    while unfinished:
        for task in unfinished:
            task.cancel()
        _, unfinished = await asyncio.wait(unfinished, timeout=AGAIN_SECONDS)
    for task in tasks:
        # Looked at, or asyncio would log it: drivers put addresses, and with them passwords, into their texts.
        if not task.cancelled():
            task.exception()


async def side_by_side(*works: Coroutine[Any, Any, None]) -> None:
    """Run coroutines concurrently until one ends or fails, and cancel the others."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await end(*tasks)


async def watched(work: Coroutine[Any, Any, T], check: Callable[[], Awaitable[None]], *, seconds: float) -> T:
    """Return what the work returns; every few seconds look whether it may go on.

    Args:
        work: is cancelled, and has ended, when this raises anything.
        check: raises what ends the work.
        seconds: between two checks.
    """
    task = asyncio.create_task(work)
    try:
        while not (await asyncio.wait({task}, timeout=seconds))[0]:
            await check()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return task.result()


@asynccontextmanager
async def in_background(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run coroutines while the body runs, and cancel them afterwards."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        await end(*tasks)


async def open_file(path: Path, mode: Literal["rb", "r+b"] = "rb") -> BinaryIO:
    """Open a file in a thread; where the task is cancelled meanwhile, it is closed again and not left to the collector.

    Raises:
        OSError: it cannot be opened.
    """
    opening: asyncio.Task[BinaryIO] = asyncio.ensure_future(asyncio.to_thread(path.open, mode))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_opened)
        raise


def _close_opened(opening: "asyncio.Task[BinaryIO]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
