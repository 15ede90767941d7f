"""The child that redraws, and every way in which it can end without a picture."""

import asyncio
import io
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pytest

from app.core.child_limits import MIB, ProcessLimits
from app.core.errors import TooBusyError
from app.imaging import PictureRedrawer
from app.imaging.problems import PictureRefusedError
from app.imaging.redraw import redraw
from tests.children import children
from tests.imaging import samples
from tests.imaging.samples import encoded, halves

SLEEPS = (sys.executable, "-c", "import time; time.sleep(60)")


@contextmanager
def opened(content: bytes) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file


async def a_new_child(before: set[int]) -> int:
    for _ in range(500):
        if new := children() - before:
            return new.pop()
        await asyncio.sleep(0.01)
    pytest.fail("no child was started")


async def test_picture_when_redrawn_in_a_child_then_the_same_as_without() -> None:
    content = samples.of_a_camera()
    with opened(content) as file:
        redrawn = await PictureRedrawer(max_pixels=10_000).redraw(file)

    drawing = redraw(io.BytesIO(content), max_pixels=10_000)
    assert (redrawn.suffix, redrawn.content) == (drawing.suffix, drawing.content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<svg/>", "not a PNG, JPEG, GIF or WebP"),
        (samples.png_claiming(50_000, 50_000), "more than 10000 pixels"),
        (encoded(halves(), "PNG")[:-40], "damaged"),
    ],
)
async def test_picture_when_refused_then_told_why(content: bytes, words: str) -> None:
    with opened(content) as file, pytest.raises(PictureRefusedError, match=words):
        await PictureRedrawer(max_pixels=10_000).redraw(file)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSEGV, signal.SIGXCPU])
async def test_child_when_killed_then_a_refusal_and_nothing_hangs(sent: signal.Signals) -> None:
    before = children()
    with opened(b"") as file:
        task = asyncio.create_task(PictureRedrawer(max_pixels=10).redraw(file, SLEEPS))
        os.kill(await a_new_child(before), sent)
        with pytest.raises(PictureRefusedError, match="could not be read"):
            await asyncio.wait_for(task, 10)


async def test_caller_when_cancelled_then_the_child_is_gone() -> None:
    before = children()
    with opened(b"") as file:
        task = asyncio.create_task(PictureRedrawer(max_pixels=10).redraw(file, SLEEPS))
        pid = await a_new_child(before)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert pid not in children()


@pytest.mark.parametrize(
    "limits",
    [ProcessLimits(memory_bytes=64 * MIB), ProcessLimits(wall_seconds=0.01), ProcessLimits(open_files=3)],
    ids=["memory", "time", "files"],
)
async def test_limit_when_reached_then_a_refusal(limits: ProcessLimits) -> None:
    with opened(encoded(halves(5000, 5000, "RGBA"), "PNG")) as file:
        redrawer = PictureRedrawer(max_pixels=25_000_000, limits=limits)
        with pytest.raises(PictureRefusedError):
            await redrawer.redraw(file)


@pytest.mark.parametrize(
    "program",
    [
        "print('nonsense')",
        "print('[]')",
        "print('{\"result\": 1}')",
        'print(\'{"result": {"suffix": "png", "content": "PHN2Zy8+"}}\')',
        'print(\'{"result": {"suffix": "svg", "content": "PHN2Zy8+"}}\')',
        'print(\'{"result": {"suffix": "../../x", "content": ""}}\')',
        'print(\'{"error": {"nonsense": 1}}\')',
        "print('x' * 5000000)",
        "",
    ],
)
async def test_child_when_it_talks_nonsense_then_a_refusal(program: str) -> None:
    with opened(b"") as file, pytest.raises(PictureRefusedError):
        await PictureRedrawer(max_pixels=10).redraw(file, (sys.executable, "-c", program))


async def test_pictures_when_more_than_may_wait_then_too_busy_and_few_at_a_time() -> None:
    redrawer = PictureRedrawer(max_pixels=10, at_once=2, queue=3)
    before = children()
    with opened(b"") as file:
        tasks = [asyncio.create_task(redrawer.redraw(file, SLEEPS)) for _ in range(5)]
        await a_new_child(before)
        await asyncio.sleep(0.2)
        running = children() - before
        with pytest.raises(TooBusyError):
            await redrawer.redraw(file, SLEEPS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    assert len(running) == 2
    assert not children() - before
    with opened(encoded(halves(2, 2), "PNG")) as file:
        assert (await redrawer.redraw(file)).suffix == "jpg", "the places are free again"
