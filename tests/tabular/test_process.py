"""The child process: what it answers, and every way in which it can end without an answer."""

import asyncio
import gzip
import hashlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.tabular import (
    Conversion,
    ConversionRequest,
    ProcessLimits,
    Progress,
    TabularError,
)
from app.tabular import process as process_module
from app.tabular.convert import convert
from app.tabular.process import convert_in_process
from app.tabular.reading import Reading
from tests.children import children, command_of

MIB = 1024 * 1024


def request_for(folder: Path, content: str | bytes, **fields: object) -> ConversionRequest:
    source = folder / "in.csv"
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    request = ConversionRequest(source, folder / "out.arff", "csv", "table", target_attributes=("b",))
    return ConversionRequest(**{**{name: getattr(request, name) for name in request.__slots__}, **fields})


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def large(thousands: int) -> str:
    """Return a table of 90 KB for each thousand of rows."""
    rows = "".join(f"{row},{row / 7},{f'some text {row} ' * 4}\n" for row in range(1_000))
    return "a,b,c\n" + rows * thousands


@asynccontextmanager
async def a_running_conversion(
    request: ConversionRequest,
) -> AsyncIterator[tuple[asyncio.Task[Conversion], int]]:
    """Start a conversion, and yield it with its child's process id once rows are being written."""
    writing = asyncio.Event()
    before = children()
    task = asyncio.create_task(
        convert_in_process(
            request, on_progress=lambda seen: writing.set() if seen.phase in {"types", "writing"} else None
        )
    )
    await asyncio.wait_for(writing.wait(), 30)
    (pid,) = children() - before
    yield task, pid


async def another_child(pid: int) -> int:
    """Wait for the child that takes the place of one that was killed."""
    while True:
        for found in children() - {pid}:
            if b"app.tabular" in command_of(found):
                return found
        await asyncio.sleep(0.01)


async def test_a_file_when_converted_in_a_child_then_the_answer_is_the_same(tmp_path: Path) -> None:
    request = request_for(tmp_path, "a,b,c\n1,x,y\n2,z,\n", attributes={"c": {"nominal": ["y", "n"]}})
    seen: list[Progress] = []
    conversion = await convert_in_process(request, on_progress=seen.append)
    data = request.target.read_bytes()
    assert conversion == convert(request)
    assert request.target.read_bytes() == data
    assert [progress.phase for progress in seen] == ["types", "writing"]
    assert seen[-1].done_bytes == seen[-1].total_bytes == request.source.stat().st_size
    assert names_in(tmp_path) == {"in.csv", "out.arff"}


async def test_a_file_when_its_child_is_started_by_itself_then_the_answer_is_the_same(tmp_path: Path) -> None:
    """As on systems without a fork server."""
    request = request_for(tmp_path, "a,b,c\n1,x,y\n2,z,\n")
    conversion = await process_module.ask_child(process_module.CONVERT.command, request, ProcessLimits())
    assert conversion == convert(request)


async def test_a_refusal_when_in_a_child_then_all_its_fields_arrive(tmp_path: Path) -> None:
    request = request_for(tmp_path, "a,b\n1,x\n2,caf\u00e9\n")
    with pytest.raises(TabularError) as caught:
        await convert_in_process(request)
    error = caught.value
    assert (error.slug, error.row, error.line, error.column) == ("bad-label", 2, 3, "b")
    assert str(tmp_path) not in str(error)
    assert not request.target.exists()


async def test_a_conversion_when_cancelled_then_the_child_and_the_half_file_are_gone(tmp_path: Path) -> None:
    request = request_for(tmp_path, large(250))
    async with a_running_conversion(request) as (task, pid):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert pid not in children()
    assert not request.target.exists()


@pytest.mark.parametrize(
    ("sent", "slug"),
    [
        (signal.SIGKILL, "out-of-memory"),
        (signal.SIGXCPU, "took-too-long"),
        (signal.SIGUSR1, "conversion-failed"),
    ],
)
async def test_a_child_when_killed_then_the_error_says_what_it_means(
    tmp_path: Path, sent: signal.Signals, slug: str
) -> None:
    request = request_for(tmp_path, large(250))
    async with a_running_conversion(request) as (task, pid):
        os.kill(pid, sent)
        if sent is not signal.SIGXCPU:
            os.kill(await another_child(pid), sent)
        with pytest.raises(TabularError) as caught:
            await task
    assert caught.value.slug == slug
    assert not request.target.exists()


async def test_a_child_when_killed_once_then_another_one_converts(tmp_path: Path) -> None:
    request = request_for(tmp_path, large(250))
    async with a_running_conversion(request) as (task, pid):
        os.kill(pid, signal.SIGKILL)
        conversion = await task
    assert conversion.rows == 250_000
    assert conversion.arff_md5 == hashlib.md5(request.target.read_bytes(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("limits", "slug"),
    [
        (ProcessLimits(memory_bytes=130 * MIB), "out-of-memory"),
        (ProcessLimits(wall_seconds=0.2), "took-too-long"),
        (ProcessLimits(open_files=3), "storage-failed"),
    ],
)
async def test_a_limit_when_reached_then_refused_and_nothing_is_left(
    tmp_path: Path, limits: ProcessLimits, slug: str
) -> None:
    # Where lines may be comments, rows are read in Python, which takes its time.
    request = request_for(tmp_path, large(750), reading=Reading(comment="#"))
    with pytest.raises(TabularError) as caught:
        await convert_in_process(request, limits)
    assert caught.value.slug == slug
    assert not request.target.exists()


@pytest.mark.parametrize("mebibytes", [76, 79, pytest.param(73, marks=pytest.mark.long), 82])
async def test_memory_when_too_little_for_one_of_arrows_threads_then_refused_at_once(
    tmp_path: Path, mebibytes: int
) -> None:
    limits = ProcessLimits(memory_bytes=mebibytes * MIB, wall_seconds=60.0)
    with pytest.raises(TabularError) as caught:
        await convert_in_process(request_for(tmp_path, large(250)), limits)
    assert caught.value.slug == "out-of-memory"


async def test_a_limit_on_processor_time_when_reached_then_refused_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    """The table has two gigabytes: no machine reads as much in a second, with comments looked for in Python."""
    million = gzip.compress(b"1,x,some text\n" * 75_000)
    endless = gzip.compress(b"a,b,c\n") + million * 2_000
    request = request_for(tmp_path, endless, compression="gzip", reading=Reading(comment="#"))
    with pytest.raises(TabularError) as caught:
        await convert_in_process(request, ProcessLimits(cpu_seconds=1))
    assert caught.value.slug == "took-too-long"
    assert names_in(tmp_path) == {"in.csv"}


async def test_a_file_when_ten_times_as_long_then_it_needs_no_more_memory(tmp_path: Path) -> None:
    limits = ProcessLimits(memory_bytes=400 * MIB)
    for thousands in (60, 600):
        conversion = await convert_in_process(request_for(tmp_path, large(thousands)), limits)
        assert conversion.rows == thousands * 1_000


async def test_a_missing_source_when_converted_then_the_path_is_not_reported(tmp_path: Path) -> None:
    request = ConversionRequest(tmp_path / "none.csv", tmp_path / "out.arff", "csv", "table")
    with pytest.raises(TabularError) as caught:
        await convert_in_process(request)
    assert caught.value.slug == "storage-failed"
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    "program",
    [
        "print('not json')",
        "print('[]')",
        "print('{}')",
        'print(\'{"result": {"columns": []}}\')',
        'print(\'{"error": {"nonsense": 1}}\')',
        "print('x' * 1000000)",
        "import sys; sys.exit(3)",
        "",
    ],
)
async def test_a_child_when_it_talks_nonsense_then_an_error_says_so(tmp_path: Path, program: str) -> None:
    request = request_for(tmp_path, "a,b\n1,2\n")
    request.target.write_text("half")
    command = (sys.executable, "-c", program)
    with pytest.raises(TabularError) as caught:
        await process_module.ask_child(command, request, ProcessLimits())
    assert caught.value.slug == "conversion-failed"
    assert not request.target.exists()


def test_what_travels_when_written_as_json_then_it_comes_back_equal(tmp_path: Path) -> None:
    request = request_for(tmp_path, "a,b,c\n1,x,\n", attributes={"a": "integer", "c": {"nominal": ["y"]}})
    assert ConversionRequest.from_json(request.to_json()) == request
    conversion = convert(request)
    assert Conversion.from_json(json.loads(json.dumps(conversion.to_json()))) == conversion
    error = TabularError("slug", "It is wrong.", row=1, line=2, column="c", hint="Change it.")
    again = TabularError.from_json(json.loads(json.dumps(error.to_json())))
    assert str(again) == str(error) == "Row 1, line 2, column 'c': It is wrong. Change it."
