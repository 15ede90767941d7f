"""How many files of `app` somebody reads who follows one request from its first byte: counted by running it.

Not counted is what runs while nothing happens, and what every signed-in request runs through, whether it
reads or writes: one reads it once. docs/architecture.md has the figures.
"""

import asyncio
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

import app as package
from app.core.settings import Settings
from tests.conftest import Person, Running, eventually, insert_person, serving
from tests.uploads.test_data_upload import form, row

APP = Path(package.__file__).parent
CHANCE = 2
"""What loops in the background run meanwhile differs by that."""
ROUND_SECONDS = 2.2
"""A second is what the lookout pauses, and two whoever looks at levels of the log."""
REPORT = {"kind": "dataset", "subject": "1", "text": "A test."}
OF_TASKS = {"tasks/waiting.py", "db/task_requests.py"}
"""Tasks that wait for a dataset are looked for once it is active: what they do is no part of the upload."""
OF_THESE_ALONE = ("accounts/", "admin/", "db/reports.py")
"""What the requests that stand for all others have for themselves."""
PAGE = (APP.parent / "docs/architecture.md").read_text(encoding="utf-8")


@contextmanager
def followed() -> Iterator[set[str]]:
    """Fill a set with the files of `app` of which a function begins, on the event loop or in a thread."""
    found = set[str]()
    prefix = f"{APP}/"

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(prefix):
            found.add(frame.f_code.co_filename.removeprefix(prefix))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


async def _idle() -> set[str]:
    """Return what runs while nothing happens, once the start is over: a first round does more than others."""
    await asyncio.sleep(ROUND_SECONDS)
    with followed() as found:
        await asyncio.sleep(ROUND_SECONDS)
    return found


async def _count(app: Running, person: Person) -> dict[str, set[str]]:
    await app.client.get("/limits")  # The routes are there.
    idle = await _idle()
    with followed() as common:
        (await app.client.get("/profile", headers=person.headers)).raise_for_status()
        (await app.client.get("/limits")).raise_for_status()
        # One that writes: is the site read-only, and did its sender write too often?
        (await app.client.post("/reports", json=REPORT, headers=person.headers)).raise_for_status()
    with followed() as login:
        body = {"email": person.email, "password": person.password}
        (await app.client.post("/login", json=body)).raise_for_status()
    with followed() as upload:
        (await app.client.post("/data-upload", files=form(), headers=person.headers)).raise_for_status()

        async def is_active() -> bool | None:
            return (await row(app))["state"] == "active" or None

        await eventually(is_active)
    known = idle | {file for file in common if not file.startswith(OF_THESE_ALONE)}
    return {
        "a login": login - known,
        "a form upload until it is active": upload - known - OF_TASKS,
        "any request": known,
    }


@pytest.mark.parametrize("database_uri", ["sqlite"], indirect=True)
async def test_files_when_a_request_is_followed_then_no_more_than_the_architecture_says(
    settings: Settings, password_hash: str
) -> None:
    async with serving(settings) as app:
        counted = await _count(app, await insert_person(app, password_hash))

    said = dict(
        re.findall(
            r"^\| (a login|a form upload until it is active|any request) \| (\d+) \|", PAGE, re.MULTILINE
        )
    )
    for what, files in counted.items():
        assert len(files) <= int(said[what]) + CHANCE, (what, sorted(files))
