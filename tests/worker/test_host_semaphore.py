"""Places that all processes of a machine share, whoever of them dies."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.settings import Settings
from app.worker.scheduling import open_host_semaphore
from tests.conftest import Person, Running, eventually
from tests.uploads.test_data_upload import CSV, form

HOLD = """
import asyncio, sys
from pathlib import Path
from app.worker.scheduling import open_host_semaphore

async def main():
    async with open_host_semaphore(Path(sys.argv[1]), total=2) as slots:
        async with slots.take(), slots.take():
            print("held", flush=True)
            sys.stdin.read()

asyncio.run(main())
"""


@contextlib.contextmanager
def holding(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process, which has both places until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


async def test_places_when_another_process_has_them_then_waited_for_until_it_dies(tmp_path: Path) -> None:
    taken = asyncio.Event()

    async def take() -> None:
        async with slots.take():
            taken.set()

    with holding(tmp_path) as process:
        async with open_host_semaphore(tmp_path, total=2) as slots:
            waiting = asyncio.create_task(take())
            await asyncio.sleep(0.5)
            assert not taken.is_set()
            process.kill()
            await asyncio.wait_for(waiting, 10)


async def test_places_when_taken_and_given_back_in_one_process_then_never_more_than_there_are(
    tmp_path: Path,
) -> None:
    at_once, most = 0, 0

    async def work(number: int) -> None:
        nonlocal at_once, most
        async with slots.take():
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.01)
            at_once -= 1
            if number % 3 == 0:
                raise RuntimeError("a fault gives it back as well")

    async with open_host_semaphore(tmp_path, total=2) as slots:
        await asyncio.gather(*map(work, range(9)), return_exceptions=True)
        assert (at_once, most) == (0, 2)
        cancelled = asyncio.create_task(work(1))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        async with slots.take(), slots.take():
            pass


async def test_places_when_nothing_is_set_then_one_for_each_processor(tmp_path: Path) -> None:
    async with open_host_semaphore(tmp_path, total=0) as slots:
        assert len(slots._files) == len(os.sched_getaffinity(0))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"conversions_per_machine": 2})


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_upload_when_the_machine_has_enough_to_do_then_it_waits_and_is_published(
    app: Running, person: Person, settings: Settings
) -> None:
    headers = {**person.headers, "Prefer": "respond-async"}

    async def state() -> str:
        return str((await app.client.get(address, headers=person.headers)).json()["state"])

    async def reached(wanted: str) -> bool | None:
        return await state() == wanted or None

    with holding(settings.data_dir / "conversions"):
        address = (await app.client.post("/data-upload", files=form(CSV), headers=headers)).headers[
            "location"
        ]
        await eventually(lambda: reached("checked"))
        # Longer than a lease: it is kept all the while.
        await asyncio.sleep(settings.timings.lease_seconds * 1.5)
        assert await state() == "checked"
    await eventually(lambda: reached("active"))
